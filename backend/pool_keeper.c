/*
 * The pool's keeper: a thread of the builder that removes what nobody may get any more, and starts
 * what is missing, one container after the other. It works by what the table says, so that a new
 * builder goes on where a dead one stopped; what that one was just making is removed.
 */
#include "backend/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/container_place.h"
#include "backend/engine.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum {
    IDLE_SECONDS = 5, /* until the next look when nobody says that there is something to do */
    CHECK_MS = 30000, /* until the next look whether what is ready still runs */
    THREAD_STACK = 256 << 10
};

/* Lifetime: process. */
struct pool_keeper {
    const struct service_context *context;
    struct backend *backend; /* the thread's */
    int64_t check_at_ms;
    bool failing; /* the last pass failed: said once */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken, reloaded; /* under the lock */
};

/* A target and what serves it now. Lifetime: pass. */
struct wanted {
    struct container plan;
    char fingerprint[FINGERPRINT_SIZE];
    int64_t count; /* of containers; 0: none is to be kept */
    int64_t have;
};

/* Work out what target @t wants. Without its image it wants nothing, which is no failure. */
static int
want(struct backend *b, struct store *store, const struct pool_target *t, struct wanted *ret,
     struct error *err)
{
    struct pool_figures figures = {0};
    struct wanted w = {0};
    int r;

    if (!b->settings->pool.enabled || !pool_plan(b, t, &w.plan)) {
        *ret = w;
        return 0;
    }
    r = store_pool_figures(store, w.plan.template_name, w.plan.tier, &figures, err);
    if (r == 0)
        r = pool_fingerprint(b, &w.plan, w.fingerprint, err);
    if (r == 0)
        w.count = figures.held ? 0 : t->count;
    if (r == -ENODATA) {
        error_clear(err);
        r = 0;
    }
    *ret = w;
    return r;
}

static struct wanted *
find_wanted(struct wanted *list, size_t count, const struct pool_entry *e)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].plan.template_name, e->template_name) == 0 &&
            strcmp(list[i].plan.tier, e->tier) == 0 &&
            strcmp(list[i].fingerprint, e->fingerprint) == 0 && list[i].have < list[i].count)
            return &list[i];
    return NULL;
}

/* Count what serves the targets, and remove the rest. */
static int
sort_out(struct backend *b, struct store *store, struct wanted *wanted, size_t count,
         struct error *err)
{
    struct pool_entry *list = NULL;
    size_t entries = 0;
    int r = store_pool_list(store, &list, &entries, err);

    for (size_t i = 0; r == 0 && i < entries; i++) {
        struct wanted *w = find_wanted(wanted, count, &list[i]);

        if (w && list[i].status == POOL_READY)
            w->have++;
        else /* whoever was warming it has died: there is only one keeper */
            r = pool_discard(b, list[i].id, err);
    }
    free(list);
    return r;
}

/* Start one container more for @w. */
static int
warm(struct backend *b, struct store *store, const struct wanted *w, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct pool_entry e = {.status = POOL_WARMING, .created_at_ms = time_now_ms()};
    struct container c = w->plan;
    struct engine_spec spec;
    bool announced = false, ready = false;
    int r;

    id_container(c.id);
    spec = container_engine_spec(&c);
    memcpy(e.id, c.id, sizeof(e.id));
    memcpy(e.template_name, c.template_name, sizeof(e.template_name));
    memcpy(e.tier, c.tier, sizeof(e.tier));
    memcpy(e.fingerprint, w->fingerprint, sizeof(e.fingerprint));
    r = store_pool_insert(store, &e, &announced, err);
    if (r < 0 || !announced)
        return r;
    r = container_lock(b, c.id, &lock, err);
    if (r == 0)
        r = engine_warm(b->engine, &spec, err);
    if (r == 0)
        r = store_pool_ready(store, c.id, &ready, err);
    shared_unlock(&lock);
    if (r < 0 || !ready)
        pool_discard(b, c.id, NULL); /* what fails here is the next pass's to finish */
    return r;
}

