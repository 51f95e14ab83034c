/* Explanations: see explain.h. */
#include "backend/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/config/source.h"
#include "backend/egress/name.h"
#include "backend/egress/verdict.h"
#include "backend/gpu.h"
#include "backend/permission.h"
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

/* Where the limit @key is said, and who has chosen the tier that says it. */
static void
limit_source(const struct settings *s, const struct placement *where, const struct container *plan,
             const char *key, char out[EXPLAIN_SOURCE_SIZE])
{
    char rule[SOURCE_SIZE], choice[SOURCE_SIZE];

    source_limit(s, plan->tier, key, rule);
    source_access(settings_access(s, where->user), ACCESS_KEY_TIER, choice);
    if (!plan->tier[0])
        snprintf(out, EXPLAIN_SOURCE_SIZE, "%s", rule);
    else
        snprintf(out, EXPLAIN_SOURCE_SIZE, "%s (%s)", rule,
                 where->tier ? "the request's tier" : choice);
}

static void
name_sources(const struct settings *s, const struct placement *where, struct explanation *x)
{
    for (int i = 0; i < EXPLAIN_LIMIT_COUNT; i++)
        limit_source(s, where, &x->plan, explain_limit_names[i], x->sources[i]);
    if (where->timeout_seconds > 0) {
        x->plan.limits.timeout_seconds = where->timeout_seconds;
        snprintf(x->sources[EXPLAIN_TIMEOUT_SECONDS], EXPLAIN_SOURCE_SIZE,
                 "request: timeout_seconds");
    }
    if (x->plan.tier[0])
        limit_source(s, where, &x->plan, "network", x->network_source);
    else
        source_policy(s, "network_policy", "enabled", x->network_source);
}

/* Where the setting is said that x->domain_rule is about. */
static void
name_domain_source(const struct settings *s, struct explanation *x)
{
    static const struct {
        const char *section, *key, *rule;
    } rules[] = {
        {"network_policy", "enabled", "network_policy.enabled"},
        {"network_policy", "blocked_domains", "network_policy.blocked_domains"},
        {"network_policy", "allowed_domains", "network_policy.allowed_domains"},
        {"egress", "permit_addresses", "egress.permit_addresses"},
        {"egress", "ports", "egress.ports"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!strstr(x->domain_rule, rules[i].rule))
            continue;
        source_policy(s, rules[i].section, rules[i].key, x->domain_source);
        return;
    }
    snprintf(x->domain_source, sizeof(x->domain_source), "%s", x->network_source);
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
    name_domain_source(s, x);
}

/* The container that the plan's scope has. Returns -ENOENT, without an error noted, for none. */
static int
find_container(struct backend *b, struct explanation *x, struct error *err)
{
    struct container have = {0};
    struct store *store = NULL;
    struct error found = {0};
    int r;

    if (x->plan.one_shot)
        return -ENOENT;
    r = backend_store(b, &store, err);
    if (r < 0)
        return r;
    r = store_container_by_scope(store, x->plan.scope_key, &have, &found);
    if (r == 0)
        snprintf(x->plan.id, sizeof(x->plan.id), "%s", have.id);
    else if (r != -ENOENT)
        *err = found;
    container_done(&have);
    return r;
}

/* What a new container would lack. */
static void
look_ahead(struct backend *b, struct explanation *x)
{
    struct template template;
    int r = 0;

    if (x->plan.gpus > 0)
        r = gpu_check(b, x->plan.gpus, NULL, &x->refusal);
    if (r == 0)
        r = template_get(b, x->plan.template_name, &template, &x->refusal);
    if (r == 0 && template.size_bytes == 0)
        error_set(&x->refusal, ERR_TEMPLATE_NOT_READY,
                  "the image of template '%s' is not on this machine; pull or build it first",
                  x->plan.template_name);
}

/* As explain_rules(); *ret_new: a container would have to be made. */
static int
explain(struct backend *b, const struct placement *where, const char *domain,
        struct explanation *ret, bool *ret_new, struct error *err)
{
    char spelled[EGRESS_NAME_SIZE];
    int role, r;

    *ret = (struct explanation){0};
    *ret_new = false;
    if (domain && spell_domain(domain, spelled) < 0)
        return error_violation(err, "/domain",
                               "must be a host name such as example.org, or an address");
    permission_check(b->settings, where->user, ROLE_USER, &role, &ret->refusal);
    if (template_place(b, where, &ret->plan, &ret->refusal) < 0)
        return ret->refusal.code == ERR_INTERNAL ? (*err = ret->refusal, -EIO) : 0;
    ret->planned = true;
    ret->network = placement_network(b->settings, &ret->plan);
    name_sources(b->settings, where, ret);
    if (domain)
        explain_domain(b->settings, spelled, ret);
    r = find_container(b, ret, err);
    *ret_new = r == -ENOENT;
    if (r < 0 && !*ret_new)
        return r;
    if (ret->refusal.code == ERR_NONE)
        quota_look(b, ret->plan.owner, *ret_new, &ret->refusal);
    return 0;
}

int
explain_rules(struct backend *b, const struct placement *where, const char *domain,
              struct explanation *ret, struct error *err)
{
    bool is_new;

    return explain(b, where, domain, ret, &is_new, err);
}

int
explain_placement(struct backend *b, const struct placement *where, const char *domain,
                  struct explanation *ret, struct error *err)
{
    bool is_new;
    int r = explain(b, where, domain, ret, &is_new, err);

    if (r == 0 && is_new && ret->refusal.code == ERR_NONE)
        look_ahead(b, ret);
    return r;
}
