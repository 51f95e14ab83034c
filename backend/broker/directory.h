/*
 * Directories that a container sees, below the state directory:
 *
 *   guests/ID  where its guest makes its sockets: its root's and of the workers' group, mode 2750
 *   egress/ID  where the egress proxy makes its socket, which the container sees read-only: the
 *              service's, mode 0711
 *
 * What a guest leaves in them is a tenant's: it is removed without following or trusting any of it.
 */
#ifndef BACKEND_BROKER_DIRECTORY_H
#define BACKEND_BROKER_DIRECTORY_H

#include <sys/types.h>

#include "backend/error.h"

/* Make the guest's socket directory anew, for the container's root, which is @uid on the host
 * ((uid_t)-1: us), and the group @gid. */
int guest_directory_make(int state_fd, const char *id, uid_t uid, gid_t gid, struct error *err);

/* Remove it with what the guest left there. Missing is fine. */
int guest_directory_remove(int state_fd, const char *id, struct error *err);

/*
 * Remove the sockets, or what stands in their places, of a container that does not run: whoever
 * connects finds nobody there, and its next guest has room. Missing is fine.
 */
int guest_sockets_remove(int state_fd, const char *id, struct error *err);

/* Make the egress proxy's directory for container @id, owned by @uid and @gid, if it is missing. */
int egress_directory_make(int state_fd, const char *id, uid_t uid, gid_t gid, struct error *err);

/* Remove it with what the proxy left there. Missing is fine. */
int egress_directory_remove(int state_fd, const char *id, struct error *err);

#endif
