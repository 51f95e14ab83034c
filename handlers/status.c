/* GET status, tiers and whoami. */
#include "backend/config/source.h"
#include "backend/overview.h"
#include "backend/quota.h"
#include "handlers/handler.h"
#include "handlers/json.h"
#include "handlers/routes.h"

static json_t *
runtimes_json(const struct engine_info *engine)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < ENGINE_RUNTIMES_MAX && engine->runtimes[i][0]; i++)
        if (json_array_append_new(list, json_string(engine->runtimes[i])) < 0)
            return NULL;
    return TAKE(list);
}

/*
 * GET status - the service and its engine.
 *
 * 200  the seed's fields and version, mode, uptime_seconds, executions_running, disk_limit,
 *      storage_driver, runtimes, cgroup_version, full_network, warnings, yaml; counts are of what
 *      the caller may see
 */
static int
status_get(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    const struct settings *s = req->backend->settings;
    struct overview o;
    json_t *json;
    int r;

    r = overview_get(req->backend, &caller, &o, err);
    if (r < 0)
        return r;
    json = json_pack(
        "{s:b, s:o, s:I, s:I, s:s, s:o, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:O, s:{s:o, s:o}}",
        "docker_available", o.engine_available, "docker_version", json_text(o.engine.version),
        "active_containers", (json_int_t)o.counts.containers, "total_executions_today",
        (json_int_t)o.counts.executions_since, "version", SANDBOXD_VERSION, "mode",
        json_spelled(mode_names, s->policy.mode), "uptime_seconds", (json_int_t)o.uptime_seconds,
        "executions_running", (json_int_t)o.counts.executions_running, "disk_limit",
        o.engine.disk_enforced ? "enforced" : "monitored", "storage_driver",
        json_text(o.engine.storage_driver), "runtimes", runtimes_json(&o.engine), "cgroup_version",
        json_text(o.engine.cgroup_version), "full_network", json_text(o.engine.full_network),
        "warnings", o.warnings, "yaml", "loaded_at", json_time(s->loaded_at_ms), "error",
        json_text(o.yaml_error));
    overview_done(&o);
    return response_json(res, 200, json, err);
}

static json_t *
tier_json(const struct tier *t)
{
    json_auto_t *json = json_pack("{s:s}", "name", t->name);
    json_auto_t *limits = json_limits(&t->limits);
    json_auto_t *rest = json_pack("{s:o, s:s}", "network", json_spelled(network_names, t->network),
                                  "runtime", t->runtime);

    if (!json || !limits || !rest || json_object_update(json, limits) < 0 ||
        json_object_update(json, rest) < 0)
        return NULL;
    return TAKE(json);
}

/*
 * GET tiers - the permission tiers, lowest first.
 *
 * 200  {tiers: [{name, limits…, network, runtime}]}
 */
static int
tiers_get(const struct request *req, struct response *res, struct error *err)
{
    const struct settings *s = req->backend->settings;
    const struct tier *tiers = s->tiers.items;
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < s->tiers.count; i++)
        if (json_array_append_new(list, tier_json(&tiers[i])) < 0)
            return response_json(res, 200, NULL, err);
    return response_json(res, 200, json_pack("{s:O}", "tiers", list), err);
}

/* The limits of a request that names no tier: the user's own tier's, else the config's. */
static const struct limits *
default_limits(const struct settings *s, const struct access_rule *access)
{
    const struct tier *tier = access->tier ? settings_tier(s, access->tier) : NULL;

    return tier ? &tier->limits : &s->policy.resource_limits;
}

/* Each quota: the most, what is used of it, and the key that says so. */
static json_t *
quotas_json(const struct access_rule *access, const int64_t used[QUOTA_COUNT])
{
    json_auto_t *quotas = json_object();

    for (int i = 0; quotas && i < QUOTA_COUNT; i++) {
        bool limited = access->quotas.most[i] > 0;
        char source[SOURCE_SIZE] = "";

        if (limited)
            source_access(access, ACCESS_KEY_QUOTAS + i, source);
        if (json_object_set_new(
                quotas, quota_names[i],
                json_pack("{s:o, s:I, s:o}", "limit",
                          limited ? json_integer(access->quotas.most[i]) : json_null(), "used",
                          (json_int_t)used[i], "source", json_text(source))) < 0)
            return NULL;
    }
    return TAKE(quotas);
}

/*
 * GET whoami - the caller, as the service sees them.
 *
 * 200  {user, role, group, tier, max_tier, limits, usage: {containers, executions_running,
 *      executions_today}, quotas: {NAME: {limit, used, source}}}
 */
static int
whoami_get(const struct request *req, struct response *res, struct error *err)
{
    const struct settings *s = req->backend->settings;
    const struct access_rule *access = settings_access(s, req->user);
    int64_t used[QUOTA_COUNT] = {0};
    struct counts usage;
    json_t *json;
    int r;

    r = overview_usage(req->backend, req->user, &usage, err);
    if (r == 0)
        r = quota_usage(req->backend, req->user, used, err);
    if (r < 0)
        return r;
    json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I}, s:o}", "user", req->user,
                     "role", json_spelled(role_names, req->role), "group", json_text(access->group),
                     "tier", json_text(access->tier), "max_tier", json_text(access->max_tier),
                     "limits", json_limits(default_limits(s, access)), "usage", "containers",
                     (json_int_t)usage.containers, "executions_running",
                     (json_int_t)usage.executions_running, "executions_today",
                     (json_int_t)usage.executions_since, "quotas", quotas_json(access, used));
    return response_json(res, 200, json, err);
}

const struct route status_routes[] = {
    {.method = "GET",
     .path = "/status",
     .role = ROLE_VIEWER,
     .handle = status_get,
     .answers = "200 Status",
     .summary = "The service and its engine"},
    {.method = "GET",
     .path = "/tiers",
     .role = ROLE_VIEWER,
     .handle = tiers_get,
     .answers = "200 TierList",
     .summary = "The permission tiers, lowest first"},
    {.method = "GET",
     .path = "/whoami",
     .role = ROLE_VIEWER,
     .handle = whoami_get,
     .answers = "200 Whoami",
     .summary = "The caller, as the service sees them"},
    {0},
};
