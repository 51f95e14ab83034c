/*
 * Making the user's places: see home.h. Without CAP_CHOWN a directory belongs to the user only if
 * the user makes it, so its parent is writable for all for that moment; no command runs yet.
 */
#include "backend/guest/inside/home.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_SIZE = PATH_MAX + 64 };

/* mkdirat() as the user. Returns 0 or an errno. */
static int
mkdir_as_user(const struct guest *g, int parent, const char *name)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return errno;
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(g->gid, g->gid, g->gid) < 0 ||
            setresuid(g->uid, g->uid, g->uid) < 0 || mkdirat(parent, name, 0700) < 0)
            _exit(errno);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/*
 * What an image has at the user's place. An empty directory makes room for a new one (0); one of
 * root's that holds something is opened to the user (EEXIST, as is what is the user's already).
 */
static int
make_room(const struct guest *g, int parent, const char *name)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    if (st.st_uid == g->uid)
        return EEXIST;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    return st.st_uid == 0 && fchmodat(parent, name, 01777, 0) == 0 ? EEXIST : EPERM;
}

/* Make @name in the directory @parent, owned by the user. Returns 0 or an errno. */
static int
make_in(const struct guest *g, int parent, const char *name)
{
    struct stat st;
    int r = make_room(g, parent, name);

    if (r != 0)
        return r == EEXIST ? 0 : r;
    if (fstat(parent, &st) < 0 || fchmod(parent, 01777) < 0)
        return errno;
    r = mkdir_as_user(g, parent, name);
    if (fchmod(parent, st.st_mode & 07777) < 0 && r == 0)
        r = errno;
    return r;
}

/* Make the directory @path, owned by the user, and its parent, owned by root, where they are
 * missing. */
static void
make_directory(const struct guest *g, const char *path)
{
    char parent_path[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int parent, r;

    if (!slash || slash[1] == '\0' || (size_t)(slash - path) >= sizeof(parent_path)) {
        complain(path, EINVAL);
        return;
    }
    snprintf(parent_path, sizeof(parent_path), "%.*s", (int)(slash - path), path);
    if (slash != path)
        mkdir(parent_path, 0755); /* usually there; the open tells */
    parent =
        open(slash == path ? "/" : parent_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = parent < 0 ? errno : make_in(g, parent, slash + 1);
    if (r != 0)
        complain(path, r);
    if (parent >= 0)
        close(parent);
}

/* Whether a line of @file, which is passwd or group, has @id in its third field. */
static bool
has_id(FILE *file, unsigned id, bool *ret_line_open)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    bool found = false;

    *ret_line_open = false;
    while (!found && (len = getline(&line, &size, file)) > 0) {
        const char *field = strchr(line, ':');

        field = field ? strchr(field + 1, ':') : NULL;
        found = field && field[1] >= '0' && field[1] <= '9' && strtoul(field + 1, NULL, 10) == id;
        *ret_line_open = line[len - 1] != '\n';
    }
    free(line);
    return found;
}

/* Append @line to the file @fd unless it knows @id. Returns 0 or an errno. */
static int
append_line(int fd, unsigned id, const char *line)
{
    FILE *file = fdopen(fd, "r+");
    bool line_open;
    int r = 0;

    if (!file)
        return errno;
    if (!has_id(file, id, &line_open) &&
        (fseek(file, 0, SEEK_END) < 0 || fprintf(file, "%s%s", line_open ? "\n" : "", line) < 0))
        r = errno;
    return fclose(file) == EOF && r == 0 ? errno : r;
}

/* Append @line to the file @path unless it knows @id. A file that is missing is made. */
static void
add_line(const char *path, unsigned id, const char *line)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        r = errno;
    else
        r = S_ISREG(st.st_mode) ? append_line(fd, id, line) : EINVAL;
    if (r != 0)
        complain(path, r);
}

static void
prepare(const struct guest *g)
{
    char line[LINE_SIZE];

    make_directory(g, g->home);
    if (g->workspace)
        make_directory(g, g->workspace);
    snprintf(line, sizeof(line), "sandbox:x:%u:%u:sandbox:%s:/bin/sh\n", g->uid, g->gid, g->home);
    add_line("/etc/passwd", g->uid, line);
    snprintf(line, sizeof(line), "sandbox:x:%u:\n", g->gid);
    add_line("/etc/group", g->gid, line);
}

void
home_prepare(const struct guest *g)
{
    pid_t pid = fork();

    if (pid < 0) {
        complain("fork", errno);
        return;
    }
    if (pid == 0) {
        prepare(g);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}
