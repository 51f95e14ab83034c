/* Workspaces, slots and socket directories: see workspace.h. */
#include "backend/broker/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "backend/egress/egress.h"

enum { PATH_SIZE = 4096, DEPTH_MAX = 32, STACKED_MOUNTS_MAX = 64 };

/* openat2(2), which glibc does not wrap: strictly below @dir, through no symlink. */
static int
open_beneath(int dir, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* Make the directory @name in @parent, root's and only to be passed through, if it is missing; open
 * it. */
static int
open_passage(int parent, const char *name)
{
    if (mkdirat(parent, name, 0711) < 0 && errno != EEXIST)
        return -1;
    return open_beneath(parent, name, O_PATH | O_DIRECTORY);
}

/*
 * Make the workspace @name in @parent: under another name first, so that it never stands there
 * without its owner, and no crash leaves one that its owner cannot use.
 */
static int
make_workspace(int parent, const char *name, uid_t uid)
{
    char fresh[NAME_SIZE + 8];

    snprintf(fresh, sizeof(fresh), "%s~new", name);
    if (mkdirat(parent, fresh, 0700) < 0 && errno != EEXIST)
        return -1;
    if (fchownat(parent, fresh, uid, (gid_t)uid, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat2(parent, fresh, parent, name, RENAME_NOREPLACE) < 0)
        return errno == ENOENT ? 0 : -1; /* another thread has put it in place */
    return 0;
}

static int
open_workspace(int state_fd, const struct engine_spec *spec, int *ret_fd, struct error *err)
{
    _cleanup_(closep) int all = open_passage(state_fd, "workspaces");
    _cleanup_(closep) int owner = all < 0 ? -1 : open_passage(all, spec->owner);
    int fd;

    if (owner < 0)
        return error_errno(err, errno, "workspaces");
    fd = open_beneath(owner, spec->workspace, O_PATH | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) {
        if (make_workspace(owner, spec->workspace, (uid_t)spec->uid) < 0)
            return error_errno(err, errno, "make workspace");
        fd = open_beneath(owner, spec->workspace, O_PATH | O_DIRECTORY);
    }
    if (fd < 0)
        return error_errno(err, errno, "open workspace");
    *ret_fd = fd;
    return 0;
}

/* Release whatever is mounted on @slot; 0 when nothing is left there. */
static int
release(const char *slot)
{
    for (int i = 0; i < STACKED_MOUNTS_MAX; i++)
        if (umount2(slot, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return errno == EINVAL || errno == ENOENT ? 0 : -errno;
    return -EBUSY;
}

/*
 * Mount the directory @source onto @slot. The mount gets its flags before it is put in place, for
 * what propagates into a container is a copy of it as it was then (mount_namespaces(7)).
 */
static int
bind(int source, const char *slot, bool read_only)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0),
        .propagation = MS_PRIVATE,
    };
    _cleanup_(closep) int tree =
        open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        move_mount(tree, "", AT_FDCWD, slot, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* Mount @slot onto itself, and share it with the container that is bound to it. */
static int
bind_slot(const char *slot)
{
    _cleanup_(closep) int fd = open(slot, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int r = fd < 0 ? -errno : bind(fd, slot, false);

    return r == 0 && mount(NULL, slot, NULL, MS_SHARED, NULL) < 0 ? -errno : r;
}

int
workspace_slot(const char *state_dir, const char *id, struct error *err)
{
    char slot[PATH_SIZE];
    int r;

    snprintf(slot, sizeof(slot), "%s/slots/%s", state_dir, id);
    if (mkdir(slot, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make slot");
    r = release(slot);
    if (r == 0)
        r = bind_slot(slot);
    return r < 0 ? error_errno(err, -r, "mount slot") : 0;
}

int
workspace_adopt(int state_fd, const char *state_dir, const struct engine_spec *spec,
                struct error *err)
{
    _cleanup_(closep) int workspace = -1;
    char slot[PATH_SIZE];
    int r = open_workspace(state_fd, spec, &workspace, err);

    if (r < 0)
        return r;
    snprintf(slot, sizeof(slot), "%s/slots/%s", state_dir, spec->id);
    r = bind(workspace, slot, spec->workspace_access == ACCESS_RO);
    return r < 0 ? error_errno(err, -r, "mount workspace") : 0;
}

int
workspace_attach(int state_fd, const char *state_dir, const struct engine_spec *spec,
                 struct error *err)
{
    int r;

    if (spec->workspace_access == ACCESS_NONE)
        return 0;
    r = workspace_slot(state_dir, spec->id, err);
    return r < 0 ? r : workspace_adopt(state_fd, state_dir, spec, err);
}

int
workspace_detach(const char *state_dir, const char *id, struct error *err)
{
    char slot[PATH_SIZE];
    int r;

    snprintf(slot, sizeof(slot), "%s/slots/%s", state_dir, id);
    r = release(slot);
    if (r == 0 && rmdir(slot) < 0 && errno != ENOENT)
        r = -errno;
    return r < 0 ? error_errno(err, -r, "remove slot") : 0;
}

int
guest_directory_make(int state_fd, const char *id, gid_t gid, struct error *err)
{
    _cleanup_(closep) int guests = open_beneath(state_fd, "guests", O_PATH | O_DIRECTORY);
    int r;

    if (guests < 0)
        return error_errno(err, errno, "guests");
    r = guest_directory_remove(state_fd, id, err);
    if (r < 0)
        return r;
    /* chmod after chown: a change of owner clears the setgid bit. */
    if (mkdirat(guests, id, 0700) < 0 ||
        fchownat(guests, id, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(guests, id, 02750, 0) < 0)
        return error_errno(err, errno, "make guest directory");
    return 0;
}

static int remove_tree(int parent, const char *name, int depth);

/* Remove every entry of the directory @fd, which is closed. */
static int
empty_directory(int fd, int depth)
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
            r = remove_tree(dirfd(dir), entry->d_name, depth);
    return r;
}

/* Remove @name in @parent with what is below it; nothing is followed, no mount is crossed. */
static int
remove_tree(int parent, const char *name, int depth)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    int fd, r;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth >= DEPTH_MAX)
        return -ELOOP;
    fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
    if (fd < 0)
        return -errno;
    r = empty_directory(fd, depth + 1);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

/* Remove what is called @id in the state directory's @directory. */
static int
remove_below(int state_fd, const char *directory, const char *id, struct error *err)
{
    _cleanup_(closep) int parent = open_beneath(state_fd, directory, O_PATH | O_DIRECTORY);
    int r = parent < 0 ? -errno : remove_tree(parent, id, 0);

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
    _cleanup_(closep) int parent = open_beneath(state_fd, EGRESS_DIRECTORY, O_PATH | O_DIRECTORY);
    _cleanup_(closep) int fd = -1;

    if (parent < 0)
        return error_errno(err, errno, EGRESS_DIRECTORY);
    if (mkdirat(parent, id, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make egress directory");
    fd = open_beneath(parent, id, O_RDONLY | O_DIRECTORY);
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
