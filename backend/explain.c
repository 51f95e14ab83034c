/* Explanations: see explain.h. */
#include "backend/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/egress/name.h"
#include "backend/egress/verdict.h"
#include "backend/gpu.h"
#include "backend/quota.h"
#include "backend/store/store.h"
#include "backend/template.h"

const char *const explain_limit_names[EXPLAIN_LIMIT_COUNT] = {
    [EXPLAIN_CPU_CORES] = "cpu_cores",
    [EXPLAIN_MEMORY_MB] = "memory_mb",
    [EXPLAIN_DISK_MB] = "disk_mb",
    [EXPLAIN_MAX_PROCESSES] = "max_processes",
    [EXPLAIN_TIMEOUT_SECONDS] = "timeout_seconds",
};

/* Where the config's @section.@key comes from. */
static void
config_source(const struct settings *s, const char *section, const char *key,
              char out[EXPLAIN_SOURCE_SIZE])
{
    bool put = json_object_get(json_object_get(s->overrides, section), key) != NULL;

    snprintf(out, EXPLAIN_SOURCE_SIZE, "%s: %s.%s", put ? "PUT config" : "sandbox.yaml", section,
             key);
}

/* Where a tier's values come from: its file, and who has chosen it. */
static void
tier_source(const struct placement *where, const struct container *plan,
            char out[EXPLAIN_SOURCE_SIZE])
{
    snprintf(out, EXPLAIN_SOURCE_SIZE, "tiers.yaml: %s (%s)", plan->tier,
             where->tier ? "the request's tier" : "access.yaml: the user's tier");
}

static void
name_sources(const struct settings *s, const struct placement *where, struct explanation *x)
{
    bool tiered = x->plan.tier[0] != '\0';

    for (int i = 0; i < EXPLAIN_LIMIT_COUNT; i++) {
        if (tiered)
            tier_source(where, &x->plan, x->sources[i]);
        else
            config_source(s, "resource_limits", explain_limit_names[i], x->sources[i]);
    }
    if (where->timeout_seconds > 0) {
        x->plan.limits.timeout_seconds = where->timeout_seconds;
        snprintf(x->sources[EXPLAIN_TIMEOUT_SECONDS], EXPLAIN_SOURCE_SIZE,
                 "request: timeout_seconds");
    }
    if (tiered)
        tier_source(where, &x->plan, x->network_source);
    else
        config_source(s, "network_policy", "enabled", x->network_source);
}

/* The one spelling of @domain, a host name or an address's literal. Returns 0 or -EINVAL. */
static int
spell_domain(const char *domain, char out[EGRESS_NAME_SIZE])
{
    return domain[0] == '*' ? -EINVAL : egress_pattern(domain, out);
}

/* Ask what the egress proxy asks before it connects. An address needs no look-up, so that it is
 * known where it leads. */
static void
explain_domain(const struct settings *s, const char *domain, struct explanation *x)
{
    struct egress_verdict v = egress_judge(s, x->plan.network, domain, 0);
    struct egress_address address;

    if (v.allowed && egress_address_parse(domain, &address) == 0) {
        struct egress_verdict there = egress_judge_address(s, x->plan.network, &address);

        if (!there.allowed)
            v = there;
    }
    x->domain_allowed = v.allowed;
    snprintf(x->domain_rule, sizeof(x->domain_rule), "%s", v.rule);
}

/* Whether a new container could be made. */
static int
look_at_new(struct backend *b, struct explanation *x)
{
    struct template template;
    int r = 0;

    if (x->plan.gpus > 0)
        r = gpu_check(b, x->plan.gpus, NULL, &x->refusal);
    if (r == 0)
        r = template_get(b, x->plan.template_name, &template, &x->refusal);
    if (r == 0 && template.size_bytes == 0)
        r = error_set(&x->refusal, ERR_TEMPLATE_NOT_READY,
                      "the image of template '%s' is not on this machine; pull or build it first",
                      x->plan.template_name);
    return r;
}

/* The container that the plan's scope has, or what a new one would lack; and the quotas. */
static int
look_ahead(struct backend *b, struct explanation *x, struct error *err)
{
    struct container have = {0};
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r == 0 && !x->plan.one_shot) {
        r = store_container_by_scope(store, x->plan.scope_key, &have, err);
        if (r == 0)
            snprintf(x->plan.id, sizeof(x->plan.id), "%s", have.id);
        container_done(&have);
        if (r == -ENOENT) {
            error_clear(err);
            r = 0;
        }
    }
    if (r < 0)
        return r;
    r = quota_look(b, x->plan.owner, !x->plan.id[0], &x->refusal);
    if (r == 0 && !x->plan.id[0])
        look_at_new(b, x);
    return 0;
}

int
explain_placement(struct backend *b, const struct placement *where, const char *domain,
                  struct explanation *ret, struct error *err)
{
    char spelled[EGRESS_NAME_SIZE];

    *ret = (struct explanation){0};
    if (domain && spell_domain(domain, spelled) < 0)
        return error_violation(err, "/domain",
                               "must be a host name such as example.org, or an address");
    if (template_place(b, where, &ret->plan, &ret->refusal) < 0)
        return ret->refusal.code == ERR_INTERNAL ? (*err = ret->refusal, -EIO) : 0;
    ret->planned = true;
    ret->network = placement_network(b->settings, &ret->plan);
    name_sources(b->settings, where, ret);
    if (domain)
        explain_domain(b->settings, spelled, ret);
    return look_ahead(b, ret, err);
}
