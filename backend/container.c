/* Containers: see container.h. */
#include "backend/container.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/account.h"
#include "backend/background.h"
#include "backend/gpu.h"
#include "backend/guest/guest.h"
#include "backend/log.h"
#include "backend/pool.h"
#include "backend/quota.h"
#include "backend/refit.h"
#include "backend/store/store.h"

enum { PATH_SIZE = 4096 };

/*
 * @c with the limits that its tier has now, as far as they can be had: it starts with its old ones
 * rather than not at all.
 */
static struct container
refit_stopped(struct backend *b, struct store *store, const struct container *c)
{
    const struct tier *tier = refit_due(b->settings, c);
    struct container fit = *c; /* borrows what @c owns */
    struct error err = {0};
    int r = tier ? refit_container(b, &fit, &err) : 0;

    if (r == -ENOENT) { /* the engine has lost it: it will be made by what its row says */
        error_clear(&err);
        fit.limits.cpu_cores = tier->limits.cpu_cores;
        fit.limits.memory_mb = tier->limits.memory_mb;
        fit.limits.max_processes = tier->limits.max_processes;
        r = store_container_limits(store, c->id, &fit.limits, &err);
    }
    if (r < 0)
        log_warn("container %s starts with its old limits: %s", c->id, err.msg);
    return fit;
}

/* Start the container in the engine, or make it anew there if the engine has lost it. */
static int
bring_up(struct backend *b, struct store *store, const struct container *c, struct error *err)
{
    const struct container fit = refit_stopped(b, store, c);
    const struct engine_spec spec = container_engine_spec(&fit);
    int r = engine_start(b->engine, &spec, err);

    if (err && err->code == ERR_QUOTA_EXCEEDED)
        container_name_limit(b, &fit, "disk_mb", err);
    if (r == -ENOENT) {
        error_clear(err);
        r = background_lost(b, c->id, err);
        if (r == 0)
            r = engine_create(b->engine, &spec, err);
    }
    return r < 0 ? r : store_container_status(store, c->id, CONTAINER_RUNNING, time_now_ms(), err);
}

/* Make the container @c from the ground: the row first, then the engine; on failure neither
 * remains. */
static int
make(struct backend *b, struct store *store, struct container *c, struct quota_gate *gate,
     struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct engine_spec spec;
    int r;

    id_container(c->id);
    r = c->gpus > 0 ? gpu_insert(b, c, gate, err) : store_container_insert(store, c, gate, err);
    if (r < 0)
        return r;
    spec = container_engine_spec(c);
    r = container_lock(b, c->id, &lock, err);
    if (r == 0)
        r = engine_create(b->engine, &spec, err);
    if (r == 0)
        r = store_container_status(store, c->id, CONTAINER_RUNNING, time_now_ms(), err);
    if (r < 0)
        store_container_delete(store, c->id, NULL);
    return r;
}

/* Whom the commands of @c run as: the account that access.yaml names, or a uid of the service's. */
static int
find_identity(struct backend *b, struct store *store, struct container *c, struct error *err)
{
    const struct service *service = &b->settings->service;
    int r = account_find(b->settings, c->owner, &c->uid, &c->gid, err);

    if (r != 0)
        return r < 0 ? r : 0;
    /* The last of the range is the pool's, for containers without an owner. */
    return store_owner_uid(store, c->owner, service->uid_first, service->uid_last - 1, &c->uid,
                           err);
}

/* A new container by @plan: out of the pool, or made now. */
static int
create(struct backend *b, struct store *store, const struct container *plan, json_t *labels,
       struct container *ret, struct error *err)
{
    struct quota_gate gate = quota_gate(b, plan->owner);
    struct container c = *plan;
    _cleanup_(freep) char *text = json_dumps(labels, JSON_COMPACT);
    bool taken = false;
    int r;

    if (labels && !text)
        return error_errno(err, ENOMEM, "labels");
    r = find_identity(b, store, &c, err);
    if (r < 0)
        return r;
    c.labels = text;
    c.status = CONTAINER_CREATING;
    c.worker = b->context->worker_id;
    c.created_at_ms = time_now_ms();
    c.last_used_at_ms = c.created_at_ms;
    r = pool_take(b, &c, &gate, &taken, err);
    if (r == 0 && !taken)
        r = make(b, store, &c, &gate, err);
    if (gate.shut)
        return quota_refuse(b, c.owner, &gate, err);
    return r < 0 ? r : store_container_get(store, c.id, ret, err);
}

