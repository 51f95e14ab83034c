/* The janitor: see janitor.h. */
#include "backend/janitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/container.h"
#include "backend/engine.h"
#include "backend/idempotency.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum {
    TICK_SECONDS = 1, /* how often the WAL is looked at */
    PASS_SECONDS = 60,
    DOWN_SECONDS = 5, /* until the next look for an engine that is down */
    AUDIT_BATCH = 100
};

/* What one pass works on. */
struct pass {
    struct backend *backend;
    struct store *store;
    struct engine_container *found; /* what the engine has; listed before the rows */
    size_t found_count;
    struct container *rows;
    size_t row_count;
};

/* Close the audit rows of executions whose worker has died: nobody else will. */
static int
interrupt_orphans(struct pass *p, struct error *err)
{
    struct audit_filter filter = {.status = AUDIT_RUNNING, .limit = AUDIT_BATCH};
    struct shared *shared = p->backend->context->shared;
    int r;

    do {
        struct audit_entry *list = NULL;
        size_t count = 0;

        r = store_audit_list(p->store, &filter, &list, &count, err);
        for (size_t i = 0; r == 0 && i < count; i++) {
            struct audit_entry *e = &list[i];

            filter.before = e->seq;
            if (shared_worker_alive(shared, e->worker))
                continue;
            e->status = AUDIT_INTERRUPTED;
            e->finished_at_ms = time_now_ms();
            e->duration_ms = e->finished_at_ms - e->started_at_ms;
            r = store_audit_finish(p->store, e, NULL, false, err);
            log_info("execution %s is interrupted: its worker has died", e->id);
        }
        store_audit_list_free(list, count);
        if (count < AUDIT_BATCH)
            break;
    } while (r == 0);
    return r;
}

static const struct engine_container *
find(const struct pass *p, const char *id)
{
    for (size_t i = 0; i < p->found_count; i++)
        if (p->found[i].exists && strcmp(p->found[i].id, id) == 0)
            return &p->found[i];
    return NULL;
}

static bool
has_row(const struct pass *p, const char *id)
{
    for (size_t i = 0; i < p->row_count; i++)
        if (strcmp(p->rows[i].id, id) == 0)
            return true;
    return false;
}

/* Remove what the engine or the disk has and no row knows. */
static int
remove_strays(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->found_count; i++) {
        if (has_row(p, p->found[i].id))
            continue;
        r = engine_remove(p->backend->engine, p->found[i].id, err);
        if (r == 0)
            log_info("container %s had no row and is removed", p->found[i].id);
    }
    return r;
}

/* Whether a row is of a work that nobody goes on with. */
static bool
abandoned(const struct pass *p, const struct container *c)
{
    if (c->status == CONTAINER_REMOVING)
        return true;
    return (c->status == CONTAINER_CREATING || c->one_shot) &&
           !shared_worker_alive(p->backend->context->shared, c->worker);
}

/* The row says `running`, the engine says otherwise: look again under the lock, and believe the
 * engine. */
static int
settle(struct pass *p, const struct container *c, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct engine_container now = {0};
    struct container row = {0};
    int r;

    r = shared_lock(p->backend->context->shared, SHARED_LOCK_CONTAINER, c->id, 1000, &lock, err);
    if (r == 0)
        r = store_container_get(p->store, c->id, &row, err);
    container_done(&row);
    if (r < 0 || row.status != CONTAINER_RUNNING)
        return r;
    r = engine_inspect(p->backend->engine, c->id, &now, err);
    if (r == -ENOENT) {
        error_clear(err);
        log_info("container %s is gone from the engine", c->id);
        return store_container_status(p->store, c->id, CONTAINER_FAILED, 0, err);
    }
    if (r < 0 || now.running)
        return r;
    log_info("container %s has stopped by itself", c->id);
    return store_container_status(p->store, c->id, CONTAINER_STOPPED, 0, err);
}

/* Where the storage driver has no limit of its own, a container over its disk limit is stopped. */
static int
watch_disk(struct pass *p, const struct container *c, const struct engine_container *e,
           struct error *err)
{
    const struct caller us = {.user = c->owner, .role = ROLE_ADMIN};
    struct container stopped = {0};
    int r;

