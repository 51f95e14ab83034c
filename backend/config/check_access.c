/* What the field tables cannot say of access.yaml: see check.h. */
#include "backend/config/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/config/names.h"
#include "backend/config/workspace_root.h"

static int
check_name(const char *name, const struct pointer *at, const struct places *places,
           struct error *err)
{
    if (name_is_user(name))
        return 0;
    return places_violation(places, at, err,
                            "a user's name has 1 to 128 letters, digits and '._@+=,-', and "
                            "starts with a letter or digit");
}

/* One of the ids of run_as; 0: not said. */
static int
check_id(const struct settings *s, int64_t id, const struct pointer *at,
         const struct places *places, struct error *err)
{
    if (id == 0 || settings_account_fits(s, id))
        return 0;
    return places_violation(places, at, err,
                            "may be no system account's, nor within the service's own range "
                            "uid_first to uid_last (sandbox.yaml)");
}

/* Whom commands run as: an account, or a uid and a gid. */
static int
check_run_as(const struct settings *s, const struct access_rule *rule, const struct pointer *at,
             const struct places *places, struct error *err)
{
    const struct pointer run_as = {.up = at, .key = "run_as"};
    const struct pointer uid = {.up = &run_as, .key = "uid"}, gid = {.up = &run_as, .key = "gid"};
    const struct run_as *who = &rule->run_as;
    int r;

    if (who->account && (who->uid || who->gid))
        return places_violation(places, &run_as, err, "takes an account, or a uid and a gid");
    if (who->gid && !who->uid)
        return places_violation(places, &gid, err, "goes with a uid");
    r = check_id(s, who->uid, &uid, places, err);
    return r < 0 ? r : check_id(s, who->gid, &gid, places, err);
}

/* One account for several users would let one into the other's files. */
static int
check_shared(const struct access_rule *rule, const struct pointer *at, const struct places *places,
             struct error *err)
{
    const struct pointer run_as = {.up = at, .key = "run_as"};
    const struct pointer root = {.up = at, .key = "workspace_root"};
    const struct run_as *who = &rule->run_as;
    int r = 0;

    if (who->uid || (who->account && !strstr(who->account, RUN_AS_USER)))
        r = places_violation(places, &run_as, err,
                             "is of several users here, who need an account each: write "
                             "{account: \"" RUN_AS_USER "\"}, or give each user a run_as");
    if (rule->workspace_root && !strstr(rule->workspace_root, WORKSPACE_ROOT_USER))
        r = places_violation(places, &root, err,
                             "is of several users here, and so must hold " WORKSPACE_ROOT_USER);
    return r;
}

static int
check_rule(const struct settings *s, const struct access_rule *rule, const struct pointer *at,
           const struct places *places, struct error *err)
{
    const struct pointer tier = {.up = at, .key = "tier"}, max_tier = {.up = at, .key = "max_tier"};
    const struct pointer templates = {.up = at, .key = "templates"};
    const struct pointer root = {.up = at, .key = "workspace_root"};
    const char *fault = rule->workspace_root ? workspace_root_fault(rule->workspace_root) : NULL;
    bool capped = rule->max_tier && strcmp(rule->max_tier, ACCESS_ALL) != 0;
    int own = check_tier_exists(s, rule->tier, &tier, places, err);
    int most = capped ? check_tier_exists(s, rule->max_tier, &max_tier, places, err) : 0;
    int r = own < 0 ? own : most;

    for (size_t i = 0; i < rule->templates.count; i++) {
        const struct pointer here = {.up = &templates, .index = i};

        if (strcmp(rule->templates.items[i], ACCESS_ALL) != 0 &&
            !name_is_template(rule->templates.items[i]))
            r = places_violation(places, &here, err, "must be a template's name, or \"*\" for all");
    }
    if (check_run_as(s, rule, at, places, err) < 0)
        r = -EINVAL;
    if (fault)
        r = places_violation(places, &root, err, "%s", fault);
    if (r == 0 && rule->tier && capped &&
        settings_tier_rank(s, rule->tier) > settings_tier_rank(s, rule->max_tier))
        r = places_violation(places, &tier, err, "must not be above max_tier");
    return r;
}

/* The members of the group @which; @seen: of all groups, name to the group's. */
static int
check_members(const struct access_group *group, const struct pointer *at, json_t *seen,
              const struct places *places, struct error *err)
{
    const struct pointer users = {.up = at, .key = "users"};
    int r = 0;

    for (size_t i = 0; i < group->users.count; i++) {
        const char *name = group->users.items[i];
        const json_t *other = json_object_get(seen, name);
        const struct pointer here = {.up = &users, .index = i};

        if (check_name(name, &here, places, err) < 0)
            r = -EINVAL;
        if (other)
            r = places_violation(places, &here, err,
                                 "'%s' is in group '%s' already; a user is in one at most", name,
                                 json_string_value(other));
        else if (json_object_set_new(seen, name, json_string(group->name)) < 0)
            return error_errno(err, ENOMEM, "groups");
    }
    return r;
}

