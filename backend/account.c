/* Accounts of the host: see account.h. */
#include "backend/account.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "backend/config/source.h"

enum { NAME_MAX_BYTES = 256, ENTRY_SIZE = 16384 /* of a line of passwd(5), groups left out */ };

/* Put @user into the place that the account's name @pattern has for it. */
static int
spell(const char *pattern, const char *user, char out[NAME_MAX_BYTES])
{
    const char *place = strstr(pattern, RUN_AS_USER);
    int len = place ? snprintf(out, NAME_MAX_BYTES, "%.*s%s%s", (int)(place - pattern), pattern,
                               user, place + strlen(RUN_AS_USER))
                    : snprintf(out, NAME_MAX_BYTES, "%s", pattern);

    return len < NAME_MAX_BYTES ? 0 : -ENAMETOOLONG;
}

static int
refuse(const struct access_rule *rule, const char *what, struct error *err)
{
    char key[SOURCE_SIZE];

    source_access(rule, ACCESS_KEY_RUN_AS, key);
    return error_set(err, ERR_CONFLICT, "%s names %s", key, what);
}

/* The host's account of @rule for @user. */
static int
look_up(const struct access_rule *rule, const char *user, int64_t *ret_uid, int64_t *ret_gid,
        struct error *err)
{
    char name[NAME_MAX_BYTES], entry[ENTRY_SIZE];
    struct passwd account, *found = NULL;
    int rc;

    if (spell(rule->run_as.account, user, name) < 0)
        return refuse(rule, "too long an account", err);
    rc = getpwnam_r(name, &account, entry, sizeof(entry), &found);
    if (!found && (rc == 0 || rc == ENOENT || rc == ESRCH))
        return refuse(rule, "an account that the host does not have", err);
    if (!found)
        return error_errno(err, rc, "getpwnam_r");
    *ret_uid = account.pw_uid;
    *ret_gid = account.pw_gid;
    return 0;
}

int
account_find(const struct settings *s, const char *user, int64_t *ret_uid, int64_t *ret_gid,
             struct error *err)
{
    const struct access_rule *rule = settings_access(s, user);
    int64_t uid = rule->run_as.uid, gid = rule->run_as.gid ? rule->run_as.gid : uid;
    int r = 0;

    if (!rule->run_as.account && uid == 0)
        return 0;
    if (rule->run_as.account)
        r = look_up(rule, user, &uid, &gid, err);
    if (r < 0)
        return r;
    if (!settings_account_fits(s, uid) || !settings_account_fits(s, gid))
        return refuse(rule,
                      "an account whose uid or gid is the system's (below 1000), nobody's or of "
                      "the service's own range",
                      err);
    *ret_uid = uid;
    *ret_gid = gid;
    return 1;
}
