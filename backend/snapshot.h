/*
 * Snapshots of containers: the files of one moment, kept as a layer of their own, to which the
 * container can be rolled back. /home/sandbox is part of them and so is all that was installed;
 * /workspace (the agent's, not the container's), /tmp and what an image declares a VOLUME are not.
 *
 * Who may not see the container, or names a snapshot of another one, gets the same ERR_NOT_FOUND as
 * for one that never was.
 */
#ifndef BACKEND_SNAPSHOT_H
#define BACKEND_SNAPSHOT_H

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* One page of a list. Initialise with {0}; snapshot_page_done() frees what it owns. */
struct snapshot_page {
    struct snapshot *items; /* owned */
    size_t count;
    int64_t next; /* position for the next page; 0 at the end */
};

void snapshot_page_done(struct snapshot_page *page);

/* Whether @name is fit for people to read: text of 1 to 64 bytes without control characters. */
bool snapshot_name_valid(const char *name);

/*
 * The ready snapshots of the container, newest first, at most @limit of them, only those before the
 * position @before (0: from the start).
 */
int snapshot_list(struct backend *b, const struct caller *caller, const char *container_id,
                  int64_t before, int64_t limit, struct snapshot_page *ret, struct error *err);

/*
 * Make a snapshot of the container, running or stopped, and call it @name (NULL: as its id). Its
 * commands are frozen meanwhile, and go on afterwards. A request that is carried on gets the one
 * that it made. Errors: ERR_QUOTA_EXCEEDED (containers.snapshots_max), ERR_VALIDATION (the name),
 * ERR_CONFLICT (too many layers, or the engine has lost the container), and those of engine.h.
 */
int snapshot_create(struct backend *b, const struct caller *caller, const char *container_id,
                    const char *name, struct snapshot *ret, struct error *err);

/*
 * Give the container the files it had at the snapshot; its commands are killed, and it runs. *ret
 * is how it is then. Caller: container_done(). Errors: ERR_CONFLICT (the engine has lost the
 * snapshot), and those of engine.h.
 */
int snapshot_rollback(struct backend *b, const struct caller *caller, const char *container_id,
                      const char *id, struct container *ret, struct error *err);

/* Forget the snapshot. What the container stands on after a rollback keeps its place on the disk
 * until the container goes or is rolled back again. */
int snapshot_delete(struct backend *b, const struct caller *caller, const char *container_id,
                    const char *id, struct error *err);

/* Whether nobody goes on with what the row says is to be done: with its making, or its removal. */
bool snapshot_abandoned(const struct backend *b, const struct snapshot *s);

/*
 * Remove what is left of @s, image and row, if it is abandoned still: a request that is carried on
 * may have taken it up. While its container is busy, it stays. Errors: those of engine.h.
 */
int snapshot_clear(struct backend *b, const struct snapshot *s, struct error *err);

#endif
