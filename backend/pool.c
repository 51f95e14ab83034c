/* The pool as requests meet it: see pool.h. */
#include "backend/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <sodium.h>

#include "backend/change.h"
#include "backend/container_place.h"
#include "backend/engine.h"
#include "backend/log.h"
#include "backend/store/store.h"
#include "backend/template.h"

enum { PARTS_SIZE = 1024 };

/* The target that serves requests for this template and tier; NULL: none does. */
static const struct pool_target *
find_target(const struct settings *s, const char *template_name, const char *tier)
{
    const struct pool_target *targets = s->pool.targets.items;

    for (size_t i = 0; s->pool.enabled && i < s->pool.targets.count; i++)
        if (strcmp(targets[i].template_name, template_name) == 0 &&
            strcasecmp(targets[i].tier, tier) == 0)
            return &targets[i];
    return NULL;
}

bool
pool_plan(struct backend *b, const struct pool_target *target, struct container *ret)
{
    const struct tier *tier = settings_tier(b->settings, target->tier);
    struct container c = {
        .workspace_access = ACCESS_RW,
        .uid = b->settings->service.uid_last,
    };
    struct template template;

    if (template_find(b, target->template_name, &template, NULL) < 0 || !tier ||
        template.gpus > 0 || tier->gpus > 0)
        return false;
    c.limits = tier->limits;
    c.network = (enum network)tier->network;
    snprintf(c.tier, sizeof(c.tier), "%s", tier->name);
    snprintf(c.template_name, sizeof(c.template_name), "%s", template.name);
    snprintf(c.image, sizeof(c.image), "%s", template.service);
    snprintf(c.runtime, sizeof(c.runtime), "%s", tier->runtime);
    *ret = c;
    return true;
}

int
pool_fingerprint(struct backend *b, const struct container *plan, char ret[FINGERPRINT_SIZE],
                 struct error *err)
{
    const struct limits *l = &plan->limits;
    unsigned char digest[(FINGERPRINT_SIZE - 1) / 2];
    char image_id[ENGINE_IMAGE_ID_SIZE] = "";
    char parts[PARTS_SIZE];
    struct stat guest;
    int r = engine_image_id(b->engine, plan->image, image_id, err);

    if (r < 0)
        return r;
    if (stat(b->context->guest_binary, &guest) < 0)
        return error_errno(err, errno, b->context->guest_binary);
    snprintf(parts, sizeof(parts), "%s %s %s %s %d %.17g %lld %lld %lld %llu %lld.%09ld",
             b->context->posture, plan->image, image_id, plan->runtime, (int)plan->network,
             l->cpu_cores, (long long)l->memory_mb, (long long)l->disk_mb,
             (long long)l->max_processes, (unsigned long long)guest.st_ino,
             (long long)guest.st_mtim.tv_sec, guest.st_mtim.tv_nsec);
    crypto_generichash(digest, sizeof(digest), (const unsigned char *)parts, strlen(parts), NULL,
                       0);
    sodium_bin2hex(ret, FINGERPRINT_SIZE, digest, sizeof(digest));
    return 0;
}

/* Tell the keeper that there may be something to do. */
static void
wake_builder(const struct backend *b)
{
    pid_t builder = atomic_load(&b->context->shared->builder_pid);

    if (builder > 0)
        kill(builder, SIGUSR2);
}

/* Give the container to the owner that its row names by now. */
static int
adopt(struct backend *b, struct store *store, const struct container *c, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    const struct engine_spec spec = container_engine_spec(c);
    int r = container_lock(b, c->id, &lock, err);

    if (r == 0)
        r = engine_adopt(b->engine, &spec, err);
    if (r == 0)
        r = store_container_status(store, c->id, CONTAINER_RUNNING, time_now_ms(), err);
    return r;
}

/* Remove one that could not be given out: there is nothing of its owner's in it. */
static int
give_up(struct backend *b, struct store *store, const char *id, struct error *err)
{
    int r = store_container_removing(store, id, err);

    if (r == 0)
        r = engine_remove(b->engine, id, err);
    return r < 0 ? r : store_container_delete(store, id, err);
}

int
pool_take(struct backend *b, struct container *c, struct quota_gate *gate, bool *ret,
          struct error *err)
{
    char fingerprint[FINGERPRINT_SIZE];
    struct store *store = NULL;
    struct error why = {0};
    bool claimed = false;
    int r;

    *ret = false;
    if (c->workspace_access == ACCESS_NONE || c->gpus > 0 || !c->tier[0] ||
        !find_target(b->settings, c->template_name, c->tier))
        return 0;
    /* Without the image or the engine a cold start is tried, and says what is wrong. */
    if (pool_fingerprint(b, c, fingerprint, &why) < 0)
        return 0;
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_pool_claim(store, fingerprint, c, gate, &claimed, err);
    wake_builder(b);
    if (r < 0 || !claimed)
        return r;
    if (adopt(b, store, c, &why) < 0) {
        log_warn("container %s of the pool could not be given out: %s (%s)", c->id, why.msg,
                 why.detail);
        return give_up(b, store, c->id, err);
    }
    *ret = true;
    return 0;
}

