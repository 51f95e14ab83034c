/* Idle and orphaned containers: see idle.h. */
#include "backend/idle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/change.h"
#include "backend/container.h"
#include "backend/engine.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum { LOCK_WAIT_MS = 1000, NO_LIMIT = -1 };

const char *const removal_reason_names[] = {"idle", "orphaned", NULL};

/* One cleanup. Lifetime: call. */
struct cleanup {
    struct backend *backend;
    struct store *store;
    const char *owner; /* NULL: everybody's */
    bool dry_run;
    struct engine_container *found; /* what the engine has; listed before the rows are read */
    size_t found_count;
    struct removals *removals;
};

static bool
full(const struct cleanup *c)
{
    return c->removals->count == CLEANUP_MAX;
}

static bool
noted(const struct removals *r, const char *id)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->items[i].id, id) == 0)
            return true;
    return false;
}

static void
note(struct cleanup *c, const char *id, enum removal_reason reason, int64_t bytes)
{
    struct removals *r = c->removals;

    snprintf(r->items[r->count].id, sizeof(r->items[r->count].id), "%s", id);
    r->items[r->count].reason = reason;
    r->count++;
    r->freed_bytes += bytes > 0 ? bytes : 0;
}

/* Take the container's lock; somebody who holds it uses the container: false. */
static bool
lock(struct backend *b, const char *id, pthread_mutex_t **ret)
{
    return shared_lock(b->context->shared, SHARED_LOCK_CONTAINER, id, LOCK_WAIT_MS, ret, NULL) == 0;
}

/* The size of its writable layer; *ret_exists: the engine has it. */
static int
measure(struct backend *b, const char *id, int64_t *ret_bytes, bool *ret_exists, struct error *err)
{
    struct engine_container now = {0};
    int r = engine_inspect(b->engine, id, &now, err);

    *ret_exists = r == 0;
    *ret_bytes = now.disk_bytes;
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return 0;
}

/* Mark it as being removed if it is idle since @before_ms still; *ret: whether it was. */
static int
claim_idle(struct backend *b, struct store *store, const char *id, int64_t before_ms, bool *ret,
           struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *held = NULL;

    *ret = false;
    return lock(b, id, &held) ? store_idle_removing(store, id, before_ms, ret, err) : 0;
}

static int
clean_idle(struct cleanup *c, int64_t before_ms, struct error *err)
{
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = NULL;
    size_t count = 0;
    int r = store_idle_list(c->store, c->owner, before_ms, false, CLEANUP_MAX, &ids, &count, err);

    for (size_t i = 0; r == 0 && i < count && !full(c); i++) {
        int64_t bytes = 0;
        bool exists, claimed = true;

        if (noted(c->removals, ids[i]))
            continue;
        r = measure(c->backend, ids[i], &bytes, &exists, err);
        if (r == 0 && !c->dry_run)
            r = claim_idle(c->backend, c->store, ids[i], before_ms, &claimed, err);
        if (r == 0 && claimed && !c->dry_run)
            r = container_discard(c->backend, ids[i], err);
        if (r == 0 && claimed)
            note(c, ids[i], REMOVAL_IDLE, bytes);
    }
    return r;
}

static bool
in_engine(const struct cleanup *c, const char *id)
{
    for (size_t i = 0; i < c->found_count; i++)
        if (c->found[i].exists && strcmp(c->found[i].id, id) == 0)
            return true;
    return false;
}

/* Whether a container in this state ought to be in the engine. */
static bool
settled(const struct container *c)
{
    return c->status == CONTAINER_RUNNING || c->status == CONTAINER_STOPPED;
}

/* Look again, under the lock, whether the container is orphaned, and mark it as being removed. */
static int
claim_orphan(struct cleanup *c, const char *id, bool *ret, int64_t *ret_bytes, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *held = NULL;
    struct container row = {0};
    bool exists = true;
    int r;

    *ret = false;
    if (!lock(c->backend, id, &held))
        return 0;
    r = store_container_get(c->store, id, &row, err);
    container_done(&row);
    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    if (r == 0)
        r = measure(c->backend, id, ret_bytes, &exists, err);
    *ret = row.status == CONTAINER_FAILED || (settled(&row) && !exists);
    return r == 0 && *ret && !c->dry_run ? store_container_removing(c->store, id, err) : r;
}

/* Rows that have failed, or whose container the engine has lost. */
static int
clean_lost_rows(struct cleanup *c, struct error *err)
{
    const struct container_filter filter = {.owner = c->owner, .limit = NO_LIMIT};
    struct container *rows = NULL;
    size_t count = 0;
    int r = store_container_list(c->store, &filter, &rows, &count, err);

    for (size_t i = 0; r == 0 && i < count && !full(c); i++) {
        int64_t bytes = 0;
        bool orphaned;

        if (rows[i].status != CONTAINER_FAILED &&
            (!settled(&rows[i]) || rows[i].one_shot || in_engine(c, rows[i].id)))
            continue;
        r = claim_orphan(c, rows[i].id, &orphaned, &bytes, err);
        if (r == 0 && orphaned && !c->dry_run)
            r = container_discard(c->backend, rows[i].id, err);
        if (r == 0 && orphaned)
            note(c, rows[i].id, REMOVAL_ORPHANED, bytes);
    }
    store_container_list_free(rows, count);
    return r;
}

