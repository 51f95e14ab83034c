/* The janitor: see janitor.h. */
#include "backend/janitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/background.h"
#include "backend/container.h"
#include "backend/disk.h"
#include "backend/engine.h"
#include "backend/idempotency.h"
#include "backend/idle.h"
#include "backend/log.h"
#include "backend/metrics.h"
#include "backend/refit.h"
#include "backend/retention.h"
#include "backend/snapshot.h"
#include "backend/store/store.h"
#include "backend/token.h"
#include "backend/vet.h"

enum {
    TICK_SECONDS = 1, /* how often the WAL, the background and disks are looked at */
    PASS_SECONDS = 60,
    DOWN_SECONDS = 5,  /* until the next look for an engine that is down */
    REFIT_SECONDS = 5, /* until the next look at containers that have not got their limits yet */
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
    char (*images)[SNAPSHOT_ID_SIZE]; /* of snapshots, in the engine; listed before the rows */
    size_t image_count;
    struct snapshot *snapshots;
    size_t snapshot_count;
};

/* Close the audit rows of executions whose worker has died: nobody else will. Those in the
 * background go on without. */
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
            if (e->background || shared_worker_alive(shared, e->worker))
                continue;
            e->status = AUDIT_INTERRUPTED;
            e->finished_at_ms = time_now_ms();
            e->duration_ms = e->finished_at_ms - e->started_at_ms;
            r = store_audit_finish(p->store, e, NULL, false, err);
            if (r == 0)
                metrics_execution(e->tier, e->status);
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

/* Remove what the engine or the disk has and no row knows. */
static int
remove_strays(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->found_count; i++) {
        bool known = true;

        r = store_container_known(p->store, p->found[i].id, &known, err);
        if (r < 0 || known)
            continue;
        r = engine_remove(p->backend->engine, p->found[i].id, err);
        if (r == 0)
            log_info("container %s had no row and is removed", p->found[i].id);
    }
    return r;
}

/* Whether a row is of a work that nobody goes on with. */
static int
abandoned(const struct pass *p, const struct container *c, bool *ret, struct error *err)
{
    int r = 0;

    *ret = c->status == CONTAINER_REMOVING ||
           ((c->status == CONTAINER_CREATING || c->one_shot) &&
            !shared_worker_alive(p->backend->context->shared, c->worker));
    if (*ret && c->status != CONTAINER_REMOVING)
        r = background_runs(p->backend, c->id, err); /* that needs no worker */
    if (r > 0)
        *ret = false;
    return r < 0 ? r : 0;
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

/* A guest that does not answer keeps its spools; it is not the pass that this should end. */
static void
tidy_spools(struct pass *p, const struct container *c)
{
    struct error err = {0};

    if (background_tidy(p->backend, c->id, &err) < 0)
        log_debug("spools of container %s stay: %s (%s)", c->id, err.msg, err.detail);
}

/* Remove a container that nobody goes on with. One that Docker does not remove is left to the next
 * pass: it must not keep this one from the others. */
static int
discard(struct pass *p, const struct container *c, struct error *err)
{
    int r = container_discard(p->backend, c->id, err);

    if (r == 0)
        log_info("container %s was abandoned and is removed", c->id);
    if (r != -EREMOTEIO)
        return r;
    log_warn("container %s was abandoned and stays for now: %s", c->id, err->msg);
    error_clear(err);
    return 0;
}

static int
tend_rows(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->row_count; i++) {
        const struct container *c = &p->rows[i];
        const struct engine_container *e = find(p, c->id);
        bool nobodys = false;

        r = abandoned(p, c, &nobodys, err);
        if (r < 0)
            break;
        if (nobodys) {
            r = discard(p, c, err);
        } else if (c->status == CONTAINER_RUNNING && (!e || !e->running)) {
            r = settle(p, c, err);
        } else if (c->status == CONTAINER_RUNNING) {
            tidy_spools(p, c);
        } else if (c->status == CONTAINER_STOPPED && e && e->running) {
            r = idle_finish_stop(p->backend, c->id, err);
        }
    }
    return r;
}

/* Finish the removal of snapshots, and undo those whose worker has died while it made them. */
static int
tend_snapshots(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->snapshot_count; i++) {
        const struct snapshot *s = &p->snapshots[i];

        if (!snapshot_abandoned(p->backend, s))
            continue;
        log_info("snapshot %s is abandoned", s->id);
        r = snapshot_clear(p->backend, s, err);
    }
    return r;
}

/* Remove images of snapshots that no row knows, as far as no container stands on them. */
static int
remove_stray_images(struct pass *p, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->image_count; i++) {
        bool known = false;

        for (size_t j = 0; j < p->snapshot_count && !known; j++)
            known = strcmp(p->images[i], p->snapshots[j].id) == 0;
        if (!known)
            r = engine_snapshot_remove(p->backend->engine, p->images[i], err);
    }
    return r;
}

