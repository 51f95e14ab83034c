/* What goes out: a response or a problem as FastCGI's bytes. */
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include <stdbool.h>

#include <fcgiapp.h>

#include "fcgi/router.h"

/* A stream of the handlers' contract over FastCGI. Lifetime: request. */
struct response_stream {
    struct stream stream;
    FCGX_Stream *out;
    const struct incoming *in;
};

/* Prepare @s for the request @in. */
void response_stream_init(struct response_stream *s, FCGX_Stream *out, const struct incoming *in);

/*
 * Write the answer @a to the request @in. Returns 0, or -EPIPE if the peer does not take it.
 */
int response_send(FCGX_Stream *out, const struct incoming *in, const struct answer *a);

#endif
