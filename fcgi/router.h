/*
 * From a request as it came to its answer: find the route, run the checks in the order that
 * handler.h promises, call the handler.
 */
#ifndef FCGI_ROUTER_H
#define FCGI_ROUTER_H

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/store/records.h"
#include "fcgi/request.h"
#include "handlers/handler.h"

struct stream;

/* Lifetime: request. Initialise with {0}. */
struct answer {
    struct response response;
    struct error error; /* ERR_NONE: the response counts, else this does */
    char allow[64];     /* for a 405: the methods of the path */
    bool replayed;      /* the first answer to this Idempotency-Key, once more */
    /* What only authenticate() answers: */
    char user[OWNER_SIZE]; /* who it is; "" for nobody */
    const char *challenge; /* of a 401; NULL: that of basic authentication */
};

/*
 * Answer @in by the NULL-terminated array @tables of route tables. @b has its settings of this
 * request (backend_begin()); @stream is for a handler that answers in pieces, @peer_fd for it to
 * see the client go away. The outcome is in @a, unless @stream was begun.
 */
void router_serve(const struct route *const *tables, struct backend *b, const struct incoming *in,
                  struct stream *stream, int peer_fd, struct answer *a);

/* The route of @in, which is known before its body is read; NULL: there is none. */
const struct route *router_find(const struct route *const *tables, const struct incoming *in);

/* Give back what an answer holds. */
void answer_done(struct answer *a);

#endif
