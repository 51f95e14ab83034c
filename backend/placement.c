/* Placement: see placement.h. */
#include "backend/placement.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "backend/config/source.h"

static const char default_agent[] = "default";
static const char shared_workspace[] = "shared";

static bool
contains(const struct strings *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcasecmp(list->items[i], name) == 0)
            return true;
    return false;
}

int
placement_allowed(const struct settings *s, const char *tier, const char *agent_id, bool sandbox,
                  struct error *err)
{
    const struct selective *selective = &s->selective;
    char source[SOURCE_SIZE];

    if (s->policy.mode == MODE_OFF) {
        source_policy(s, "mode", NULL, source);
        return error_set(err, ERR_SANDBOXING_OFF,
                         "%s is 'off': nothing is executed, sandboxed or not", source);
    }
    if (s->policy.mode == MODE_ALL || sandbox || contains(&selective->agents, agent_id))
        return 0;
    if (tier[0] ? contains(&selective->tiers, tier) : selective->untiered)
        return 0;
    source_find(s, SETTINGS_SANDBOX, source, "selective", (char *)NULL);
    return error_set(err, ERR_NOT_SELECTED,
                     "%s names neither %s%s%s nor agent '%s'; ask for it with \"sandbox\": true",
                     source, tier[0] ? "tier '" : "requests without a tier", tier,
                     tier[0] ? "'" : "", agent_id);
}

/* The tier that applies, and so the limits, the network and the runtime. */
static int
plan_tier(const struct settings *s, const struct placement *p, struct container *c,
          struct error *err)
{
    const struct access_rule *access = settings_access(s, p->user);
    const char *name = p->tier ? p->tier : access->tier;
    const struct tier *tier;
    char source[SOURCE_SIZE];

    snprintf(c->runtime, sizeof(c->runtime), "%s", s->service.docker_runtime);
    if (!name) {
        c->limits = s->policy.resource_limits;
        c->network = NETWORK_RESTRICTED; /* also while the policy is disabled: it may be enabled */
        return 0;
    }
    tier = settings_tier(s, name);
    if (!tier)
        return error_violation(err, "/tier", "no tier is called '%.64s'; GET tiers lists them",
                               name);
    if (access->max_tier &&
        settings_tier_rank(s, tier->name) > settings_tier_rank(s, access->max_tier)) {
        source_access(access, ACCESS_KEY_MAX_TIER, source);
        return error_set(err, ERR_FORBIDDEN, "tier '%s' is above your ceiling, which is '%s' (%s)",
                         tier->name, access->max_tier, source);
    }
    snprintf(c->tier, sizeof(c->tier), "%s", tier->name);
    snprintf(c->runtime, sizeof(c->runtime), "%s", tier->runtime);
    c->limits = tier->limits;
    c->network = (enum network)tier->network;
    c->gpus = tier->gpus;
    return 0;
}

/* Whether the user may have containers of this template. */
static bool
template_allowed(const struct access_rule *access, const char *name)
{
    for (size_t i = 0; i < access->templates.count; i++)
        if (strcmp(access->templates.items[i], name) == 0 ||
            strcmp(access->templates.items[i], ACCESS_ALL) == 0)
            return true;
    return access->templates.count == 0;
}

static int
plan_template(const struct settings *s, const struct placement *p, struct container *c,
              struct error *err)
{
    const struct access_rule *access = settings_access(s, p->user);
    char key[SOURCE_SIZE];
    const struct template_entry *template =
        p->template ? p->template : settings_template(s, p->template_name);

    if (!template)
        return error_violation(err, "/template",
                               p->template_name ? "no template is called '%.64s'"
                                                : "is required, for no template is the default%s",
                               p->template_name ? p->template_name : "");
    if (!template_allowed(access, template->name)) {
        source_access(access, ACCESS_KEY_TEMPLATES, key);
        return error_set(err, ERR_FORBIDDEN, "%s does not name template '%s'", key, template->name);
    }
    snprintf(c->template_name, sizeof(c->template_name), "%s", template->name);
    snprintf(c->image, sizeof(c->image), "%s", template->image ? template->image : "");
    if (template->gpus > c->gpus)
        c->gpus = template->gpus;
    return 0;
}

/* What a request may lower, never raise. */
static int
plan_lowered(const struct settings *s, const struct placement *p, struct container *c,
             struct error *err)
{
    int most = s->policy.workspace_access;

    if (p->workspace_access > most)
        return error_violation(err, "/workspace_access",
                               "may be at most '%s', as the config has it", access_names[most - 1]);
    c->workspace_access = (enum access)(p->workspace_access ? p->workspace_access : most);
    if (p->timeout_seconds > c->limits.timeout_seconds)
        return error_violation(err, "/timeout_seconds",
                               "may be at most %lld, the limit that applies",
                               (long long)c->limits.timeout_seconds);
    return 0;
}

/* Whose container it is: an agent's in scope `agent`, the owner's in scope `shared`. */
static void
plan_scope(const struct settings *s, const struct placement *p, struct container *c)
{
    const char *agent = p->agent_id ? p->agent_id : default_agent;

    c->scope = (enum scope)(p->scope ? p->scope : s->policy.scope_mode);
    snprintf(c->owner, sizeof(c->owner), "%s", p->user);
    snprintf(c->agent_id, sizeof(c->agent_id), "%s",
             c->scope == SCOPE_SHARED ? shared_workspace : agent);
    if (c->scope == SCOPE_SESSION && p->session_id)
        snprintf(c->session_id, sizeof(c->session_id), "%s", p->session_id);
    c->one_shot = c->scope == SCOPE_SESSION && !p->session_id;
}

/* The hash of all that must be equal for a container to be found again; none for a one-shot. */
static void
plan_key(const struct settings *s, struct container *c)
{
    const struct access_rule *access = settings_access(s, c->owner);
    char identity[128];
    const char *const parts[] = {
        c->owner, scope_names[c->scope - 1], c->agent_id, c->session_id,
        c->tier,  c->template_name,          c->runtime,  access_names[c->workspace_access - 1]};
    crypto_generichash_state h;
    unsigned char digest[32];

    if (c->one_shot)
        return;
    snprintf(identity, sizeof(identity), "%lld:%lld:%s", (long long)access->run_as.uid,
             (long long)access->run_as.gid, access->run_as.account ? access->run_as.account : "");
    crypto_generichash_init(&h, NULL, 0, sizeof(digest));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        crypto_generichash_update(&h, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
    if (access->run_as.uid || access->run_as.account)
        crypto_generichash_update(&h, (const unsigned char *)identity, strlen(identity) + 1);
    crypto_generichash_final(&h, digest, sizeof(digest));
    sodium_bin2hex(c->scope_key, sizeof(c->scope_key), digest, sizeof(digest));
}

enum network
placement_network(const struct settings *s, const struct container *c)
{
    return c->tier[0] || s->policy.network_policy.enabled ? c->network : NETWORK_NONE;
}

int
placement_plan(const struct settings *s, const struct placement *p, struct container *ret,
               struct error *err)
{
    struct container c = {0};
    int r;

    plan_scope(s, p, &c);
    r = plan_tier(s, p, &c, err);
    if (r == 0)
        r = placement_allowed(s, c.tier, p->agent_id ? p->agent_id : default_agent, p->sandbox,
                              err);
    if (r == 0)
        r = plan_template(s, p, &c, err);
    if (r == 0)
        r = plan_lowered(s, p, &c, err);
    if (r < 0)
        return r;
    plan_key(s, &c);
    *ret = c;
    return 0;
}
