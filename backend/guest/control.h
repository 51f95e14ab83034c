/*
 * Short requests to the guest beside executions: PID 1 itself answers them, on the socket
 * `control.sock` in the container's socket directory, so that they work also while the container
 * has no process left.
 *
 * Each call takes at most 5 s. Errors: ERR_CONTAINER_NOT_RUNNING (-ENOTCONN) if nobody listens;
 * ERR_INTERNAL for a guest that does not answer, or not as it should.
 */
#ifndef BACKEND_GUEST_CONTROL_H
#define BACKEND_GUEST_CONTROL_H

#include <stdint.h>
#include <sys/types.h>

#include "backend/error.h"

/*
 * Kill the execution @id with all that it started; its end is then GUEST_KILLED. Returns without
 * waiting for the end. -ENOENT (ERR_NOT_FOUND): no such execution runs.
 */
int guest_kill(const char *directory, uint64_t id, struct error *err);

/* Remove the spool of the detached execution @id, which has ended and is stored. Missing is fine.
 */
int guest_forget(const char *directory, uint64_t id, struct error *err);

/*
 * Make @uid (and gid) the container's user: home and workspace directory are theirs, passwd and
 * group know them. For a container of the pool that gets an owner; doing it again with the same uid
 * is fine.
 */
int guest_adopt(const char *directory, uid_t uid, gid_t gid, struct error *err);

#endif
