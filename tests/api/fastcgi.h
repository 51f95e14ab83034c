/*
 * A FastCGI client that speaks to the service's sockets past nginx, for what nginx would never let
 * through: parameters twice or missing, bodies over its limit, peers of another uid.
 */
#ifndef TESTS_API_FASTCGI_H
#define TESTS_API_FASTCGI_H

#include "tests/api/client.h"

/* A list of them ends with a zeroed one. */
struct fastcgi_param {
    const char *name, *value;
};

/* Everything that a request of @user to @path (below the base path) needs; @list has room for 8. */
void fastcgi_params(struct fastcgi_param list[8], const char *user, const char *method,
                    const char *path);

/*
 * Send a request with @params and a body of @len bytes to the socket run/@socket, as the account
 * @account ("USER", or "USER:GROUP" for another group, by which it has to be able to connect). The
 * caller frees the reply; its status is 0 if the service closed without an answer.
 */
struct reply fastcgi_call(const char *account, const char *socket,
                          const struct fastcgi_param *params, const void *body, size_t len);

#endif
