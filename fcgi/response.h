/* What goes out: a response or a problem as FastCGI's bytes. */
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include <stdbool.h>

#include <fcgiapp.h>

#include "fcgi/router.h"

/*
 * Write the answer @a to the request @in. Returns 0, or -EPIPE if the peer does not take it.
 */
int response_send(FCGX_Stream *out, const struct incoming *in, const struct answer *a);

#endif
