/* Files and accounts: see check_state.h. */
#include "fcgi/check_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/token_key.h"
#include "fcgi/accounts.h"

static int
say(json_t *sentences, const char *format, ...)
{
    va_list ap;
    json_t *sentence;

    va_start(ap, format);
    sentence = json_vsprintf(format, ap);
    va_end(ap);
    return json_array_append_new(sentences, sentence);
}

/* Whether @account may read what @st is of; its further groups do not count, for roles give them
 * up.
 */
static bool
may_read(const struct passwd *account, const struct stat *st)
{
    if (st->st_uid == account->pw_uid)
        return st->st_mode & S_IRUSR;
    return st->st_mode & (st->st_gid == account->pw_gid ? S_IRGRP : S_IROTH);
}

/* One YAML file: @is_private if it is not everybody's to read. */
static int
check_file(const char *path, bool is_private, const struct passwd *account, json_t *warnings,
           json_t *refusals)
{
    struct stat st;
    int r = 0;

    if (stat(path, &st) < 0)
        return say(refusals, "%s: errno %d", path, errno);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        r = say(warnings, "%s belongs to uid %u, who can change it: chown root %s", path,
                (unsigned)st.st_uid, path);
    if (r == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
        r = say(warnings, "%s can be changed by others than its owner (mode %04o): chmod go-w %s",
                path, (unsigned)st.st_mode & 07777, path);
    if (r == 0 && is_private && st.st_mode & S_IROTH)
        r = say(warnings, "%s can be read by everybody on this machine (mode %04o): chmod o-r %s",
                path, (unsigned)st.st_mode & 07777, path);
    if (r == 0 && account && !may_read(account, &st))
        r = say(refusals,
                "%s cannot be read by the account '%s', which reads it again at every reload: "
                "chgrp %u %s; chmod g+r %s",
                path, account->pw_name, (unsigned)account->pw_gid, path, path);
    return r;
}

int
check_yaml_files(const char *yaml_dir, const struct settings *s, json_t *warnings, json_t *refusals)
{
    const struct passwd *account = accounts_find(s->service.user);
    char path[PATH_MAX];
    int r = 0;

    for (int i = 0; r == 0 && i < SETTINGS_DOCUMENT_COUNT; i++) {
        snprintf(path, sizeof(path), "%s/%s", yaml_dir, settings_file_names[i]);
        r = check_file(path, i == SETTINGS_ACCESS, account, warnings, refusals);
    }
    if (r == 0 && s->builds.credentials[0])
        r = check_file(s->builds.credentials, true, account, warnings, refusals);
    return r;
}

static int
check_accounts(const struct settings *s, json_t *warnings, json_t *refusals)
{
    const struct strings *peers = &s->service.allowed_peers;
    int r = 0;

    if (!accounts_find(s->service.user))
        r = say(refusals, "sandbox.yaml: service.user: there is no account '%s'", s->service.user);
    for (size_t i = 0; r == 0 && i < peers->count; i++)
        if (!accounts_find(peers->items[i]))
            r = say(i == 0 ? refusals : warnings,
                    "sandbox.yaml: service.allowed_peers: there is no account '%s'",
                    peers->items[i]);
    return r;
}

/* Whether a manager holds the lock of its pid file. */
static bool
is_running(const char *dir)
{
    char path[PATH_MAX];
    _cleanup_(closep) int fd = -1;

    snprintf(path, sizeof(path), "%s/run/sandboxd.pid", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

/* One of the sockets that nginx connects to. */
static int
check_socket(const char *dir, const char *name, json_t *warnings)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s/run/%s", dir, name);
    if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return say(warnings, "%s is not there: nginx finds nobody", path);
    if (st.st_mode & S_IRWXO)
        return say(warnings, "%s is open to every account of this machine (mode %04o)", path,
                   (unsigned)st.st_mode & 07777);
    return 0;
}

static int
check_sockets(const char *dir, json_t *warnings)
{
    int r;

    if (!is_running(dir))
        return say(warnings, "sandboxd does not run in %s", dir);
    r = check_socket(dir, "control.sock", warnings);
    if (r == 0)
        r = check_socket(dir, "exec.sock", warnings);
    return r < 0 ? r : check_socket(dir, "auth.sock", warnings);
}

/* A file that is nobody else's to read. */
static int
check_private(const char *dir, const char *name, json_t *warnings)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (stat(path, &st) < 0 || !(st.st_mode & (S_IRWXG | S_IRWXO)))
        return 0;
    return say(warnings, "%s can be read or changed by others (mode %04o): chmod 600 %s", path,
               (unsigned)st.st_mode & 07777, path);
}

int
check_state(const char *dir, const struct settings *s, json_t *warnings, json_t *refusals)
{
    int r = check_accounts(s, warnings, refusals);

    if (r == 0)
        r = check_sockets(dir, warnings);
    if (r == 0)
        r = check_private(dir, "sandbox.db", warnings); /* tenants' commands and output */
    return r < 0 ? r : check_private(dir, TOKEN_KEY_FILE, warnings);
}
