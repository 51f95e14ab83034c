/*
 * Directories and mounts of containers, below the state directory:
 *
 *   workspaces/OWNER/NAME  a workspace, mode 0700, owned by the owner's uid; it outlives containers
 *   slots/ID               mounted onto itself and shared with container ID, so that the workspace,
 *                          mounted onto it, nosuid,nodev (and ro), appears inside also while it
 *                          runs
 *   guests/ID              where the guest of container ID makes its socket: root:workers, mode
 * 2750 egress/ID              where the egress proxy makes the socket of container ID, which sees
 * the directory read-only: the service's, mode 0711
 *
 * Everything above a workspace is root's, so no tenant can swap a component of these paths.
 */
#ifndef BACKEND_BROKER_WORKSPACE_H
#define BACKEND_BROKER_WORKSPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/engine.h"
#include "backend/error.h"

/*
 * Make the workspace if it is missing, and mount it onto the container's slot with the access that
 * @spec asks for (ACCESS_NONE: nothing is done). What was mounted there before is released first.
 */
int workspace_attach(int state_fd, const char *state_dir, const struct engine_spec *spec,
                     struct error *err);

/* Make the slot of container @id, with no workspace on it yet. */
int workspace_slot(const char *state_dir, const char *id, struct error *err);

/* Mount the workspace of @spec, made if it is missing, onto the slot that is there. */
int workspace_adopt(int state_fd, const char *state_dir, const struct engine_spec *spec,
                    struct error *err);

/* Release the mounts and remove the slot: umount, then rmdir, never recursive. Missing is fine. */
int workspace_detach(const char *state_dir, const char *id, struct error *err);

/* Make the guest's socket directory anew, for the group @gid. */
int guest_directory_make(int state_fd, const char *id, gid_t gid, struct error *err);

/* Remove it with what the guest left there. Missing is fine. */
int guest_directory_remove(int state_fd, const char *id, struct error *err);

/* Make the egress proxy's directory for container @id, owned by @uid and @gid, if it is missing. */
int egress_directory_make(int state_fd, const char *id, uid_t uid, gid_t gid, struct error *err);

/* Remove it with what the proxy left there. Missing is fine. */
int egress_directory_remove(int state_fd, const char *id, struct error *err);

#endif
