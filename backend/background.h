/*
 * Executions in the background. Once started, nobody holds a connection to them: the guest keeps
 * the result in a spool (guest/spool.h) in the container's socket directory, and whoever looks
 * first brings it into the audit: the janitor every second, and those who ask for the entry. So
 * they outlive the worker that took them, and every other process of the service, and end only
 * with their container.
 *
 * Two who collect at once do no harm: the row is finished once, by one of them. A spool is removed
 * only after its row is finished.
 */
#ifndef BACKEND_BACKGROUND_H
#define BACKEND_BACKGROUND_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/store/records.h"

/*
 * Look how @e, a running entry in the background, stands, and record its end if it has ended, or
 * died with its container. Returns 1 if it has ended, 0 if it runs; or the store's errors.
 */
int background_collect(struct backend *b, const struct audit_entry *e, struct error *err);

/* Whether anything runs in the background in container @id. Returns 1, 0, or the store's errors. */
int background_runs(struct backend *b, const char *id, struct error *err);

/*
 * The container @id has been stopped on purpose: record what ran there in the background as
 * `killed`, with its output, before the spools go. Call it under the container's lock, after the
 * engine stopped it and before its row says so, or it is removed.
 */
int background_end(struct backend *b, const char *container_id, struct error *err);

/* The same for a container that the engine has lost: what ran there is `interrupted`. */
int background_lost(struct backend *b, const char *container_id, struct error *err);

/* Collect whatever has ended in the background; the janitor's, every second. */
int background_tend(struct backend *b, struct error *err);

/* Remove the spools in the running container @id that belong to no running entry: the janitor's,
 * seldom. */
int background_tidy(struct backend *b, const char *id, struct error *err);

#endif
