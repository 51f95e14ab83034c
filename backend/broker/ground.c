/* Workspaces on the tenants' own ground: see ground.h. */
#include "backend/broker/ground.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/cleanup.h"

/* A walk along a path, one component after the other. Lifetime: call. */
struct walk {
    const char *key; /* of access.yaml, for messages */
    uid_t uid;
    gid_t gid;
    int fd;                  /* owned: the directory that has been reached */
    char name[NAME_MAX + 1]; /* the component in hand */
};

static void
walk_done(struct walk *w)
{
    if (w->fd >= 0)
        close(w->fd);
}

static int
refuse(const struct walk *w, const char *why, struct error *err)
{
    return error_set(err, ERR_CONFLICT, "%s: '%.64s' %s", w->key, w->name, why);
}

/* Take the next component of *@path into w->name. Returns false at the end. */
static bool
next(struct walk *w, const char **path)
{
    size_t len;

    *path += strspn(*path, "/");
    len = strcspn(*path, "/");
    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(w->name, *path, len);
    w->name[len] = '\0';
    *path += len;
    return true;
}

/* Open the component in hand, which may be no link, nor, with @resolve, a mount. */
static int
open_component(const struct walk *w, uint64_t resolve)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
    };

    return (int)syscall(SYS_openat2, w->fd, w->name, &how, sizeof(how));
}

/* Go on to @fd, an O_PATH descriptor; < 0: errno says why not. */
static int
step(struct walk *w, int fd, struct error *err)
{
    if (fd >= 0) {
        close(w->fd);
        w->fd = fd;
        return 0;
    }
    switch (errno) {
    case ELOOP:
    case ENOTDIR:
        return refuse(w, "is a link or a file, and has to be a directory", err);
    case EXDEV:
        return refuse(w, "is a mount, and has to be a directory", err);
    case ENOENT:
        return refuse(w, "is not there", err);
    case EACCES:
    case EPERM:
        return refuse(w, "is not the user's to use", err);
    default:
        return error_errno(err, errno, "open workspace");
    }
}

/* Look at what has been reached. A file system of the tenant's own (FUSE) tells root nothing. */
static int
look(const struct walk *w, struct stat *ret, struct error *err)
{
    if (fstat(w->fd, ret) == 0)
        return 0;
    return errno == EACCES ? refuse(w, "is not to be looked at", err)
                           : error_errno(err, errno, "stat workspace");
}

/* Walk the admin's part, in which nobody else may change anything. */
static int
walk_above(struct walk *w, const char *above, struct error *err)
{
    struct stat st;
    int r = 0;

    while (r == 0 && next(w, &above)) {
        r = step(w, open_component(w, 0), err);
        if (r == 0)
            r = look(w, &st, err);
        if (r == 0 && (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0))
            r = refuse(w, "has to be root's, and writable for nobody else", err);
    }
    return r;
}

/* Make the first component of the tenant's, in a directory of root's: under another name first, so
 * that it never stands there without its owner. */
static int
make_first(const struct walk *w)
{
    char fresh[NAME_MAX + 8];

    snprintf(fresh, sizeof(fresh), "%s~new", w->name);
    if (mkdirat(w->fd, fresh, 0700) < 0 && errno != EEXIST)
        return -1;
    if (fchownat(w->fd, fresh, w->uid, w->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat2(w->fd, fresh, w->fd, w->name, RENAME_NOREPLACE) < 0)
        return errno == ENOENT ? 0 : -1; /* another thread has put it in place */
    return 0;
}

/* The way to the tenant's ground: theirs, or root's (who has made the next one for them). */
static int
walk_first(struct walk *w, struct error *err)
{
    struct stat st;
    int fd = open_component(w, 0);
    int r;

    if (fd < 0 && errno == ENOENT) {
        if (make_first(w) < 0)
            return error_errno(err, errno, "make the user's directory");
        fd = open_component(w, 0);
    }
    r = step(w, fd, err);
    if (r == 0)
        r = look(w, &st, err);
    if (r == 0 && st.st_uid != w->uid && st.st_uid != 0)
        r = refuse(w, "is another user's", err);
    return r;
}

/* Walk on the tenant's ground, with their rights. */
static int
walk_ground(struct walk *w, const char *path, struct error *err)
{
    int r = 0;

    while (r == 0 && next(w, &path)) {
        int fd = open_component(w, RESOLVE_NO_XDEV);

        if (fd < 0 && errno == ENOENT && (mkdirat(w->fd, w->name, 0700) == 0 || errno == EEXIST))
            fd = open_component(w, RESOLVE_NO_XDEV);
        r = step(w, fd, err);
    }
    return r;
}

/*
 * Have this thread see files with the rights of @uid and @gid, or again as root. It is the thread's
 * own business: setfsuid(2) takes the capabilities that override permissions with it. Returns
 * whether it worked, which its return value does not say.
 */
static bool
see_as(uid_t uid, gid_t gid)
{
    setfsgid(gid);
    setfsuid(uid);
    return (gid_t)setfsgid((gid_t)-1) == gid && (uid_t)setfsuid((uid_t)-1) == uid;
}

static int
walk_as_tenant(struct walk *w, const char *path, struct error *err)
{
    int r;

    /* glibc's setgroups() would do it to all threads; this one needs none as root. */
    if (syscall(SYS_setgroups, 0, NULL) < 0)
        return error_errno(err, errno, "setgroups");
    r = see_as(w->uid, w->gid) ? walk_ground(w, path, err) : error_errno(err, EPERM, "setfsuid");
    if (!see_as(0, 0))
        abort(); /* never go on as half a root */
    return r;
}

int
ground_open(const char *above, const char *path, uid_t uid, gid_t gid, const char *key, int *ret_fd,
            struct error *err)
{
    _cleanup_(walk_done) struct walk w = {.key = key, .uid = uid, .gid = gid};
    struct stat st;
    int r;

    w.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w.fd < 0)
        return error_errno(err, errno, "open of the root directory");
    r = walk_above(&w, above, err);
    if (r == 0 && !next(&w, &path))
        r = error_errno(err, EINVAL, "workspace root");
    if (r == 0)
        r = walk_first(&w, err);
    if (r == 0)
        r = walk_as_tenant(&w, path, err);
    if (r == 0)
        r = look(&w, &st, err);
    if (r == 0 && st.st_uid != uid)
        r = refuse(&w, "is not the user's own", err);
    if (r < 0)
        return r;
    *ret_fd = w.fd;
    w.fd = -1;
    return 0;
}