/* What the engine has and no row knows. */
static int
clean_strays(struct cleanup *c, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->found_count && !full(c); i++) {
        const char *id = c->found[i].id;
        bool known = true, exists = false;
        int64_t bytes = 0;

        if (c->found[i].exists)
            r = store_container_known(c->store, id, &known, err);
        if (r == 0 && !known)
            r = measure(c->backend, id, &bytes, &exists, err);
        if (r == 0 && exists && !c->dry_run)
            r = engine_remove(c->backend->engine, id, err);
        if (r == 0 && exists)
            note(c, id, REMOVAL_ORPHANED, bytes);
    }
    return r;
}

/* Leave a change entry about what was removed. */
static int
note_change(struct cleanup *c, const struct caller *caller, struct error *err)
{
    json_auto_t *list = json_array();
    struct change change = {.before = list};

    for (size_t i = 0; i < c->removals->count; i++) {
        json_t *item = json_pack("{s:s, s:s}", "id", c->removals->items[i].id, "reason",
                                 removal_reason_names[c->removals->items[i].reason - 1]);

        if (json_array_append_new(list, item) < 0)
            return error_errno(err, ENOMEM, "change entry");
    }
    return change_note(c->backend, caller, &change, err);
}

int
idle_cleanup(struct backend *b, const struct caller *caller, int64_t idle_seconds, bool dry_run,
             struct removals *ret, struct error *err)
{
    struct cleanup c = {
        .backend = b, .owner = caller_owner(caller), .dry_run = dry_run, .removals = ret};
    int r, left = 0;

    r = backend_store(b, &c.store, err);
    if (r == 0)
        r = engine_list(b->engine, false, &c.found, &c.found_count, err);
    if (r == 0)
        r = clean_lost_rows(&c, err);
    if (r == 0 && !c.owner)
        r = clean_strays(&c, err);
    if (r == 0 && idle_seconds >= 0)
        r = clean_idle(&c, time_now_ms() - idle_seconds * 1000, err);
    /* What was removed before a failure is a change as well. */
    if (ret->count > 0 && !dry_run)
        left = note_change(&c, caller, r == 0 ? err : NULL);
    free(c.found);
    return r < 0 ? r : left;
}

static int
remove_idle(struct backend *b, struct store *store, int64_t before_ms, struct error *err)
{
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = NULL;
    size_t count = 0;
    int r = store_idle_list(store, NULL, before_ms, false, CLEANUP_MAX, &ids, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++) {
        bool claimed;

        r = claim_idle(b, store, ids[i], before_ms, &claimed, err);
        if (r == 0 && claimed)
            r = container_discard(b, ids[i], err);
        if (r == 0 && claimed)
            log_info("container %s was idle for long and is removed", ids[i]);
    }
    return r;
}

/*
 * The row is changed first: an execution that begins after it sees `stopped`, and waits for the
 * lock to start the container again.
 */
static int
stop_if_idle(struct backend *b, struct store *store, const char *id, int64_t before_ms,
             struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *held = NULL;
    bool claimed = false;
    int r = 0;

    if (lock(b, id, &held))
        r = store_idle_stopped(store, id, before_ms, &claimed, err);
    if (r < 0 || !claimed)
        return r;
    r = engine_stop(b->engine, id, err);
    if (r == -ENOENT) {
        error_clear(err); /* lost: the next execution makes it anew */
        r = 0;
    }
    if (r == 0)
        log_info("container %s is idle and is stopped", id);
    return r;
}

static int
stop_idle(struct backend *b, struct store *store, int64_t before_ms, struct error *err)
{
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = NULL;
    size_t count = 0;
    int r = store_idle_list(store, NULL, before_ms, true, CLEANUP_MAX, &ids, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = stop_if_idle(b, store, ids[i], before_ms, err);
    return r;
}

int
idle_tend(struct backend *b, struct error *err)
{
    const struct container_policy *policy = &b->settings->containers;
    int64_t now_ms = time_now_ms();
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0 && policy->idle_remove_seconds > 0)
        r = remove_idle(b, store, now_ms - policy->idle_remove_seconds * 1000, err);
    if (r == 0 && policy->idle_stop_seconds > 0)
        r = stop_idle(b, store, now_ms - policy->idle_stop_seconds * 1000, err);
    return r;
}

int
idle_finish_stop(struct backend *b, const char *id, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *held = NULL;
    struct container row = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r < 0 || !lock(b, id, &held))
        return r;
    r = store_container_get(store, id, &row, err);
    container_done(&row);
    if (r == 0 && row.status == CONTAINER_STOPPED)
        r = engine_stop(b->engine, id, err);
    if (r == -ENOENT) {
        error_clear(err);
        r = 0;
    }
    return r;
}
