/* Accounts of this machine, as the settings name them. For processes that have no threads yet. */
#ifndef FCGI_ACCOUNTS_H
#define FCGI_ACCOUNTS_H

#include <pwd.h>

#include "backend/backend.h"

/* The account @name; NULL if there is none. Good until the next call. */
const struct passwd *accounts_find(const char *name);

/*
 * Decide which account is whose: the unprivileged roles' (to @ctx), and the group that may reach
 * the FastCGI sockets, that of the first peer. Without root, everything stays with the caller's
 * account. Errors: ERR_VALIDATION where the settings name no such account.
 */
int accounts_choose(struct service_context *ctx, const struct service *service, gid_t *ret_peer_gid,
                    struct error *err);

#endif
