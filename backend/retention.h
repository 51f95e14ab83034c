/*
 * How long the audit log keeps entries: cleanups on request, and by the janitor as the settings'
 * `audit` section says.
 */
#ifndef BACKEND_RETENTION_H
#define BACKEND_RETENTION_H

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"

/* The owner of the entries that the janitor's cleanups leave: no user can be called this. */
#define RETENTION_OWNER "system:janitor"

/* What a cleanup did. */
struct retired {
    int64_t entries;     /* that were removed */
    int64_t freed_bytes; /* of the database, for what comes next */
};

/*
 * Remove the entries of every kind that started before @before_ms and are finished, with their
 * output. The hash chain goes on over them, and a change entry of @caller's says so; where there
 * was nothing to remove, none is left. Executions go on meanwhile. Errors: ERR_CONFLICT if the
 * chain's gaps have been tampered with.
 */
int retention_clean(struct backend *b, const struct caller *caller, int64_t before_ms,
                    struct retired *ret, struct error *err);

/*
 * Keep to the settings in force: remove what is older than retention_days (counted by whole UTC
 * days, so that there is something to do once a day), and then the oldest while the database uses
 * more than max_mb. Finishes what a cleanup that was broken off has left.
 */
int retention_tend(struct backend *b, struct error *err);

#endif
