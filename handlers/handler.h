/*
 * The contract between fcgi/ and handlers/: fcgi fills a `struct request` that is already checked
 * (path, method, identity, role, size, JSON, fields, query), a handler fills a `struct response`.
 */
#ifndef HANDLERS_HANDLER_H
#define HANDLERS_HANDLER_H

#include <stddef.h>

#include <jansson.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/config/settings.h"
#include "backend/error.h"
#include "backend/schema.h"

enum { PATH_PARAMS_MAX = 2 };

/* What the client would rather have than JSON (its Accept header). */
enum accept { ACCEPT_JSON, ACCEPT_EVENTS, ACCEPT_LINES };

/* The media types of the latter two. */
#define EVENTS_TYPE "text/event-stream"
#define LINES_TYPE "application/x-ndjson"

/*
 * An answer that is sent in pieces while the handler runs. Once begun, the status is 200 and what
 * fails later is the handler's to tell the client; its response counts no more.
 * Lifetime: request.
 */
struct stream {
    bool begun;
    /* Send the headers. Returns 0, or -EPIPE if the client takes no more. */
    int (*begin)(struct stream *s, const char *content_type);
    /* Send @len bytes at once. Returns as begin. */
    int (*write)(struct stream *s, const char *data, size_t len);
    /* The failure @err as an answer would show it: a new reference, or NULL out of memory. */
    json_t *(*problem)(const struct stream *s, const struct error *err);
};

/* Lifetime: request. Everything is borrowed from the server for that long. */
struct request {
    const char *method;
    const char *path; /* below the base path: "/containers/container_0123456789ab" */
    const char *params[PATH_PARAMS_MAX]; /* what matched the route's {…}, in order; NULL beyond */
    const char *user;                    /* the authenticated user: the owner of what is made */
    int role;                            /* enum role */
    const char *request_id; /* for X-Request-Id and the audit; 1..64 of [A-Za-z0-9._-] */
    const char *if_match;   /* the If-Match header, or NULL */
    const void *body;       /* the route's body struct, decoded; NULL if it has none */
    json_t *json;           /* the body as it came; NULL if the route takes none */
    const void *query;      /* the route's query struct, decoded; NULL if it has none */
    json_t *query_json;     /* the query as it came, an object; NULL if the route takes none */
    const char *action;     /* method and path, for change entries */
    const char *nonce;      /* of a request with an Idempotency-Key, else NULL: ids of what it makes
                               are derived from it (id_derived()) */
    bool resumed; /* an earlier attempt with this nonce broke off: what it made is there */
    enum accept accept;
    struct stream *stream; /* not begun */
    int peer_fd;           /* POLLRDHUP here says that the client went away */
    struct backend *backend;
};

/* Lifetime: request. Initialise with {0}. */
struct response {
    int status;
    json_t *json;          /* owned; NULL for 204 */
    char *text;            /* owned: text/plain instead of JSON */
    const char *text_type; /* what it is, where it is not "text/plain; charset=utf-8"; or NULL */
    char etag[40];         /* with its quotes; "" for none */
};

typedef int (*handler_fn)(const struct request *req, struct response *res, struct error *err);

/*
 * One operation. A table of them ends with a zeroed one. The order of checks is: path (404), method
 * (405), identity (401), role (403), size (413), media type (415), JSON (400), fields (422), query
 * (400), Idempotency-Key (400 malformed, 409 used for another request).
 */
struct route {
    const char *method;
    const char *path; /* "{id}" stands for one segment of [A-Za-z0-9._-]+ */
    int role;         /* enum role: the least that may; ROLE_UNSET refuses everyone */
    handler_fn handle;
    /*
     * Where the answer is too large to be kept for a request that comes again with its
     * Idempotency-Key: build the answer again from what the first attempt left. Returns -ENOENT,
     * without an error noted, if that has begun nothing. NULL: answers are kept.
     */
    handler_fn replay;
    const struct field *body;  /* NULL: the operation takes no body, and one sent is refused */
    size_t body_size;          /* bytes of the body struct */
    size_t body_max;           /* bytes a body may have; 0: BODY_MAX_BYTES of fcgi/request.h */
    bool body_raw;             /* the handler reads req->json itself (PUT config's merge patch) */
    const struct field *query; /* NULL: any query parameter is refused */
    size_t query_size;         /* bytes of the query struct */
    /* For the API's description (handlers/openapi/): */
    const char *summary; /* one line */
    const char *doc;     /* what else there is to say; or NULL */
    const char
        *answers; /* of success: statuses with the name of a schema in components.json, a media
                     type, or nothing for no content: "201 Container, 200 Container", "204" */
    const char *errors; /* statuses beyond those that any operation of its kind may have: "502"; or
                           NULL */
    bool events;        /* EVENTS_TYPE, for those who accept it */
    bool lines;         /* LINES_TYPE, likewise */
};

/* Every route of the API: a NULL-terminated array of tables. */
extern const struct route *const route_tables[];

/* Who sent @req. */
struct caller request_caller(const struct request *req);

/*
 * Answer @status with @json, whose reference is taken (NULL: ran out of memory while building it).
 * Returns 0, or -EIO (ERR_INTERNAL) for a NULL.
 */
int response_json(struct response *res, int status, json_t *json, struct error *err);

/* Answer 200 with @text (UTF-8), which is taken, as plain text. Returns 0. */
int response_text(struct response *res, char *text);

#endif
