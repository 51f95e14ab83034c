/* Whether a user's role is enough for what they ask. */
#ifndef BACKEND_PERMISSION_H
#define BACKEND_PERMISSION_H

#include "backend/config/settings.h"
#include "backend/error.h"

/*
 * Check that access.yaml gives @user at least the role @least (enum role; ROLE_UNSET: nobody has
 * enough), which is then in *ret_role. Errors: ERR_FORBIDDEN, whose sentence names the rule.
 */
int permission_check(const struct settings *s, const char *user, int least, int *ret_role,
                     struct error *err);

#endif