/* List what the engine has. */
static int
list_engine(struct pass *p, struct error *err)
{
    int r = engine_list(p->backend->engine, false, &p->found, &p->found_count, err);

    return r < 0 ? r : engine_snapshot_list(p->backend->engine, &p->images, &p->image_count, err);
}

/* Containers do not wait for the audit log to be put right. */
static void
tend_audit(struct backend *b)
{
    struct error err = {0};

    if (retention_tend(b, &err) < 0)
        log_warn("janitor: audit retention: %s (%s)", err.msg, err.detail);
}

/*
 * The engine is listed before the rows are read: a container gets its row first, so that one in the
 * list without a row has lost it, and is not one that is just being made.
 */
int
janitor_pass(struct backend *b, struct error *err)
{
    const struct snapshot_filter all = {0};
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
    if (r == 0)
        r = token_tidy(b, err);
    if (r < 0)
        return r;
    tend_audit(b);
    engine = list_engine(&p, &later);
    if (engine == 0)
        engine = store_container_all(p.store, &p.rows, &p.row_count, &later);
    if (engine == 0)
        engine = store_snapshot_list(p.store, &all, &p.snapshots, &p.snapshot_count, &later);
    if (engine == 0)
        engine = remove_strays(&p, &later);
    if (engine == 0)
        engine = tend_rows(&p, &later);
    if (engine == 0)
        engine = tend_snapshots(&p, &later);
    if (engine == 0)
        engine = remove_stray_images(&p, &later);
    if (engine == 0)
        engine = idle_tend(b, &later);
    free(p.found);
    free(p.images);
    free(p.snapshots);
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

/* What is looked at with every tick. A down engine is the pass's to report. */
static void
tick(struct backend *b, struct disk_watch *disk)
{
    struct error err = {0};

    if ((background_tend(b, &err) < 0 || container_discard_spent(b, &err) < 0) &&
        err.code != ERR_DOCKER_DOWN)
        log_warn("janitor: %s (%s)", err.msg, err.detail);
    error_clear(&err);
    if (disk_tend(b, disk, &err) < 0 && err.code != ERR_DOCKER_DOWN)
        log_warn("janitor: disk: %s (%s)", err.msg, err.detail);
    error_clear(&err);
    if (token_write_uses(b, &err) < 0)
        log_warn("janitor: uses of tokens: %s (%s)", err.msg, err.detail);
    error_clear(&err);
    if (tend_wal(b, &err) < 0)
        log_warn("janitor: %s (%s)", err.msg, err.detail);
}

/* Have containers follow their tiers. Returns when to do it again. */
static int64_t
refit(struct backend *b)
{
    struct error err = {0};
    int r = refit_tend(b, &err);

    if (r < 0 && err.code != ERR_DOCKER_DOWN)
        log_warn("janitor: tiers' limits: %s (%s)", err.msg, err.detail);
    return time_monotonic_ms() + (r == 0 ? PASS_SECONDS : REFIT_SECONDS) * INT64_C(1000);
}

/* What the YAML lost while the service was down does not keep it from starting. */
static void
warn_of_containers(struct backend *b)
{
    json_auto_t *list = json_array();
    struct error err = {0};
    json_t *sentence;
    size_t i;
    int r = backend_begin(b, &err);

    if (r == 0)
        r = list ? vet_containers(b, list, &err) : error_errno(&err, ENOMEM, "warnings");
    backend_end(b);
    if (r < 0)
        log_warn("janitor: %s (%s)", err.msg, err.detail);
    json_array_foreach(list, i, sentence)
    {
        log_warn("%s", json_string_value(sentence));
    }
}

/* The loop: a tick a second, a pass a minute or when nudged, until TERM. */
static void
run(struct backend *b, const sigset_t *signals)
{
    const struct timespec pause = {.tv_sec = TICK_SECONDS};
    struct disk_watch disk = {0};
    int64_t next_ms = 0, refit_ms = 0;
    bool down = false;

    warn_of_containers(b);
    for (;;) {
        struct error err = {0};
        int sig;

        if (time_monotonic_ms() >= next_ms) {
            janitor_pass(b, &err);
            report(&err, &down);
            next_ms = time_monotonic_ms() + (down ? DOWN_SECONDS : PASS_SECONDS) * INT64_C(1000);
        }
        if (time_monotonic_ms() >= refit_ms)
            refit_ms = refit(b);
        tick(b, &disk);
        sig = sigtimedwait(signals, NULL, &pause);
        if (sig == SIGTERM)
            return;
        error_clear(&err);
        if (sig == SIGHUP && current_reload(b->context->current, &err) < 0)
            log_error("settings stay as they were: %s", err.msg);
        if (sig == SIGHUP || sig == SIGUSR2)
            refit_ms = 0;
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