void
pool_report_done(struct pool_report *r)
{
    free(r->items);
    *r = (struct pool_report){0};
}

int
pool_report(struct backend *b, struct pool_report *ret, struct error *err)
{
    const struct pool_policy *pool = &b->settings->pool;
    const struct pool_target *targets = pool->targets.items;
    struct pool_report report = {.enabled = pool->enabled, .count = pool->targets.count};
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    report.items = calloc(report.count + 1, sizeof(*report.items));
    if (!report.items)
        return error_errno(err, ENOMEM, "pool report");
    for (size_t i = 0; r == 0 && i < report.count; i++) {
        struct pool_state *state = &report.items[i];
        struct pool_figures figures = {0};

        state->template_name = targets[i].template_name;
        state->tier = settings_tier(b->settings, targets[i].tier)->name;
        state->target = pool->enabled ? targets[i].count : 0;
        r = store_pool_figures(store, state->template_name, state->tier, &figures, err);
        state->ready = figures.ready;
        state->warming = figures.warming;
        state->claimed = figures.claimed;
        state->missed = figures.missed;
    }
    if (r < 0)
        pool_report_done(&report);
    else
        *ret = report;
    return r;
}

int
pool_discard(struct backend *b, const char *id, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct store *store = NULL;
    bool pooled = false;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = container_lock(b, id, &lock, err);
    /* Whoever has claimed it meanwhile has a row of `container` for it: it is theirs. */
    if (r == 0)
        r = store_pool_drain_one(store, id, &pooled, err);
    if (r < 0 || !pooled)
        return r;
    r = engine_remove(b->engine, id, err);
    return r < 0 ? r : store_pool_delete(store, id, err);
}

static int
note_drain(struct backend *b, const struct caller *caller, const char *template_name,
           const char *tier, bool refill, int64_t drained, struct error *err)
{
    json_auto_t *after = json_pack("{s:b, s:I}", "refill", refill, "drained", (json_int_t)drained);
    const struct change change = {.template_name = template_name, .tier = tier, .after = after};

    return after ? change_note(b, caller, &change, err) : error_errno(err, ENOMEM, "change entry");
}

/* Whether the settings have a target of this template and tier (NULL: any). */
static bool
has_target(const struct settings *s, const char *template_name, const char *tier)
{
    const struct pool_target *targets = s->pool.targets.items;

    for (size_t i = 0; i < s->pool.targets.count; i++)
        if ((!template_name || strcmp(targets[i].template_name, template_name) == 0) &&
            (!tier || strcasecmp(targets[i].tier, tier) == 0))
            return true;
    return !template_name && !tier;
}

/* Hold the targets empty, or let them be filled again. */
static int
hold(struct backend *b, struct store *store, const char *template_name, const char *tier,
     bool refill, struct error *err)
{
    const struct pool_target *targets = b->settings->pool.targets.items;
    int r = 0;

    for (size_t i = 0; r == 0 && i < b->settings->pool.targets.count; i++) {
        const char *name = settings_tier(b->settings, targets[i].tier)->name;

        if ((!template_name || strcmp(targets[i].template_name, template_name) == 0) &&
            (!tier || strcasecmp(name, tier) == 0))
            r = store_pool_hold(store, targets[i].template_name, name, !refill, err);
    }
    return r;
}

int
pool_drain(struct backend *b, const struct caller *caller, const char *template_name,
           const char *tier, bool refill, int64_t *ret, struct error *err)
{
    struct pool_entry *list = NULL;
    struct store *store = NULL;
    size_t count = 0;
    int64_t drained = 0;
    int r, noted;

    if (!has_target(b->settings, template_name, tier))
        return error_set(err, ERR_NOT_FOUND, "the pool has no such target; GET pool lists them");
    r = backend_store(b, &store, err);
    if (r == 0) /* before they go: the keeper is not to replace them */
        r = hold(b, store, template_name, tier, refill, err);
    if (r == 0)
        r = store_pool_list(store, &list, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if ((template_name && strcmp(list[i].template_name, template_name) != 0) ||
            (tier && strcasecmp(list[i].tier, tier) != 0))
            continue;
        r = pool_discard(b, list[i].id, err);
        drained += r == 0;
    }
    free(list);
    wake_builder(b);
    if (r < 0 && drained == 0)
        return r;
    noted = note_drain(b, caller, template_name, tier, refill, drained, r == 0 ? err : NULL);
    *ret = drained;
    return r < 0 ? r : noted;
}
