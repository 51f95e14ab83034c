/*
 * Limits of a container after its tier's have changed: see operations.h. The figures are not the
 * caller's but of our own settings, so that nobody gets what no tier has.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <math.h>

#include "backend/guest/protocol.h"

/* Of one tier, as the settings in force have it. */
static int
find_limits(const struct broker *b, const char *name, struct limits *ret, struct error *err)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    const struct tier *tier = settings_tier(s, name);

    if (!tier)
        return error_set(err, ERR_VALIDATION, "the broker knows no such tier");
    *ret = tier->limits;
    return 0;
}

/*
 * Whether less memory would be taken from its processes than they use now: cgroup v1 refuses that,
 * v2 would kill them.
 */
static int
look_at_memory(struct broker *b, struct docker *d, const char *id, struct engine_fit *fit,
               struct error *err)
{
    char name[CONTAINER_ID_SIZE];
    struct engine_stats stats = {0};
    int r;

    snprintf(name, sizeof(name), "%s", id);
    r = usage_read(b->usage, d, (const char(*)[CONTAINER_ID_SIZE]) & name, 1, &stats, err);
    fit->used_mb = (int64_t)ceil(stats.memory_mb);
    fit->memory_kept = r == 0 && stats.running && fit->used_mb >= fit->limits.memory_mb;
    return r;
}

/* Whether the container has a relay to the egress proxy, which its label says. */
static bool
has_relay(const struct docker_container *c)
{
    return json_string_length(json_object_get(c->labels, BROKER_LABEL_EGRESS)) > 0;
}

int
broker_refit(struct broker *b, struct docker *d, const char *id, const char *tier,
             struct engine_fit *ret, struct error *err)
{
    struct engine_fit fit = {0};
    struct docker_container c = {0};
    struct docker_limits limits;
    char name[BROKER_NAME_SIZE];
    int r = find_limits(b, tier, &fit.limits, err);

    if (r == 0)
        r = broker_look(b, d, id, false, &c, err);
    if (r == 0 && c.running)
        r = look_at_memory(b, d, id, &fit, err);
    limits = (struct docker_limits){
        .cpu_cores = fit.limits.cpu_cores,
        .memory_mb = fit.memory_kept ? 0 : fit.limits.memory_mb,
        .pids_limit = fit.limits.max_processes + GUEST_RESERVED_TASKS +
                      (has_relay(&c) ? GUEST_RELAY_TASKS : 0),
    };
    docker_container_done(&c);
    broker_name(b, id, PART_MAIN, name);
    if (r == 0)
        r = docker_container_update(d, name, &limits, err);
    if (r == -EREMOTEIO && c.running && !fit.memory_kept) { /* the kernel could not reclaim it */
        error_clear(err);
        fit.memory_kept = true;
        limits.memory_mb = 0;
        r = docker_container_update(d, name, &limits, err);
    }
    if (r == 0)
        *ret = fit;
    return broker_missing(r, err);
}
