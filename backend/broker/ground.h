/*
 * Workspaces on the tenants' own ground (`workspace_root` of access.yaml), such as
 * /home/ann/workspaces/a1.
 *
 * The tenant may do what they like there while we walk: put symbolic links, FIFOs, mounts and other
 * directories in the place of components, and move them away. So what is the admin's is walked as
 * root, and has to be root's alone; the first component below it is made as root, where only root
 * could swap it; and from there on everything is done with the tenant's own rights, one component
 * after the other, never through a link or a mount. Nothing that is found there is ever changed,
 * and what is made belongs to the tenant by having been made by them. What comes out is a
 * descriptor of a directory of theirs, and is mounted as that, so that it does not matter what
 * stands at its path by then.
 */
#ifndef BACKEND_BROKER_GROUND_H
#define BACKEND_BROKER_GROUND_H

#include <sys/types.h>

#include "backend/error.h"

/*
 * Open the directory @path (relative) below the admin's directory @above for the user with @uid and
 * @gid, with the components that are missing made, mode 0700. The caller closes *ret_fd (O_PATH).
 * The calling thread has no supplementary groups afterwards. Errors: ERR_CONFLICT, with a sentence
 * that begins with @key and names the component in the way; ERR_INTERNAL.
 */
int ground_open(const char *above, const char *path, uid_t uid, gid_t gid, const char *key,
                int *ret_fd, struct error *err);

#endif
