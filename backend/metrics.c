/* Counting: see metrics.h. */
#include "backend/metrics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum tier_state { TIER_FREE, TIER_CLAIMED, TIER_NAMED };

const int metrics_statuses[METRICS_STATUSES] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409,
                                                412, 413, 415, 422, 429, 500, 502, 503, 0};

const char *const metrics_lane_names[METRICS_LANES] = {"control", "execution", "authentication"};

const char *const metrics_call_names[METRICS_CALLS] = {
    [METRICS_CALL_OTHER] = "other",     [METRICS_CALL_VERSION] = "version",
    [METRICS_CALL_INFO] = "info",       [METRICS_CALL_CREATE] = "create",
    [METRICS_CALL_START] = "start",     [METRICS_CALL_STOP] = "stop",
    [METRICS_CALL_KILL] = "kill",       [METRICS_CALL_REMOVE] = "remove",
    [METRICS_CALL_INSPECT] = "inspect", [METRICS_CALL_LIST] = "list",
    [METRICS_CALL_STATS] = "stats",     [METRICS_CALL_COMMIT] = "commit",
    [METRICS_CALL_IMAGE] = "image",     [METRICS_CALL_PULL] = "pull",
    [METRICS_CALL_BUILD] = "build",     [METRICS_CALL_NETWORK] = "network",
};

const char *const metrics_rule_names[METRICS_RULES] = {
    [METRICS_RULE_OTHER] = "other",
    [METRICS_RULE_ALLOWED_DOMAINS] = "allowed_domains",
    [METRICS_RULE_BLOCKED_DOMAINS] = "blocked_domains",
    [METRICS_RULE_ENABLED] = "enabled",
    [METRICS_RULE_NETWORK] = "network",
    [METRICS_RULE_PORTS] = "ports",
    [METRICS_RULE_ADDRESS] = "address",
    [METRICS_RULE_TLS] = "tls",
    [METRICS_RULE_LIMIT] = "limit",
    [METRICS_RULE_REQUEST] = "request",
    [METRICS_RULE_UPSTREAM] = "upstream",
};

static struct metrics own;
static struct metrics *metrics = &own;
static size_t worker_slot;

void
metrics_use(struct metrics *m)
{
    metrics = m;
}

struct metrics *
metrics_get(void)
{
    return metrics;
}

void
metrics_worker_begin(size_t slot)
{
    worker_slot = slot;
    metrics_worker_gone(slot);
}

void
metrics_worker_gone(size_t slot)
{
    struct metrics_worker *w = &metrics->workers[slot];

    for (int lane = 0; lane < METRICS_LANES; lane++) {
        atomic_store(&w->waiting[lane], 0);
        atomic_store(&w->busy[lane], 0);
    }
}

int64_t
metrics_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
add(atomic_uint_least64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

size_t
metrics_bucket(int64_t first_ns, int64_t ns)
{
    size_t bucket;

    if (ns <= first_ns)
        return 0;
    /* Twice as much is one bit more; what is just a bound belongs to it. */
    bucket = 64 - (size_t)__builtin_clzll((unsigned long long)((ns - 1) / first_ns));
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS;
}

static void
observe(struct metrics_histogram *h, int64_t first_ns, int64_t ns)
{
    add(&h->buckets[metrics_bucket(first_ns, ns)], 1);
    if (ns > 0)
        add(&h->sum_ns, (uint64_t)ns);
}

void
metrics_request(size_t route, int status, int64_t ns)
{
    size_t slot = 0;

    if (route >= METRICS_ROUTES_MAX)
        route = 0;
    while (slot < METRICS_STATUSES - 1 && metrics_statuses[slot] != status)
        slot++;
    add(&metrics->routes[route].statuses[slot], 1);
    observe(&metrics->routes[route].duration, METRICS_CALL_FIRST_NS, ns);
}

/*
 * The place of a tier's name, taken where it has none yet. One that is just being named, perhaps by
 * a process that died over it, is passed by: a name in two places is one when it is read.
 */
static struct metrics_tier *
tier_of(const char *name)
{
    for (size_t i = 1; i < METRICS_TIERS_MAX; i++) {
        struct metrics_tier *t = &metrics->tiers[i];
        unsigned state = atomic_load_explicit(&t->state, memory_order_acquire);

        if (state == TIER_NAMED && strcmp(t->name, name) == 0)
            return t;
        if (state != TIER_FREE || !atomic_compare_exchange_strong(&t->state, &state, TIER_CLAIMED))
            continue;
        snprintf(t->name, sizeof(t->name), "%s", name);
        atomic_store_explicit(&t->state, TIER_NAMED, memory_order_release);
        return t;
    }
    return &metrics->tiers[0];
}

const char *
metrics_tier_name(const struct metrics_tier *t)
{
    return atomic_load_explicit(&t->state, memory_order_acquire) == TIER_NAMED ? t->name : NULL;
}

void
metrics_execution(const char *tier, int status)
{
    if (status >= 1 && status <= METRICS_RESULTS)
        add(&tier_of(tier[0] ? tier : "none")->results[status - 1], 1);
}

void
metrics_docker_call(enum metrics_call call, int64_t ns)
{
    observe(&metrics->calls[call], METRICS_CALL_FIRST_NS, ns);
}

void
metrics_write_wait(int64_t ns)
{
    observe(&metrics->write_wait, METRICS_WRITE_FIRST_NS, ns);
}

void
metrics_write_hold(int64_t ns)
{
    observe(&metrics->write_hold, METRICS_WRITE_FIRST_NS, ns);
}

void
metrics_egress(bool allowed, enum metrics_rule rule)
{
    add(&metrics->egress[allowed][rule], 1);
}

void
metrics_lane(enum metrics_lane lane, int waiting, int busy)
{
    struct metrics_worker *w = &metrics->workers[worker_slot];

    if (waiting)
        atomic_fetch_add_explicit(&w->waiting[lane], waiting, memory_order_relaxed);
    if (busy)
        atomic_fetch_add_explicit(&w->busy[lane], busy, memory_order_relaxed);
}