/* Bring the scope's container, found in some state, to run; -ENOENT: there is none (any more). */
static int
reuse(struct backend *b, struct store *store, const char *scope_key, struct container *ret,
      struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct container c = {0};
    int r;

    r = store_container_by_scope(store, scope_key, &c, err);
    if (r < 0)
        return r;
    if (c.status == CONTAINER_CREATING) {
        /* Its maker held the scope's lock, which we hold now: it died on the way. */
        r = container_discard(b, c.id, err);
        container_done(&c);
        return r < 0 ? r : -ENOENT;
    }
    if (c.status != CONTAINER_RUNNING) {
        r = container_lock(b, c.id, &lock, err);
        if (r == 0)
            r = bring_up(b, store, &c, err);
        c.status = CONTAINER_RUNNING;
    }
    if (r == 0)
        *ret = c;
    else
        container_done(&c);
    return r;
}

int
container_acquire(struct backend *b, const struct container *plan, json_t *labels,
                  struct container *ret, bool *ret_created, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct store *store = NULL;
    struct error missing = {0};
    int r;

    *ret_created = false;
    r = backend_store(b, &store, err);
    if (r < 0)
        return r;
    if (!plan->one_shot) {
        r = store_container_by_scope(store, plan->scope_key, ret, &missing);
        if (r == 0 && ret->status == CONTAINER_RUNNING)
            return 0;
        if (r == 0)
            container_done(ret);
        r = shared_lock(b->context->shared, SHARED_LOCK_SCOPE, plan->scope_key, CONTAINER_WAIT_MS,
                        &lock, err);
        if (r < 0)
            return r;
        r = reuse(b, store, plan->scope_key, ret, err);
        if (r != -ENOENT)
            return r;
        error_clear(err);
    }
    *ret_created = true;
    return create(b, store, plan, labels, ret, err);
}

/* Whether a container in this state is to run again. */
static bool
may_revive(const struct container *c, enum revival rule)
{
    return c->status == CONTAINER_RUNNING ||
           (rule == REVIVE_STOPPED_TOO && c->status != CONTAINER_REMOVING);
}

int
container_revive(struct backend *b, const struct container *c, enum revival rule, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct container now = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = container_lock(b, c->id, &lock, err);
    if (r < 0)
        return r;
    r = store_container_get(store, c->id, &now, err);
    if (r == -ENOENT || (r == 0 && !may_revive(&now, rule))) {
        error_clear(err);
        r = error_set(err, ERR_CONTAINER_NOT_RUNNING,
                      "the container was stopped or removed meanwhile");
    }
    if (r == 0)
        r = bring_up(b, store, &now, err);
    container_done(&now);
    return r;
}

bool
container_stop_broken(struct backend *b, const char *id, int64_t since_ms)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct container now = {0};
    struct store *store = NULL;
    struct error ignored = {0};
    bool on_purpose;
    int r;

    /* Whoever ends it holds the lock until the row says so, which a glance without would miss. */
    r = backend_store(b, &store, &ignored);
    if (r == 0)
        r = container_lock(b, id, &lock, &ignored);
    if (r == 0)
        r = store_container_get(store, id, &now, &ignored);
    on_purpose = r == -ENOENT ||
                 (r == 0 && (now.status != CONTAINER_RUNNING || now.started_at_ms > since_ms));
    if (r == 0 && !on_purpose)
        engine_stop(b->engine, id, &ignored);
    container_done(&now);
    return on_purpose;
}

int
container_get(struct backend *b, const struct caller *caller, const char *id, struct container *ret,
              struct error *err)
{
    const char *owner = caller_owner(caller);
    struct store *store = NULL;
    struct container c = {0};
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_container_get(store, id, &c, err);
    if (r < 0)
        return r;
    if ((owner && strcmp(owner, c.owner) != 0) || c.status == CONTAINER_REMOVING) {
        container_done(&c);
        return error_set(err, ERR_NOT_FOUND, "there is no such container");
    }
    *ret = c;
    return 0;
}

enum change { CHANGE_START, CHANGE_STOP, CHANGE_RESTART };

