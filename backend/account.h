/*
 * The accounts of the host that users' commands run as (`run_as` of access.yaml). Workers and the
 * broker look them up alike, and each for itself.
 */
#ifndef BACKEND_ACCOUNT_H
#define BACKEND_ACCOUNT_H

#include <stdint.h>

#include "backend/config/settings.h"
#include "backend/error.h"

/*
 * Find the uid and gid that @user's commands are to have. Returns 1, or 0 if access.yaml names
 * none: then it is one of the service's range. Errors: ERR_CONFLICT (the host has no such account,
 * or one that no tenant may have), ERR_INTERNAL.
 */
int account_find(const struct settings *s, const char *user, int64_t *ret_uid, int64_t *ret_gid,
                 struct error *err);

#endif
