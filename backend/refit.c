/* Following tiers' limits: see refit.h. */
#include "backend/refit.h"

#include <errno.h>
#include <stdio.h>

#include "backend/change.h"
#include "backend/container_place.h"
#include "backend/engine.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum { WAIT_MS = 100 }; /* for a container that somebody works on: the next pass will do */

static bool
same_cpu(const struct limits *a, const struct limits *b)
{
    return a->cpu_cores > b->cpu_cores - 1e-9 && a->cpu_cores < b->cpu_cores + 1e-9;
}

/* Whether nobody makes or removes it. */
static bool
is_settled(const struct container *c)
{
    return c->status == CONTAINER_RUNNING || c->status == CONTAINER_STOPPED;
}

static bool
same_limits(const struct limits *a, const struct limits *b)
{
    return same_cpu(a, b) && a->memory_mb == b->memory_mb && a->max_processes == b->max_processes;
}

const struct tier *
refit_due(const struct settings *s, const struct container *c)
{
    const struct tier *tier = c->tier[0] ? settings_tier(s, c->tier) : NULL;

    return tier && !same_limits(&c->limits, &tier->limits) ? tier : NULL;
}

static json_t *
limits_json(const struct limits *l)
{
    return json_pack("{s:f, s:I, s:I}", "cpu_cores", l->cpu_cores, "memory_mb",
                     (json_int_t)l->memory_mb, "max_processes", (json_int_t)l->max_processes);
}

/* Leave an entry of what was changed. Nothing is not noted. */
static int
note(struct backend *b, const struct container *c, const struct limits *now, struct error *err)
{
    const struct caller us = {
        .user = c->owner, .role = ROLE_ADMIN, .action = "tier limits", .request_id = "janitor"};
    json_auto_t *before = limits_json(&c->limits);
    json_auto_t *after = limits_json(now);
    json_auto_t *was = NULL, *is = NULL;
    struct change change = {
        .container_id = c->id, .template_name = c->template_name, .tier = c->tier};

    if (!before || !after || change_difference(before, after, &was, &is) < 0)
        return error_errno(err, ENOMEM, "change entry");
    if (json_object_size(is) == 0)
        return 0;
    change.before = was;
    change.after = is;
    return change_note(b, &us, &change, err);
}

static void
log_fit(const struct container *c, const struct engine_fit *fit, const struct limits *now)
{
    if (fit->memory_kept)
        log_warn("container %s of %s keeps %lld MiB of memory, for its processes use %lld of the "
                 "%lld that tier %s has now",
                 c->id, c->owner, (long long)c->limits.memory_mb, (long long)fit->used_mb,
                 (long long)fit->limits.memory_mb, c->tier);
    else
        log_info("container %s has the limits of tier %s now: %g cores, %lld MiB, %lld processes",
                 c->id, c->tier, now->cpu_cores, (long long)now->memory_mb,
                 (long long)now->max_processes);
}

int
refit_container(struct backend *b, struct container *c, struct error *err)
{
    const struct tier *tier = refit_due(b->settings, c);
    struct engine_fit fit = {0};
    struct store *store = NULL;
    struct limits now = c->limits;
    int r;

    if (!tier)
        return 0;
    r = backend_store(b, &store, err);
    if (r == 0)
        r = engine_refit(b->engine, c->id, tier->name, &fit, err);
    if (r == 0 && !same_limits(&fit.limits, &tier->limits))
        r = error_set(err, ERR_OVERLOADED, "the broker has other tiers; try again");
    if (r < 0)
        return r;
    now.cpu_cores = fit.limits.cpu_cores;
    now.max_processes = fit.limits.max_processes;
    if (!fit.memory_kept)
        now.memory_mb = fit.limits.memory_mb;
    log_fit(c, &fit, &now);
    r = store_container_limits(store, c->id, &now, err);
    if (r == 0)
        r = note(b, c, &now, err);
    c->limits = now;
    return r;
}

/* Look at one container under its lock. */
static int
look(struct backend *b, struct store *store, const char *id, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct container c = {0};
    int r;

    r = shared_lock(b->context->shared, SHARED_LOCK_CONTAINER, id, WAIT_MS, &lock, err);
    if (r == 0)
        r = store_container_get(store, id, &c, err);
    if (r == 0 && is_settled(&c))
        r = refit_container(b, &c, err);
    container_done(&c);
    return r;
}

/* All of @rows, as far as it is due. Returns as refit_tend(). */
static int
look_at_all(struct backend *b, struct store *store, const struct container *rows, size_t count,
            struct error *err)
{
    int left = 0;

    for (size_t i = 0; i < count; i++) {
        struct error failure = {0};
        int r;

        if (!is_settled(&rows[i]) || !refit_due(b->settings, &rows[i]))
            continue;
        r = look(b, store, rows[i].id, &failure);
        if (r == -EHOSTDOWN || r == -EIO) {
            *err = failure;
            return r;
        }
        if (r == 0 || r == -ENOENT)
            continue;
        if (r != -EBUSY)
            log_warn("container %s does not have the limits of tier %s: %s", rows[i].id,
                     rows[i].tier, failure.msg);
        left++;
    }
    return left;
}

int
refit_tend(struct backend *b, struct error *err)
{
    struct container *rows = NULL;
    struct store *store = NULL;
    size_t count = 0;
    int r = backend_begin(b, err);

    if (r == 0)
        r = backend_store(b, &store, err);
    if (r == 0)
        r = store_container_all(store, &rows, &count, err);
    if (r == 0)
        r = look_at_all(b, store, rows, count, err);
    store_container_list_free(rows, count);
    backend_end(b);
    return r;
}
