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

enum { LINE_SIZE = PATH_MAX + 64, FILE_MAX = 1 << 20 };

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
    if (errno == EBUSY && g->former != 0)
        return EEXIST; /* a mount, by somebody who knows better */
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

/* Take the line that begins with @start out of @text. Returns whether there was one. */
static bool
drop_line(char *text, const char *start)
{
    char *line = text;
    bool found = false;

    while (*line != '\0') {
        char *end = strchrnul(line, '\n');
        char *next = *end ? end + 1 : end;

        if (strncmp(line, start, strlen(start)) == 0) {
            memmove(line, next, strlen(next) + 1);
            found = true;
        } else {
            line = next;
        }
    }
    return found;
}

/* Whether a line of @text, which is passwd or group, has @id in its third field. */
static bool
has_id(const char *text, unsigned id)
{
    const char *line, *end, *field;

    for (line = text; *line != '\0'; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');
        field = memchr(line, ':', (size_t)(end - line));
        field = field ? memchr(field + 1, ':', (size_t)(end - field - 1)) : NULL;
        if (field && field[1] >= '0' && field[1] <= '9' && strtoul(field + 1, NULL, 10) == id)
            return true;
    }
    return false;
}

/* Read the file @fd of @size bytes, with room for @more. Returns NULL, with errno, on failure. */
static char *
read_text(int fd, size_t size, size_t more)
{
    char *text = calloc(1, size + more + 1);
    size_t have = 0;
    ssize_t len;

    while (text && have < size && (len = pread(fd, text + have, size - have, (off_t)have)) > 0)
        have += (size_t)len;
    if (!text || have == size)
        return text;
    free(text);
    errno = EIO;
    return NULL;
}

/* Append @line to @text, which has room for it, unless that knows @id. Returns whether it did. */
static bool
append_line(char *text, unsigned id, const char *line)
{
    size_t len = strlen(text);

    if (has_id(text, id))
        return false;
    if (len > 0 && text[len - 1] != '\n')
        text[len++] = '\n';
    memcpy(text + len, line, strlen(line) + 1);
    return true;
}

/* In the file @fd, replace the line that begins with @former (may be NULL) by @line, which is not
 * needed where @id is known. Returns 0 or an errno. */
static int
edit_lines(int fd, size_t size, const char *former, unsigned id, const char *line)
{
    char *text = read_text(fd, size, strlen(line) + 1);
    bool dropped, appended;
    size_t len;
    int r = 0;

    if (!text)
        return errno;
    dropped = former && drop_line(text, former);
    appended = append_line(text, id, line);
    len = strlen(text);
    if ((dropped || appended) &&
        (pwrite(fd, text, len, 0) != (ssize_t)len || ftruncate(fd, (off_t)len) < 0))
        r = errno;
    free(text);
    return r;
}

/* The same for the file @path. One that is missing is made. */
static void
edit_file(const char *path, const char *former, unsigned id, const char *line)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        r = errno;
    else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        r = EINVAL;
    else
        r = edit_lines(fd, (size_t)st.st_size, former, id, line);
    if (r != 0)
        complain(path, r);
    if (fd >= 0)
        close(fd);
}

static void
prepare(const struct guest *g)
{
    char former[32], line[LINE_SIZE];
    const char *drop = g->former != 0 ? former : NULL;

    make_directory(g, g->home);
    if (g->workspace)
        make_directory(g, g->workspace);
    snprintf(former, sizeof(former), "sandbox:x:%u:", g->former);
    snprintf(line, sizeof(line), "sandbox:x:%u:%u:sandbox:%s:/bin/sh\n", g->uid, g->gid, g->home);
    edit_file("/etc/passwd", drop, g->uid, line);
    snprintf(line, sizeof(line), "sandbox:x:%u:\n", g->gid);
    edit_file("/etc/group", drop, g->gid, line);
}

int
home_prepare(const struct guest *g)
{
    pid_t pid = fork();

    if (pid < 0)
        return errno;
    if (pid == 0) {
        if (setegid(getgid()) == 0) /* ours is the host's business */
            prepare(g);
        _exit(0);
    }
    return waitpid(pid, NULL, 0) < 0 ? errno : 0;
}