/* Stop it in the engine, and record what this ended. Its row stays as it is. */
static int
stop_engine(struct backend *b, const char *id, struct error *err)
{
    int r = engine_stop(b->engine, id, err);

    if (r == -ENOENT) {
        error_clear(err); /* gone from the engine: it does not run */
        r = 0;
    }
    return r < 0 ? r : background_end(b, id, err);
}

static int
stop(struct backend *b, struct store *store, const char *id, struct error *err)
{
    int r = stop_engine(b, id, err);

    return r < 0 ? r : store_container_status(store, id, CONTAINER_STOPPED, time_now_ms(), err);
}

/* Whether it runs as it should: to start it would only make its commands look like those of an
 * earlier life. */
static bool
serves(const struct backend *b, const struct container *c)
{
    char directory[PATH_SIZE];
    int fd = -1;

    container_guest_directory(b, c->id, directory, sizeof(directory));
    if (c->status != CONTAINER_RUNNING || guest_connect(directory, &fd, NULL) < 0)
        return false;
    close(fd);
    return true;
}

/* Change the state of a container under its lock, and read how it is then. */
static int
change_state(struct backend *b, const struct caller *caller, const char *id, enum change change,
             struct container *ret, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct container c = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = container_get(b, caller, id, &c, err);
    container_done(&c);
    if (r == 0)
        r = container_lock(b, id, &lock, err);
    if (r == 0)
        r = container_get(b, caller, id, &c, err);
    if (r == 0 && change != CHANGE_START)
        r = stop(b, store, id, err);
    if (r == 0 && change != CHANGE_STOP && !(change == CHANGE_START && serves(b, &c)))
        r = bring_up(b, store, &c, err);
    container_done(&c);
    return r < 0 ? r : container_get(b, caller, id, ret, err);
}

int
container_roll_back(struct backend *b, const struct container *c, const char *snapshot_id,
                    struct error *err)
{
    const struct engine_spec spec = container_engine_spec(c);
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = stop(b, store, c->id, err);
    if (r < 0)
        return r;
    r = engine_rollback(b->engine, &spec, snapshot_id, err);
    if (r == 0)
        return store_container_status(store, c->id, CONTAINER_RUNNING, time_now_ms(), err);
    if (c->status == CONTAINER_RUNNING)
        bring_up(b, store, c, NULL); /* as before; else it is started when it is needed */
    return r;
}

int
container_start(struct backend *b, const struct caller *caller, const char *id,
                struct container *ret, struct error *err)
{
    return change_state(b, caller, id, CHANGE_START, ret, err);
}

int
container_stop(struct backend *b, const struct caller *caller, const char *id,
               struct container *ret, struct error *err)
{
    return change_state(b, caller, id, CHANGE_STOP, ret, err);
}

int
container_restart(struct backend *b, const struct caller *caller, const char *id,
                  struct container *ret, struct error *err)
{
    return change_state(b, caller, id, CHANGE_RESTART, ret, err);
}

/* Remove the images of its snapshots; the rows go with the container's. */
static int
remove_snapshots(struct backend *b, struct store *store, const char *id, struct error *err)
{
    const struct snapshot_filter filter = {.container_id = id};
    _cleanup_(freep) struct snapshot *list = NULL;
    size_t count = 0;
    int r = store_snapshot_list(store, &filter, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = engine_snapshot_remove(b->engine, list[i].id, err);
    return r;
}

int
container_discard(struct backend *b, const char *id, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = container_lock(b, id, &lock, err);
    if (r == 0)
        r = store_container_removing(store, id, err);
    if (r == 0)
        r = background_runs(b, id, err);
    if (r == 1) /* what it wrote goes with the container */
        r = stop_engine(b, id, err);
    if (r == 0)
        r = engine_remove(b->engine, id, err);
    if (r == 0)
        r = remove_snapshots(b, store, id, err);
    return r < 0 ? r : store_container_delete(store, id, err);
}

int
container_discard_spent(struct backend *b, struct error *err)
{
    char id[CONTAINER_ID_SIZE];
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    /* One that cannot be removed is marked as `removing` first, and so does not come again. */
    while (r == 0) {
        r = store_background_spent(store, id, err);
        if (r == 0)
            r = container_discard(b, id, err);
    }
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return 0;
}

int
container_remove(struct backend *b, const struct caller *caller, const char *id, struct error *err)
{
    struct container c = {0};
    int r = container_get(b, caller, id, &c, err);

    container_done(&c);
    return r < 0 ? r : container_discard(b, id, err);
}
