/*
 * The disk limits of containers where the engine enforces none: those in which something ran are
 * measured every few seconds, and one that is over its limit is stopped, which kills what runs in
 * it. The broker starts it again only if it takes less: it has to be rolled back or deleted.
 */
#ifndef BACKEND_DISK_H
#define BACKEND_DISK_H

#include <stdint.h>

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/id.h"

/* How far the watch is. Lifetime: process, the janitor's. Initialise with {0}. */
struct disk_watch {
    char after[CONTAINER_ID_SIZE]; /* the last container looked at; "": the round has not begun */
    int64_t since_ms;              /* what was used since then is of interest in this round */
    int64_t began_ms;              /* of this round, the time of day */
    int64_t worked_ms;             /* in this round so far */
    int64_t next_ms;               /* CLOCK_MONOTONIC of the next round */
};

/*
 * Go on with the round, for half a second or a container if that takes longer; to be called every
 * second. A round follows the last after two seconds, or four times as long as that one took. A
 * container that is stopped gets an audit entry of kind `change`. Errors: those of engine.h.
 */
int disk_tend(struct backend *b, struct disk_watch *w, struct error *err);

#endif
