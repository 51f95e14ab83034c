/*
 * HTTP to the Docker Engine, over a unix socket or TCP: one libcurl handle with one kept-alive
 * connection, one call at a time. What the paths and answers mean is known above (call.h).
 *
 * A connection that the engine closed while it was idle does not fail a call: libcurl connects anew
 * and sends the request again, if nothing of an answer had come over the old connection.
 */
#ifndef BACKEND_DOCKER_HTTP_H
#define BACKEND_DOCKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "backend/error.h"
#include "backend/metrics.h"

enum { DOCKER_ANSWER_MAX = 1024 * 1024 };

struct docker_http;

/* Takes the next @len bytes of an answer; a negative return gives the call up. With @len 0 nothing
 * has come for a while (about a second). */
typedef int (*docker_take_fn)(void *arg, const char *data, size_t len);

/* A request. Everything is borrowed for the call. */
struct docker_request {
    enum metrics_call call;     /* what it is, for those who count calls */
    const char *method;         /* "GET", "POST" or "DELETE" */
    const char *path;           /* with its query, escaped already */
    const json_t *body;         /* sent as JSON; NULL: none */
    const int *tar_fd;          /* a tar that is streamed until its end; NULL: none */
    long timeout_ms;            /* of the whole call */
    size_t answer_max;          /* bytes that the answer may have; 0: DOCKER_ANSWER_MAX */
    int fine[2];                /* statuses from 400 up that docker_exchange() takes for success */
    const char *const *headers; /* more of them, NULL-terminated; NULL: none */
    docker_take_fn take;        /* gets a successful answer's body as it comes; NULL: it is kept */
    void *take_arg;
};

/* Lifetime: scope. Initialise with {0}; docker_answer_done() frees the body. */
struct docker_answer {
    int status;
    bool fresh; /* a connection was opened for it, so the engine may be another one than before */
    struct buf body;
};

/*
 * A handle for the engine at @host ("unix:///path" or "tcp://host:port"), not yet connected.
 * Errors: ERR_VALIDATION for a host of another kind, ERR_INTERNAL.
 */
int docker_http_new(const char *host, struct docker_http **ret, struct error *err);

/* Close the connection. */
void docker_http_free(struct docker_http *h);
CLEANUP_FN(struct docker_http *, docker_http_free)

/*
 * Make one call; an answer of any status is a success. A descriptor that is streamed should be a
 * file: where read(2) on it blocks, the timeout does not count.
 * Errors: ERR_DOCKER_DOWN (no connection, no answer in time, cut off), ERR_INTERNAL (an answer that
 * is not HTTP or over its ceiling), -ECANCELED with no error noted where req->take gave it up: then
 * the connection is closed, by which the engine learns of it.
 */
int docker_http_call(struct docker_http *h, const struct docker_request *req,
                     struct docker_answer *ret, struct error *err);

/* Free the body of @a. */
void docker_answer_done(struct docker_answer *a);

/* Append @text to @b, percent-encoded for a path part or a query value. Returns as buf_append(). */
int docker_http_escape(struct buf *b, const char *text);

#endif
