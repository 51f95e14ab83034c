/*
 * Containers of the pool: started without an owner, and adopted by one while they run. Until then
 * no command has run in them, so that all that is inside is the image's and the guest's. One that
 * was born in the pool carries no owner in its label, which Docker could not add later.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "backend/broker/directory.h"
#include "backend/broker/users.h"
#include "backend/broker/workspace.h"
#include "backend/guest/control.h"

enum { PATH_SIZE = 4096 };

int
broker_warm(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    int r = broker_remove(b, d, spec->id, err);

    if (r == 0)
        r = broker_offer_guest(b, d, spec->id, err);
    if (r == 0)
        r = broker_make(b, d, spec, PART_MAIN, spec->image, err);
    if (r == 0)
        r = workspace_slot(b->state_fd, spec->id, err);
    if (r == 0)
        r = broker_boot(b, d, spec, err);
    if (r < 0)
        broker_remove(b, d, spec->id, NULL);
    return r;
}

bool
broker_is_pooled(const struct docker_container *c)
{
    return json_string_length(json_object_get(c->labels, BROKER_LABEL_OWNER)) == 0;
}

int
broker_give(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    struct users users;
    char directory[PATH_SIZE];
    int r = users_find(d, &users, err);

    if (r < 0)
        return r;
    snprintf(directory, sizeof(directory), "%s/guests/%s", b->context->state_dir, spec->id);
    return guest_adopt(directory, (uid_t)users_inside(&users, spec->uid),
                       (gid_t)users_inside(&users, spec->gid), err);
}

/* The directory that the container whose PID 1 is @pid has at /workspace. */
static int
stat_inside(int pid, struct stat *ret)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    _cleanup_(closep) int root = -1;
    _cleanup_(closep) int workspace = -1;
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/root", pid);
    root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    workspace = (int)syscall(SYS_openat2, root, "workspace", &how, sizeof(how));
    return workspace < 0 || fstat(workspace, ret) < 0 ? -errno : 0;
}

/*
 * Make sure that the workspace is what commands will see: a runtime with a file system of its own
 * (gVisor) does not follow mounts that are made later.
 */
static int
check_inside(struct broker *b, const struct engine_spec *spec, int pid, struct error *err)
{
    struct stat inside = {0}, outside = {0};
    char slot[PATH_SIZE];

    snprintf(slot, sizeof(slot), "%s/slots/%s", b->context->state_dir, spec->id);
    if (stat(slot, &outside) < 0)
        return error_errno(err, errno, "workspace");
    if (stat_inside(pid, &inside) == 0 && inside.st_dev == outside.st_dev &&
        inside.st_ino == outside.st_ino)
        return 0;
    return error_set(err, ERR_DOCKER, "the workspace does not appear in a running container");
}

int
broker_adopt(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    struct docker_container c = {0};
    struct users users;
    bool pooled;
    int r = broker_look(b, d, spec->id, false, &c, err);

    pooled = r == 0 && broker_is_pooled(&c);
    docker_container_done(&c);
    if (r < 0)
        return broker_missing(r, err);
    if (!c.running || !pooled)
        return error_set(err, ERR_NOT_FOUND, "there is no such container in the pool");
    r = users_find(d, &users, err);
    if (r == 0)
        r = workspace_adopt(b, &users, spec, err);
    if (r == 0)
        r = check_inside(b, spec, c.pid, err);
    return r < 0 ? r : broker_give(b, d, spec, err);
}

int
broker_image_id(struct broker *b, struct docker *d, const char *image,
                char ret[ENGINE_IMAGE_ID_SIZE], struct error *err)
{
    int r = docker_image_inspect(d, image, ret, NULL, err);

    (void)b;
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return error_set(err, ERR_TEMPLATE_NOT_READY, "the image '%s' is not on this machine", image);
}