    if (!e->running || e->disk_bytes >> 20 <= c->limits.disk_mb)
        return 0;
    log_warn("container %s uses %lld MB of disk, its limit is %lld MB: stopped", c->id,
             (long long)(e->disk_bytes >> 20), (long long)c->limits.disk_mb);
    r = container_stop(p->backend, &us, c->id, &stopped, err);
    container_done(&stopped);
    return r;
}

static int
tend_rows(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->row_count; i++) {
        const struct container *c = &p->rows[i];
        const struct engine_container *e = find(p, c->id);

        if (abandoned(p, c)) {
            r = container_discard(p->backend, c->id, err);
            log_info("container %s was abandoned and is removed", c->id);
        } else if (c->status == CONTAINER_RUNNING && (!e || !e->running)) {
            r = settle(p, c, err);
        } else if (c->status == CONTAINER_RUNNING) {
            r = watch_disk(p, c, e, err);
        }
    }
    return r;
}

/* List what the engine has, with disk use where that is ours to watch. */
static int
list_engine(struct pass *p, struct error *err)
{
    struct engine_info info;
    int r = engine_info(p->backend->engine, &info, err);

    return r < 0 ? r
                 : engine_list(p->backend->engine, !info.disk_enforced, &p->found, &p->found_count,
                               err);
}

/*
 * The engine is listed before the rows are read: a container gets its row first, so that one in the
 * list without a row has lost it, and is not one that is just being made.
 */
int
janitor_pass(struct backend *b, struct error *err)
{
    struct pass p = {.backend = b};
    struct error later = {0};
    int r, engine;

    r = backend_begin(b, err);
    if (r == 0)
        r = backend_store(b, &p.store, err);
    if (r == 0)
        r = interrupt_orphans(&p, err);
    if (r == 0)
        r = store_keyed_expire(p.store, time_now_ms() - IDEMPOTENCY_KEPT_MS, err);
    if (r < 0)
        return r;
    engine = list_engine(&p, &later);
    if (engine == 0)
        engine = store_container_all(p.store, &p.rows, &p.row_count, &later);
    if (engine == 0)
        engine = remove_strays(&p, &later);
    if (engine == 0)
        engine = tend_rows(&p, &later);
    free(p.found);
    store_container_list_free(p.rows, p.row_count);
    backend_end(b);
    if (engine < 0)
        *err = later;
    return engine;
}

static int
tend_wal(struct backend *b, struct error *err)
{
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    return r < 0 ? r : store_tend_wal(store, err);
}

/* Log a failure of the pass, but an engine that is down only once. */
static void
report(const struct error *err, bool *down)
{
    bool now_down = err->code == ERR_DOCKER_DOWN;

    if (err->code != ERR_NONE && !(now_down && *down))
        log_warn("janitor: %s (%s)", err->msg, err->detail);
    if (*down && !now_down)
        log_info("janitor: the engine is back");
    *down = now_down;
}

/* The loop: a tick a second, a pass a minute or when nudged, until TERM. */
static void
run(struct backend *b, const sigset_t *signals)
{
    const struct timespec tick = {.tv_sec = TICK_SECONDS};
    int64_t next_ms = 0;
    bool down = false;

    for (;;) {
        struct error err = {0};
        int sig;

        if (time_monotonic_ms() >= next_ms) {
            janitor_pass(b, &err);
            report(&err, &down);
            next_ms = time_monotonic_ms() + (down ? DOWN_SECONDS : PASS_SECONDS) * INT64_C(1000);
        }
        error_clear(&err);
        if (tend_wal(b, &err) < 0)
            log_warn("janitor: %s (%s)", err.msg, err.detail);
        sig = sigtimedwait(signals, NULL, &tick);
        if (sig == SIGTERM)
            return;
        error_clear(&err);
        if (sig == SIGHUP && current_reload(b->context->current, &err) < 0)
            log_error("settings stay as they were: %s", err.msg);
        if (sig == SIGUSR2)
            next_ms = 0;
    }
}

int
janitor_main(struct service_context *ctx)
{
    _cleanup_(backend_freep) struct backend *b = NULL;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    json_object_seed(0);
    b = backend_new(ctx);
    if (!b)
        return EXIT_FAILURE;
    run(b, &signals);
    return EXIT_SUCCESS;
}
