/* Completing the rules of access.yaml: see access.h. */
#include "backend/config/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const key_names[ACCESS_KEY_QUOTAS] = {
    [ACCESS_KEY_ROLE] = "role",         [ACCESS_KEY_TIER] = "tier",
    [ACCESS_KEY_MAX_TIER] = "max_tier", [ACCESS_KEY_TEMPLATES] = "templates",
    [ACCESS_KEY_RUN_AS] = "run_as",     [ACCESS_KEY_WORKSPACE_ROOT] = "workspace_root",
};

size_t
access_path(const struct access_rule *rule, int key, const char *path[ACCESS_PATH_MAX])
{
    size_t count = 0;

    switch ((enum access_origin)rule->origin[key]) {
    case ACCESS_BY_USER:
        path[count++] = "users";
        path[count++] = rule->name;
        break;
    case ACCESS_BY_GROUP:
        path[count++] = "groups";
        path[count++] = rule->group;
        break;
    case ACCESS_BY_DEFAULT:
    case ACCESS_BY_NOBODY:
        path[count++] = "default";
        break;
    }
    if (key >= ACCESS_KEY_QUOTAS)
        path[count++] = "quotas";
    path[count++] =
        key >= ACCESS_KEY_QUOTAS ? quota_names[key - ACCESS_KEY_QUOTAS] : key_names[key];
    return count;
}

/* Whether the rule @json (NULL: there is none) has @key. */
static bool
says(const json_t *json, int key)
{
    return key < ACCESS_KEY_QUOTAS ? json_object_get(json, key_names[key]) != NULL
                                   : json_object_get(json_object_get(json, "quotas"),
                                                     quota_names[key - ACCESS_KEY_QUOTAS]) != NULL;
}

/* The highest tier of @rule; NULL: every one. */
static const char *
ceiling(const struct access_rule *rule)
{
    return rule->max_tier && strcmp(rule->max_tier, ACCESS_ALL) == 0 ? NULL : rule->max_tier;
}

static int
copy_strings(const struct strings *from, struct strings *to)
{
    const char **items = calloc(from->count, sizeof(*items));

    if (!items)
        return -ENOMEM;
    memcpy(items, from->items, from->count * sizeof(*items));
    *to = (struct strings){.items = items, .count = from->count};
    return 0;
}

/* Copy the value of @key. */
static int
copy_key(int key, const struct access_rule *from, struct access_rule *to)
{
    switch (key) {
    case ACCESS_KEY_ROLE:
        to->role = from->role;
        return 0;
    case ACCESS_KEY_TIER:
        to->tier = from->tier;
        return 0;
    case ACCESS_KEY_MAX_TIER:
        to->max_tier = ceiling(from);
        return 0;
    case ACCESS_KEY_TEMPLATES:
        return copy_strings(&from->templates, &to->templates);
    case ACCESS_KEY_RUN_AS:
        to->run_as = from->run_as;
        return 0;
    case ACCESS_KEY_WORKSPACE_ROOT:
        to->workspace_root = from->workspace_root;
        return 0;
    default:
        to->quotas.most[key - ACCESS_KEY_QUOTAS] = from->quotas.most[key - ACCESS_KEY_QUOTAS];
        return 0;
    }
}

/* Have @rule take over the keys that it lacks and that @from, written as @json, has. */
static int
inherit(struct access_rule *rule, const struct access_rule *from, const json_t *json,
        enum access_origin origin)
{
    int r = 0;

    for (int key = 0; r == 0 && key < ACCESS_KEY_COUNT; key++) {
        if (rule->origin[key] != ACCESS_BY_NOBODY || !says(json, key))
            continue;
        r = copy_key(key, from, rule);
        if (r == 0)
            rule->origin[key] = (unsigned char)origin;
    }
    return r;
}

/* The making of the new list of rules. Lifetime: call. */
struct making {
    struct settings *s;
    json_t *groups, *users, *others; /* borrowed: the parts of the file */
    json_t *membership;              /* owned: user's name to the index of their group */
    struct access_rule *rules;       /* owned */
    size_t count;
};

static void
free_rules(struct access_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rules[i].templates.items);
    free(rules);
}

static void
making_done(struct making *m)
{
    json_decref(m->membership);
    free_rules(m->rules, m->count);
}

static int
note_members(struct making *m, size_t *ret_members)
{
    const struct access_group *groups = m->s->groups.items;

    *ret_members = 0;
    for (size_t i = 0; i < m->s->groups.count; i++) {
        *ret_members += groups[i].users.count;
        for (size_t j = 0; j < groups[i].users.count; j++)
            if (json_object_set_new(m->membership, groups[i].users.items[j],
                                    json_integer((json_int_t)i)) < 0)
                return -ENOMEM;
    }
    return 0;
}

/* Append the whole rule of @name, whose own keys are @own (NULL: none). */
static int
add(struct making *m, const char *name, const struct access_rule *own)
{
    const struct access_group *groups = m->s->groups.items;
    const json_t *index = json_object_get(m->membership, name);
    struct access_rule *rule = &m->rules[m->count++];
    int r = 0;

    *rule = (struct access_rule){.name = name, .lines = m->s->lines[SETTINGS_ACCESS]};
    if (own)
        r = inherit(rule, own, json_object_get(m->users, name), ACCESS_BY_USER);
    if (r == 0 && index) {
        const struct access_group *group = &groups[json_integer_value(index)];

        rule->group = group->name;
        r = inherit(rule, &group->rule, json_object_get(m->groups, group->name), ACCESS_BY_GROUP);
    }
    return r < 0 ? r : inherit(rule, &m->s->default_access, m->others, ACCESS_BY_DEFAULT);
}

static int
make_rules(struct making *m)
{
    const struct access_group *groups = m->s->groups.items;
    const struct access_rule *users = m->s->users.items;
    size_t members = 0;
    int r = m->membership ? note_members(m, &members) : -ENOMEM;

    if (r < 0)
        return r;
    m->rules = calloc(m->s->users.count + members + 1, sizeof(*m->rules));
    if (!m->rules)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < m->s->users.count; i++)
        r = add(m, users[i].name, &users[i]);
    for (size_t i = 0; i < m->s->groups.count; i++)
        for (size_t j = 0; r == 0 && j < groups[i].users.count; j++)
            if (!json_object_get(m->users, groups[i].users.items[j]))
                r = add(m, groups[i].users.items[j], NULL);
    qsort(m->rules, m->count, sizeof(*m->rules), access_rule_order);
    return r;
}

int
access_resolve(struct settings *s, struct error *err)
{
    const json_t *root = s->documents[SETTINGS_ACCESS];
    _cleanup_(making_done) struct making m = {
        .s = s,
        .groups = json_object_get(root, "groups"),
        .users = json_object_get(root, "users"),
        .others = json_object_get(root, "default"),
        .membership = json_object(),
    };

    if (make_rules(&m) < 0)
        return error_errno(err, ENOMEM, "access rules");
    for (int key = 0; key < ACCESS_KEY_COUNT; key++)
        if (says(m.others, key))
            s->default_access.origin[key] = ACCESS_BY_DEFAULT;
    s->default_access.max_tier = ceiling(&s->default_access);
    s->default_access.lines = s->lines[SETTINGS_ACCESS];
    free_rules(s->users.items, s->users.count);
    s->users.items = m.rules;
    s->users.count = m.count;
    m.rules = NULL;
    m.count = 0;
    return 0;
}
