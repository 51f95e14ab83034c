/*
 * Containers: found or made for a scope, started, stopped and removed. The row in the store states
 * the intent before the engine is asked, so that a crash leaves something the janitor can finish.
 * Work on one container is put in an order by a lock that all processes share.
 */
#ifndef BACKEND_CONTAINER_H
#define BACKEND_CONTAINER_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/container_place.h"
#include "backend/engine.h"
#include "backend/error.h"
#include "backend/store/records.h"

/*
 * The running container of @plan's scope (placement_plan()), with *ret_created whether it was made
 * now; for a one-shot plan always a new one. A stopped one is started. @labels is a JSON object,
 * borrowed, for a new one (NULL: none). Caller: container_done(). Errors: ERR_TEMPLATE_NOT_READY,
 * and those of account_find(),
 * quota_refuse() and engine.h.
 */
int container_acquire(struct backend *b, const struct container *plan, json_t *labels,
                      struct container *ret, bool *ret_created, struct error *err);

/* What becomes of a container that somebody has stopped. */
enum revival { REVIVE_RUNNING_ONLY, REVIVE_STOPPED_TOO };

/*
 * Make sure that @c, whose guest did not answer, runs: started, or made anew where the engine lost
 * it. Errors: ERR_CONTAINER_NOT_RUNNING if somebody has removed it meanwhile, or stopped it and
 * @rule leaves it at that, and those of engine.h.
 */
int container_revive(struct backend *b, const struct container *c, enum revival rule,
                     struct error *err);

/*
 * The guest of container @id broke off an execution that began at @since_ms. Returns whether
 * somebody meant it to: stopped, restarted or removed the container. Otherwise the guest has gone
 * bad, and the container is stopped in the engine, so that the next execution starts it again.
 */
bool container_stop_broken(struct backend *b, const char *id, int64_t since_ms);

/* One container. Caller: container_done(). */
int container_get(struct backend *b, const struct caller *caller, const char *id,
                  struct container *ret, struct error *err);

/* Start, stop or restart it; *ret is how it is then. Starting a running one is fine, and so on. */
int container_start(struct backend *b, const struct caller *caller, const char *id,
                    struct container *ret, struct error *err);
int container_stop(struct backend *b, const struct caller *caller, const char *id,
                   struct container *ret, struct error *err);
int container_restart(struct backend *b, const struct caller *caller, const char *id,
                      struct container *ret, struct error *err);

/* Remove it with all that is private to it; the workspace stays. */
int container_remove(struct backend *b, const struct caller *caller, const char *id,
                     struct error *err);

/* As container_remove(), for a container in hand that is nobody's business any more (one-shots, the
 * janitor). */
int container_discard(struct backend *b, const char *id, struct error *err);

/* Remove the one-shots whose execution in the background has ended. Errors: those of engine.h. */
int container_discard_spent(struct backend *b, struct error *err);

/*
 * Give @c, whose lock the caller holds, the files of its snapshot, running; its commands are
 * killed. A failure leaves it as it was. Errors: those of engine_rollback().
 */
int container_roll_back(struct backend *b, const struct container *c, const char *snapshot_id,
                        struct error *err);

#endif
