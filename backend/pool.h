/*
 * The pool: containers that are started ahead of need, by template and tier, and belong to nobody
 * until a request takes one. A row of the table `pool` announces each; taking one moves the row to
 * `container` in one transaction, so that none gets two owners, and then gives it the owner's
 * workspace and home, which takes milliseconds where a start takes a good part of a second.
 *
 * What a container was made of (image, limits, runtime, network, our own guest, and all that this
 * program gives every container, its seccomp profile say) is hashed into its row: one that was made
 * of anything else than a request asks for is never handed out, but replaced. The builder's keeper
 * makes and removes them (pool_keeper.c).
 */
#ifndef BACKEND_POOL_H
#define BACKEND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* One target and how far it is met. Strings are borrowed from the request's settings. */
struct pool_state {
    const char *template_name;
    const char *tier;
    int64_t target; /* containers */
    int64_t ready;
    int64_t warming;
    int64_t claimed; /* requests that got one, so far */
    int64_t missed;  /* requests that would have */
};

struct pool_report {
    bool enabled;
    struct pool_state *items; /* owned */
    size_t count;
};

/* Free what it owns. */
void pool_report_done(struct pool_report *r);

/* How the pool stands. Caller: pool_report_done(). */
int pool_report(struct backend *b, struct pool_report *ret, struct error *err);

/*
 * Take a container of the pool for the new container @c, which has everything but an id and a row.
 * *ret true: c->id is it, and its row says `running`. False: none fits or could be given, and @c
 * has neither. Errors: those of store_container_insert().
 */
int pool_take(struct backend *b, struct container *c, struct quota_gate *gate, bool *ret,
              struct error *err);

/*
 * Remove the pool's containers of @template_name and @tier (NULL: any), and return when they are
 * gone; *ret counts them. With @refill they are replaced, also where an earlier drain has said
 * otherwise; else these targets stay empty until then, or until the YAML is read again. Leaves a
 * change entry. Errors: ERR_NOT_FOUND if there is no such target, and those of engine.h.
 */
int pool_drain(struct backend *b, const struct caller *caller, const char *template_name,
               const char *tier, bool refill, int64_t *ret, struct error *err);

/*
 * For the keeper and pool.c: the container that @target asks for, as far as it is known before
 * there is an owner. False: it cannot be kept ready now (no such template or tier, or one with
 * GPUs).
 */
bool pool_plan(struct backend *b, const struct pool_target *target, struct container *ret);

/* The hash of all that a container of @plan is made of, the engine's image included. */
int pool_fingerprint(struct backend *b, const struct container *plan, char ret[FINGERPRINT_SIZE],
                     struct error *err);

/* Remove a container of the pool and its row, whatever its state. Missing is fine. */
int pool_discard(struct backend *b, const char *id, struct error *err);

/* The thread of the builder that keeps the pool at its targets. */
struct pool_keeper;

/* Start it. @context lives as long as the process, and so does the keeper. */
int pool_keeper_start(const struct service_context *context, struct pool_keeper **ret,
                      struct error *err);

/* There may be something to do. @reloaded: the YAML was read again. */
void pool_keeper_wake(struct pool_keeper *k, bool reloaded);

#endif
