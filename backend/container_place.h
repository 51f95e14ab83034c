/*
 * What everybody who touches one container needs to know of it: how the engine is told of it, where
 * its guest is, and the lock that puts work on it in an order.
 */
#ifndef BACKEND_CONTAINER_PLACE_H
#define BACKEND_CONTAINER_PLACE_H

#include <pthread.h>

#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/error.h"
#include "backend/store/records.h"

enum {
    CONTAINER_WAIT_MS = 130000 /* for a lock: longer than all that a holder does, but snapshots of
                                  gigabytes */
};

/* What the engine is told of @c. */
struct engine_spec container_engine_spec(const struct container *c);

/* Have the refusal @err say which rule gives @c its limit @key, one of those of a tier. */
void container_name_limit(const struct backend *b, const struct container *c, const char *key,
                          struct error *err);

/* Where on the host the guest of container @id has its socket. */
void container_guest_directory(const struct backend *b, const char *id, char *buf, size_t size);

/*
 * Take the container's lock, which whoever changes it holds until its row says how it is then.
 * shared_unlock() gives it back. Errors: ERR_OVERLOADED after 130 s.
 */
int container_lock(struct backend *b, const char *id, pthread_mutex_t **ret, struct error *err);

#endif
