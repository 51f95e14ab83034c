/*
 * The ids of a container's processes, inside and on the host. They are the same, unless the engine
 * remaps users (dockerd's userns-remap): then root of every container is a uid on the host that is
 * nobody's, and every other id is as far above that one as it is above 0 inside. Such a container
 * has ids below 65536 only.
 *
 * The files of a workspace belong to the owner's own uid on the host either way.
 */
#ifndef BACKEND_BROKER_USERS_H
#define BACKEND_BROKER_USERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/docker/docker.h"
#include "backend/error.h"

struct users {
    bool remapped;
    uid_t root_uid; /* root of a container, on the host */
    gid_t root_gid;
};

/* Find out how the engine of @d runs containers. Errors: docker.h; ERR_CONFLICT if it remaps users,
 * and does not say to which. */
int users_find(struct docker *d, struct users *ret, struct error *err);

/* What @id, a uid or a gid of an owner's commands on the host, is inside. */
int64_t users_inside(const struct users *users, int64_t id);

/*
 * Open a user namespace for a mount on which the files of @uid and @gid on the host are those of
 * users_inside() (MOUNT_ATTR_IDMAP, mount_setattr(2)); -1 where a mount does not have to
 * be mapped. The caller closes it.
 */
int users_mapping(const struct users *users, int64_t uid, int64_t gid, int *ret_fd,
                  struct error *err);

#endif
