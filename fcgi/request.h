/*
 * What comes in: the FastCGI parameters, the body and the query string, checked for form and turned
 * into what the router works on. Nothing here knows a route.
 */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fcgiapp.h>
#include <jansson.h>

#include "backend/buf.h"
#include "backend/error.h"
#include "backend/schema.h"

enum {
    BODY_MAX_BYTES = 1 << 20,  /* of a body, where the route says nothing else */
    BODY_DEPTH_MAX = 32,       /* of nested arrays and objects */
    BODY_VALUES_MAX = 1 << 16, /* a value costs up to 200 bytes of memory for 2 of the body's */
    REQUEST_ID_MAX = 64
};

/* Lifetime: request. Strings are borrowed from the FastCGI parameters; NULL: not given. */
struct incoming {
    const char *method;
    const char *path; /* below the base path, "" for the base itself; NULL: not ours */
    const char *user; /* NULL: nobody, or not certain who */
    const char *query_string;
    const char *content_type;
    const char *if_match;
    const char *accept;
    const char *idempotency_key;
    const char *authorization; /* nginx passes it to the authentication's socket alone */
    char request_id[REQUEST_ID_MAX + 1];
    int64_t content_length; /* as announced; -1: not */
    const char *body;       /* not NUL-terminated */
    size_t body_len;
    size_t body_max; /* bytes it may have; 0: BODY_MAX_BYTES */
    bool body_too_large;
};

/*
 * Fill @in from the FastCGI parameters @envp. The identity is REMOTE_USER and nothing else; two of
 * it, or a value that is no name, is no identity. Errors: ERR_BAD_QUERY for another parameter that
 * came twice or is malformed; @in is usable for an answer all the same.
 */
int request_params(char *const *envp, struct incoming *in, struct error *err);

/*
 * Read the body to its end into @body, of which @in then borrows. One that is over
 * in->body_max is read and forgotten up to a limit, so that the peer comes to read the answer. On
 * success *ret_at_end says whether the end was reached and another request may follow on the
 * connection. Errors: ERR_BAD_JSON if it is not as long as announced; -EPIPE, without an error
 * noted, if the peer went away, broke the protocol or stayed silent.
 */
int request_body(FCGX_Stream *stream, struct incoming *in, struct buf *body, bool *ret_at_end,
                 struct error *err);

/*
 * Parse the body @bytes as one JSON value without duplicate keys, NULs, invalid UTF-8 or excessive
 * depth. *ret is the caller's. Errors: ERR_BAD_JSON with line and column.
 */
int request_json(const char *bytes, size_t len, json_t **ret, struct error *err);

/*
 * Decode the query string (NULL or "" for none) into an object for schema_decode() by @fields,
 * which may be NULL: then any parameter is refused. Strings, identifiers and choices stay strings;
 * integers, numbers and booleans become what they say. *ret is the caller's. Errors: ERR_BAD_QUERY,
 * which names the parameter.
 */
int request_query(const struct field *fields, const char *query_string, json_t **ret,
                  struct error *err);

#endif