/* Remove what is ready by its row, but does not run: its engine was restarted, say. */
static int
check(struct backend *b, struct store *store, struct error *err)
{
    _cleanup_(freep) struct engine_container *found = NULL;
    _cleanup_(freep) struct pool_entry *list = NULL;
    size_t count = 0, entries = 0;
    int r = store_pool_list(store, &list, &entries, err);

    if (r == 0 && entries > 0)
        r = engine_list(b->engine, false, &found, &count, err);
    for (size_t i = 0; r == 0 && i < entries; i++) {
        bool runs = false;

        for (size_t k = 0; k < count && !runs; k++)
            runs = found[k].running && strcmp(found[k].id, list[i].id) == 0;
        if (!runs)
            r = pool_discard(b, list[i].id, err);
    }
    return r;
}

/* One look at everything. *ret_more: a container was started, others may be missing still. */
static int
pass(struct pool_keeper *k, bool reloaded, bool *ret_more, struct error *err)
{
    struct backend *b = k->backend;
    const struct pool_policy *pool;
    _cleanup_(freep) struct wanted *wanted = NULL;
    struct store *store = NULL;
    int r = backend_begin(b, err);

    if (r == 0)
        r = backend_store(b, &store, err);
    if (r == 0 && reloaded)
        r = store_pool_release(store, err);
    if (r < 0)
        return r;
    pool = &b->settings->pool;
    wanted = calloc(pool->targets.count + 1, sizeof(*wanted));
    if (!wanted)
        return error_errno(err, ENOMEM, "pool");
    if (time_monotonic_ms() >= k->check_at_ms) {
        r = check(b, store, err);
        k->check_at_ms = time_monotonic_ms() + CHECK_MS;
    }
    for (size_t i = 0; r == 0 && i < pool->targets.count; i++)
        r = want(b, store, &((const struct pool_target *)pool->targets.items)[i], &wanted[i], err);
    if (r == 0)
        r = sort_out(b, store, wanted, pool->targets.count, err);
    for (size_t i = 0; r == 0 && i < pool->targets.count; i++) {
        if (wanted[i].have >= wanted[i].count)
            continue;
        r = warm(b, store, &wanted[i], err);
        *ret_more = true;
    }
    return r;
}

/* Log a failure once, until all is well again. */
static void
report(struct pool_keeper *k, int r, const struct error *err)
{
    if (r < 0 && !k->failing)
        log_warn("pool: %s (%s)", err->msg, err->detail);
    else if (r == 0 && k->failing)
        log_info("pool: kept at its targets again");
    k->failing = r < 0;
}

/* Wait until somebody wakes the keeper, or for the next look. Returns whether it is a reload. */
static bool
wait_for_work(struct pool_keeper *k)
{
    struct timespec until;
    bool reloaded;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    pthread_mutex_lock(&k->lock);
    /* A failure is not tried again at once, whoever asks: only after the whole time. */
    while (k->failing || !k->woken)
        if (pthread_cond_clockwait(&k->changed, &k->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            break;
    reloaded = k->reloaded;
    k->woken = k->reloaded = false;
    pthread_mutex_unlock(&k->lock);
    return reloaded;
}

static void *
keep(void *arg)
{
    struct pool_keeper *k = arg;
    bool reloaded = false;

    for (;;) {
        struct error err = {0};
        bool more = false;

        report(k, pass(k, reloaded, &more, &err), &err);
        backend_end(k->backend);
        reloaded = more && !k->failing ? false : wait_for_work(k);
    }
    return NULL;
}

int
pool_keeper_start(const struct service_context *context, struct pool_keeper **ret,
                  struct error *err)
{
    struct pool_keeper *k = calloc(1, sizeof(*k));
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    if (!k)
        return error_errno(err, ENOMEM, "pool");
    k->context = context;
    k->backend = backend_new(context);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
    rc = k->backend ? pthread_attr_init(&attr) : ENOMEM;
    if (rc == 0)
        rc = pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (rc == 0)
        rc = pthread_create(&thread, &attr, keep, k);
    if (rc != 0) {
        backend_free(k->backend);
        free(k);
        return error_errno(err, rc, "the pool's thread");
    }
    pthread_attr_destroy(&attr);
    pthread_detach(thread);
    *ret = k;
    return 0;
}

void
pool_keeper_wake(struct pool_keeper *k, bool reloaded)
{
    pthread_mutex_lock(&k->lock);
    k->woken = true;
    k->reloaded = k->reloaded || reloaded;
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
}
