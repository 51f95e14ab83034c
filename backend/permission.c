/* Permissions: see permission.h. */
#include "backend/permission.h"

#include "backend/config/source.h"

int
permission_check(const struct settings *s, const char *user, int least, int *ret_role,
                 struct error *err)
{
    const struct access_rule *access = settings_access(s, user);
    int role = access->role;
    char source[SOURCE_SIZE];

    if (role == ROLE_UNSET)
        return error_set(err, ERR_FORBIDDEN,
                         "user '%s' has no access to this service: access.yaml names neither them "
                         "nor a default",
                         user);
    if (least == ROLE_UNSET || role < least) {
        source_access(access, ACCESS_KEY_ROLE, source);
        return error_set(err, ERR_FORBIDDEN, "the role '%s' may not do this (%s)",
                         role_names[role - 1], source);
    }
    *ret_role = role;
    return 0;
}
