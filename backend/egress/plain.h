/*
 * One request over plain HTTP and its response, while they pass: the request's body goes on in a
 * framing of ours, so that nothing but it passes, and the response ends where its framing says so.
 */
#ifndef BACKEND_EGRESS_PLAIN_H
#define BACKEND_EGRESS_PLAIN_H

#include <http_parser.h>

#include "backend/egress/head.h"
#include "backend/egress/relay.h"

/* Lifetime: its relay's. */
struct plain {
    http_parser request, response;
    bool chunked; /* the request's body is */
    bool head;    /* the request's method is HEAD: the response has no body */
    bool request_ended, response_ended;
    bool unframed;   /* the response is no HTTP: it ends with its connection */
    struct buf body; /* of the request, as it is to pass, of one read */
};

/* Begin where the request's head @h has ended. */
void plain_init(struct plain *p, const struct egress_head *h);

/* Free what it holds. Fine for a zeroed one. */
void plain_done(struct plain *p);

/* Filters of the relay's ways, whose argument is the struct plain. */
enum relay_step plain_request(void *plain, const char **data, size_t *len);
enum relay_step plain_response(void *plain, const char **data, size_t *len);

#endif
