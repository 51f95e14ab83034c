/*
 * Who sends a request, by its bearer token: what nginx's auth_request asks on a socket of its own,
 * on which nothing else is answered. The Authorization header comes to that socket only, as the
 * parameter HTTP_AUTHORIZATION.
 */
#ifndef FCGI_AUTHENTICATE_H
#define FCGI_AUTHENTICATE_H

#include "fcgi/router.h"

/*
 * Answer @in, whatever its method and path: 204 and whom the token stands for, or 401 with the
 * challenge of RFC 6750. @b NULL: there was no memory for one. The outcome is in @a.
 */
void authenticate(struct backend *b, const struct incoming *in, struct answer *a);

#endif