static int
check_groups(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer root = {.key = "groups"};
    const struct access_group *groups = s->groups.items;
    json_auto_t *seen = json_object();
    int r = seen ? 0 : error_errno(err, ENOMEM, "groups");

    for (size_t i = 0; i < s->groups.count; i++) {
        const struct pointer here = {.up = &root, .key = groups[i].name};

        if (!name_is_tier(groups[i].name))
            r = places_violation(places, &here, err,
                                 "a group's name has 1 to 64 letters, digits, '.', '_' and '-', "
                                 "and starts with a letter or digit");
        if (check_rule(s, &groups[i].rule, &here, places, err) < 0)
            r = -EINVAL;
        if (check_shared(&groups[i].rule, &here, places, err) < 0)
            r = -EINVAL;
        if (check_members(&groups[i], &here, seen, places, err) < 0)
            r = -EINVAL;
    }
    return r;
}

int
check_access(const struct settings *s, const struct places *places, struct error *err)
{
    const struct pointer root = {.key = "users"}, others = {.key = "default"};
    const struct pointer role = {.up = &others, .key = "role"};
    const struct access_rule *users = s->users.items;
    int r = check_groups(s, places, err);

    for (size_t i = 0; i < s->users.count; i++) {
        const struct pointer here = {.up = &root, .key = users[i].name};

        if (check_name(users[i].name, &here, places, err) < 0)
            r = -EINVAL;
        if (check_rule(s, &users[i], &here, places, err) < 0)
            r = -EINVAL;
    }
    if (json_object_get(s->documents[SETTINGS_ACCESS], "default") && !s->default_access.role)
        r = places_violation(places, &role, err, "is required");
    if (check_rule(s, &s->default_access, &others, places, err) < 0)
        r = -EINVAL;
    if (check_shared(&s->default_access, &others, places, err) < 0)
        r = -EINVAL;
    return r;
}

/* Where @rule's user stands in the file: among the users, or only in a group. */
static const struct pointer *
place_of(const struct settings *s, const struct access_rule *rule, struct pointer at[2])
{
    const json_t *users = json_object_get(s->documents[SETTINGS_ACCESS], "users");
    bool named = json_object_get(users, rule->name) != NULL;

    at[0] = (struct pointer){.key = named ? "users" : "groups"};
    at[1] = (struct pointer){.up = &at[0], .key = named ? rule->name : rule->group};
    return &at[1];
}

/* The uids that rules name, so that one is of one user. */
static int
check_uid(json_t *seen, const struct access_rule *rule, const struct pointer *at,
          const struct places *places, struct error *err)
{
    const struct pointer run_as = {.up = at, .key = "run_as"};
    const struct pointer uid = {.up = &run_as, .key = "uid"};
    const json_t *other;
    char key[24];

    if (!rule->run_as.uid)
        return 0;
    snprintf(key, sizeof(key), "%lld", (long long)rule->run_as.uid);
    other = json_object_get(seen, key);
    if (other)
        return places_violation(places, &uid, err, "is user '%s''s already; each needs their own",
                                json_string_value(other));
    return json_object_set_new(seen, key, json_string(rule->name)) < 0
               ? error_errno(err, ENOMEM, "uids")
               : 0;
}

int
check_access_whole(const struct settings *s, const struct places *places, struct error *err)
{
    const struct access_rule *rules = s->users.items;
    json_auto_t *seen = json_object();
    struct pointer at[2];
    int r = seen ? 0 : error_errno(err, ENOMEM, "uids");

    for (size_t i = 0; r != -EIO && i < s->users.count; i++) {
        const struct access_rule *rule = &rules[i];
        const struct pointer *here = place_of(s, rule, at);
        const struct pointer role = {.up = here, .key = "role"}, tier = {.up = here, .key = "tier"};

        if (!rule->role)
            r = places_violation(places, &role, err, "is required");
        if (rule->tier && rule->max_tier &&
            settings_tier_rank(s, rule->tier) > settings_tier_rank(s, rule->max_tier))
            r = places_violation(places, &tier, err,
                                 "'%s' is above the max_tier of user '%s', which is '%s'",
                                 rule->tier, rule->name, rule->max_tier);
        if (check_uid(seen, rule, here, places, err) < 0)
            r = -EINVAL;
    }
    return r;
}
