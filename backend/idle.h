/*
 * Containers that nobody needs: those without an execution for long, and those that the database or
 * the engine has lost. The janitor stops and removes idle ones as the settings say; cleanup removes
 * both kinds on request.
 *
 * A container is used by an execution, until its end, and by being started. Whether it is idle is
 * asked again in the very transaction that takes it away, so that an execution which has begun
 * meanwhile keeps it.
 */
#ifndef BACKEND_IDLE_H
#define BACKEND_IDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/id.h"

enum { CLEANUP_MAX = 100 /* removals in one call */ };

enum removal_reason { REMOVAL_IDLE = 1, REMOVAL_ORPHANED };

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const removal_reason_names[];

/* What a cleanup has removed, or would. Initialise with {0}. */
struct removals {
    struct {
        char id[CONTAINER_ID_SIZE];
        enum removal_reason reason;
    } items[CLEANUP_MAX];
    size_t count;
    int64_t freed_bytes; /* of their writable layers, measured before */
};

/*
 * Remove the containers of @caller (an admin: everybody's) that were not used for @idle_seconds
 * (< 0: leave idle ones alone) or are orphaned: the row has failed or the engine has lost it; for
 * an admin also what the engine has of this instance without a row. At most CLEANUP_MAX; another
 * call goes on. With @dry_run nothing changes, and *ret is what would be removed. Leaves a change
 * entry. Errors: those of engine.h; what was removed until then stays so.
 */
int idle_cleanup(struct backend *b, const struct caller *caller, int64_t idle_seconds, bool dry_run,
                 struct removals *ret, struct error *err);

/* The janitor's part: stop and remove what has been idle for as long as the settings say. */
int idle_tend(struct backend *b, struct error *err);

/* The row of @id says `stopped`, the engine runs it: an idle stop was cut off. Finish it. */
int idle_finish_stop(struct backend *b, const char *id, struct error *err);

#endif
