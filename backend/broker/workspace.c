/* Workspaces, slots and socket directories: see workspace.h. */
#include "backend/broker/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "backend/beneath.h"
#include "backend/broker/ground.h"
#include "backend/broker/operations.h"
#include "backend/config/source.h"
#include "backend/config/workspace_root.h"

enum { STACKED_MOUNTS_MAX = 64 };

/* Make the directory @name in @parent, root's and only to be passed through, if it is missing; open
 * it. */
static int
open_passage(int parent, const char *name)
{
    if (mkdirat(parent, name, 0711) < 0 && errno != EEXIST)
        return -1;
    return beneath_open(parent, name, O_PATH | O_DIRECTORY);
}

/*
 * Make the workspace @name in @parent: under another name first, so that it never stands there
 * without its owner, and no crash leaves one that its owner cannot use.
 */
static int
make_workspace(int parent, const char *name, uid_t uid, gid_t gid)
{
    char fresh[NAME_SIZE + 8];

    snprintf(fresh, sizeof(fresh), "%s~new", name);
    if (mkdirat(parent, fresh, 0700) < 0 && errno != EEXIST)
        return -1;
    if (fchownat(parent, fresh, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat2(parent, fresh, parent, name, RENAME_NOREPLACE) < 0)
        return errno == ENOENT ? 0 : -1; /* another thread has put it in place */
    return 0;
}

/* The workspace on the tenant's own ground. */
static int
open_ground(const struct access_rule *rule, const struct engine_spec *spec, int *ret_fd,
            struct error *err)
{
    char above[WORKSPACE_PATH_SIZE], path[WORKSPACE_PATH_SIZE], key[SOURCE_SIZE];

    source_access(rule, ACCESS_KEY_WORKSPACE_ROOT, key);
    if (workspace_root_expand(rule->workspace_root, spec->owner, spec->workspace, above, path) < 0)
        return error_set(err, ERR_CONFLICT, "%s is too long a path for this workspace", key);
    return ground_open(above, path, (uid_t)spec->uid, (gid_t)spec->gid, key, ret_fd, err);
}

/* The workspace below the state directory. */
static int
open_ours(int state_fd, const struct engine_spec *spec, int *ret_fd, struct error *err)
{
    _cleanup_(closep) int all = open_passage(state_fd, "workspaces");
    _cleanup_(closep) int owner = all < 0 ? -1 : open_passage(all, spec->owner);
    int fd;

    if (owner < 0)
        return error_errno(err, errno, "workspaces");
    fd = beneath_open(owner, spec->workspace, O_PATH | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) {
        if (make_workspace(owner, spec->workspace, (uid_t)spec->uid, (gid_t)spec->gid) < 0)
            return error_errno(err, errno, "make workspace");
        fd = beneath_open(owner, spec->workspace, O_PATH | O_DIRECTORY);
    }
    if (fd < 0)
        return error_errno(err, errno, "open workspace");
    *ret_fd = fd;
    return 0;
}

static int
open_workspace(const struct broker *b, const struct engine_spec *spec, int *ret_fd,
               struct error *err)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    const struct access_rule *rule = settings_access(s, spec->owner);

    return rule->workspace_root ? open_ground(rule, spec, ret_fd, err)
                                : open_ours(b->state_fd, spec, ret_fd, err);
}

/* Open what is at the slot of @id now: the topmost mount there. */
static int
open_slot(int state_fd, const char *id)
{
    _cleanup_(closep) int slots = beneath_open(state_fd, "slots", O_PATH | O_DIRECTORY);

    return slots < 0 ? -1 : beneath_open(slots, id, O_PATH | O_DIRECTORY);
}

/* Release whatever is mounted on the slot of @id; 0 when nothing is left there. */
static int
release(int state_fd, const char *id)
{
    char path[32];

    for (int i = 0; i < STACKED_MOUNTS_MAX; i++) {
        _cleanup_(closep) int slot = open_slot(state_fd, id);

        if (slot < 0)
            return errno == ENOENT ? 0 : -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", slot);
        if (umount2(path, MNT_DETACH) < 0)
            return errno == EINVAL ? 0 : -errno;
    }
    return -EBUSY;
}

/*
 * Mount the directory @source onto @slot, its users mapped by the user namespace @mapping unless
 * that is -1. The mount gets its flags before it is put in place, for what propagates into a
 * container is a copy of it as it was then (mount_namespaces(7)).
 */
static int
bind_mount(int source, int slot, bool read_only, uint64_t propagation, int mapping)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0),
        .propagation = propagation,
    };
    _cleanup_(closep) int tree =
        open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (mapping >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (unsigned)mapping;
    }
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        move_mount(tree, "", slot, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

int
workspace_slot(int state_fd, const char *id, struct error *err)
{
    _cleanup_(closep) int slots = beneath_open(state_fd, "slots", O_PATH | O_DIRECTORY);
    _cleanup_(closep) int slot = -1;
    int r;

    if (slots < 0 || (mkdirat(slots, id, 0700) < 0 && errno != EEXIST))
        return error_errno(err, errno, "make slot");
    r = release(state_fd, id);
    if (r < 0)
        return error_errno(err, -r, "release slot");
    slot = beneath_open(slots, id, O_PATH | O_DIRECTORY);
    if (slot < 0)
        return error_errno(err, errno, "open slot");
    r = bind_mount(slot, slot, false, MS_SHARED, -1); /* with the container that is bound to it */
    return r < 0 ? error_errno(err, -r, "mount slot") : 0;
}

int
workspace_adopt(const struct broker *b, const struct users *users, const struct engine_spec *spec,
                struct error *err)
{
    _cleanup_(closep) int workspace = -1;
    _cleanup_(closep) int mapping = -1;
    _cleanup_(closep) int slot = open_slot(b->state_fd, spec->id);
    int r;

    if (slot < 0)
        return error_errno(err, errno, "open slot");
    r = open_workspace(b, spec, &workspace, err);
    if (r == 0)
        r = users_mapping(users, spec->uid, spec->gid, &mapping, err);
    if (r < 0)
        return r;
    r = bind_mount(workspace, slot, spec->workspace_access == ACCESS_RO, MS_PRIVATE, mapping);
    return r < 0 ? error_errno(err, -r, "mount workspace") : 0;
}

int
workspace_attach(const struct broker *b, const struct users *users, const struct engine_spec *spec,
                 struct error *err)
{
    int r;

    if (spec->workspace_access == ACCESS_NONE)
        return 0;
    r = workspace_slot(b->state_fd, spec->id, err);
    return r < 0 ? r : workspace_adopt(b, users, spec, err);
}

int
workspace_detach(int state_fd, const char *id, struct error *err)
{
    _cleanup_(closep) int slots = beneath_open(state_fd, "slots", O_PATH | O_DIRECTORY);
    int r = slots < 0 ? -errno : release(state_fd, id);

    if (r == 0 && unlinkat(slots, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r < 0 ? error_errno(err, -r, "remove slot") : 0;
}
