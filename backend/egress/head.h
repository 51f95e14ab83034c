/*
 * The head of a proxy request (RFC 9112): which host and port it asks for, and how it is written
 * for that host's server. What two readers could read in two ways is refused: whoever is careful
 * about the host must not be careless about where a request ends.
 */
#ifndef BACKEND_EGRESS_HEAD_H
#define BACKEND_EGRESS_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include <http_parser.h>

#include "backend/buf.h"
#include "backend/egress/address.h"
#include "backend/egress/name.h"

enum { EGRESS_HEAD_MAX = 16384, EGRESS_HEAD_FIELDS_MAX = 128 };

enum egress_head_status {
    EGRESS_HEAD_MORE,    /* so far it is one; more has to come */
    EGRESS_HEAD_CONNECT, /* a tunnel is asked for */
    EGRESS_HEAD_FORWARD, /* a request in absolute form, to be forwarded */
    EGRESS_HEAD_BAD      /* refused: @why */
};

/* A piece of the head. */
struct egress_span {
    const char *at;
    size_t len;
};

/* What was read. Spans are borrowed from the head's bytes. */
struct egress_head {
    char host[EGRESS_NAME_SIZE]; /* in its one spelling; "" if it was not read */
    unsigned port;               /* 0 if it was not read */
    bool literal;                /* @host is the text of @address */
    struct egress_address address;
    size_t len;              /* bytes of the head, with the empty line */
    const char *why;         /* EGRESS_HEAD_BAD: what is wrong; static */
    bool chunked;            /* the body's framing, of a request to be forwarded */
    bool complete;           /* it has no body */
    http_parser parser;      /* has read the head, and goes on with the body */
    struct egress_span path; /* of the target, as asked for: path and query */
    struct egress_span names[EGRESS_HEAD_FIELDS_MAX], values[EGRESS_HEAD_FIELDS_MAX];
    size_t fields;
};

/*
 * Read the first @len bytes that a client has sent. Host and port are set as far as they were read,
 * also of what is refused, so that it can be said who was asked for.
 */
enum egress_head_status egress_head_read(const char *data, size_t len, struct egress_head *ret);

/*
 * Append the head @h, as the origin's server is to get it, to @out: origin form, the host of the
 * target, without the fields that are between client and proxy (RFC 9110, 7.6.1), with `Connection:
 * close`. Returns 0, or as buf_append().
 */
int egress_head_forward(const struct egress_head *h, struct buf *out);

#endif
