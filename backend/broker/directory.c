/* Directories that the host shares with containers: see directory.h. */
#include "backend/broker/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/beneath.h"
#include "backend/cleanup.h"
#include "backend/egress/egress.h"
#include "backend/guest/protocol.h"

int
guest_directory_make(int state_fd, const char *id, uid_t uid, gid_t gid, struct error *err)
{
    _cleanup_(closep) int guests = beneath_open(state_fd, "guests", O_PATH | O_DIRECTORY);
    int r;

    if (guests < 0)
        return error_errno(err, errno, "guests");
    r = guest_directory_remove(state_fd, id, err);
    if (r < 0)
        return r;
    /* chmod after chown: a change of owner clears the setgid bit. */
    if (mkdirat(guests, id, 0700) < 0 || fchownat(guests, id, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(guests, id, 02750, 0) < 0)
        return error_errno(err, errno, "make guest directory");
    return 0;
}

/* Remove a file or an empty directory; missing is fine. Returns 1 for a directory that holds
 * something. */
static int
remove_plain(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* A tree on its way out: however deep its guest made it, it is taken apart level by level. */
struct removal {
    int top;        /* the directory that everything below is moved up to */
    unsigned moved; /* names the next one */
    bool any;       /* this pass over the top found something */
};

/* Open the directory @name: nothing is followed, no mount is crossed. */
static int
open_same_mount(int parent, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };

    return (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
}

/* Call @act for every entry of the directory @fd, which is closed; a failure ends it. */
static int
each_entry(int fd, int (*act)(struct removal *x, int dir, const char *name), struct removal *x)
{
    _cleanup_(closedirp) DIR *dir = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 &&
           (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = act(x, dirfd(dir), entry->d_name);
    return r;
}

/* Remove the entry, or move it to the top. */
static int
lift(struct removal *x, int dir, const char *name)
{
    char fresh[16];
    int r = remove_plain(dir, name);

    while (r == 1) {
        snprintf(fresh, sizeof(fresh), "~%u", x->moved++);
        if (renameat2(dir, name, x->top, fresh, RENAME_NOREPLACE) == 0)
            r = 0;
        else if (errno != EEXIST)
            r = -errno;
    }
    return r;
}

/* Remove an entry of the top. */
static int
dissolve(struct removal *x, int dir, const char *name)
{
    int r = remove_plain(dir, name);
    int fd;

    x->any = true;
    if (r <= 0)
        return r;
    fd = open_same_mount(dir, name);
    r = fd < 0 ? -errno : each_entry(fd, lift, x);
    if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

/* Remove @name in @parent with what is below it. */
static int
remove_tree(int parent, const char *name)
{
    int r = remove_plain(parent, name);
    _cleanup_(closep) int top = r == 1 ? open_same_mount(parent, name) : -1;
    struct removal x = {.top = top};

    if (r <= 0)
        return r;
    if (top < 0)
        return -errno;
    do {
        int fd = open_same_mount(parent, name);

        x.any = false;
        r = fd < 0 ? -errno : each_entry(fd, dissolve, &x);
    } while (r == 0 && x.any);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

/* Remove what is called @id in the state directory's @directory. */
static int
remove_below(int state_fd, const char *directory, const char *id, struct error *err)
{
    _cleanup_(closep) int parent = beneath_open(state_fd, directory, O_PATH | O_DIRECTORY);
    int r = parent < 0 ? -errno : remove_tree(parent, id);

    return r < 0 ? error_errno(err, -r, directory) : 0;
}

int
guest_directory_remove(int state_fd, const char *id, struct error *err)
{
    return remove_below(state_fd, "guests", id, err);
}

int
egress_directory_make(int state_fd, const char *id, uid_t uid, gid_t gid, struct error *err)
{
    _cleanup_(closep) int parent = beneath_open(state_fd, EGRESS_DIRECTORY, O_PATH | O_DIRECTORY);
    _cleanup_(closep) int fd = -1;

    if (parent < 0)
        return error_errno(err, errno, EGRESS_DIRECTORY);
    if (mkdirat(parent, id, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make egress directory");
    fd = beneath_open(parent, id, O_RDONLY | O_DIRECTORY);
    /* One that a crash left half made is put right. */
    if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, 0711) < 0)
        return error_errno(err, errno, "make egress directory");
    return 0;
}

int
egress_directory_remove(int state_fd, const char *id, struct error *err)
{
    return remove_below(state_fd, EGRESS_DIRECTORY, id, err);
}

int
guest_sockets_remove(int state_fd, const char *id, struct error *err)
{
    static const char *const names[] = {GUEST_SOCKET, GUEST_CONTROL_SOCKET};
    _cleanup_(closep) int guests = beneath_open(state_fd, "guests", O_PATH | O_DIRECTORY);
    _cleanup_(closep) int own = guests < 0 ? -1 : beneath_open(guests, id, O_PATH | O_DIRECTORY);
    int r = 0;

    if (own < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "guest directory");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
        r = remove_tree(own, names[i]);
    return r < 0 ? error_errno(err, -r, "remove the guest's sockets") : 0;
}
