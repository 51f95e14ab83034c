/*
 * Directories and mounts of containers, below the state directory:
 *
 *   workspaces/OWNER/NAME  a workspace, mode 0700, owned by the owner's uid; it outlives containers
 *   slots/ID               mounted onto itself and shared with container ID, so that the workspace,
 *                          mounted onto it, nosuid,nodev (and ro), appears inside also while it
 *                          runs
 *
 * Everything above a workspace is root's, so no tenant can swap a component of these paths. Where
 * access.yaml has a workspace_root for the owner, the workspace is there instead: see ground.h.
 */
#ifndef BACKEND_BROKER_WORKSPACE_H
#define BACKEND_BROKER_WORKSPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/broker/users.h"
#include "backend/engine.h"
#include "backend/error.h"

struct broker;

/*
 * Make the workspace if it is missing, and mount it onto the container's slot with the access that
 * @spec asks for (ACCESS_NONE: nothing is done), its files being the owner's also where @users are
 * remapped. What was mounted there before is released first.
 */
int workspace_attach(const struct broker *b, const struct users *users,
                     const struct engine_spec *spec, struct error *err);

/* Make the slot of container @id, with no workspace on it yet. */
int workspace_slot(int state_fd, const char *id, struct error *err);

/* Mount the workspace of @spec, made if it is missing, onto the slot that is there. */
int workspace_adopt(const struct broker *b, const struct users *users,
                    const struct engine_spec *spec, struct error *err);

/* Release the mounts and remove the slot: umount, then rmdir, never recursive. Missing is fine. */
int workspace_detach(int state_fd, const char *id, struct error *err);

#endif
