/* access.yaml: what a user's own keys, their group's and default's come to; and workspace roots. */
#include "tests/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/config/settings.h"
#include "backend/config/source.h"
#include "backend/config/workspace_root.h"

static const char text[] = "groups:\n"
                           "  students:\n"
                           "    users: [ann, ben]\n"
                           "    role: viewer\n"
                           "    tier: Sandbox\n"
                           "    templates: [base, python]\n"
                           "    quotas: {containers: 2, snapshots: 5}\n"
                           "  staff:\n"
                           "    users: [cleo]\n"
                           "    run_as: {account: 'u-{user}'}\n"
                           "users:\n"
                           "  ben:\n"
                           "    role: user\n"
                           "    templates: ['*']\n"
                           "    quotas: {containers: 0, disk_mb: 7}\n"
                           "  dora: {role: admin, max_tier: '*', run_as: {uid: 1001}}\n"
                           "default:\n"
                           "  role: user\n"
                           "  max_tier: Standard\n"
                           "  quotas: {snapshots: 9, executions_per_day: 100}\n"
                           "  workspace_root: /home/{user}/w/{agent_id}\n";

struct fixture {
    char dir[32];
    struct settings *settings;
};

static int
setup(void **state)
{
    static const char *const shipped[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml"};
    struct fixture *f = calloc(1, sizeof(*f));
    char path[PATH_MAX + 64], target[PATH_MAX + 64], cwd[PATH_MAX];
    struct error err = {0};
    FILE *out;

    *state = f;
    if (!f || !getcwd(cwd, sizeof(cwd)))
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/test_access.XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, shipped[i]);
        snprintf(target, sizeof(target), "%s/yaml/%s", cwd, shipped[i]);
        if (symlink(target, path) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s/access.yaml", f->dir);
    out = fopen(path, "w");
    if (!out || fputs(text, out) < 0 || fclose(out) != 0)
        return -1;
    if (settings_load(f->dir, NULL, &f->settings, &err) == 0)
        return 0;
    print_error("%s\n", err.msg);
    return -1;
}

static int
teardown(void **state)
{
    static const char *const names[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml",
                                        "access.yaml"};
    struct fixture *f = *state;
    char path[64];

    settings_unref(f->settings);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static void
assert_key(const struct access_rule *rule, int key, const char *expected)
{
    char name[SOURCE_SIZE];

    source_access(rule, key, name);
    assert_string_equal(name, expected);
}

/* A member without keys of their own has the group's, and where it is silent, default's. */
static void
a_group_speaks_for_its_members(void **state)
{
    const struct fixture *f = *state;
    const struct access_rule *ann = settings_access(f->settings, "ann");

    assert_string_equal(ann->name, "ann");
    assert_string_equal(ann->group, "students");
    assert_int_equal(ann->role, ROLE_VIEWER);
    assert_string_equal(ann->tier, "Sandbox");
    assert_string_equal(ann->max_tier, "Standard");
    assert_int_equal(ann->templates.count, 2);
    assert_string_equal(ann->templates.items[1], "python");
    assert_int_equal(ann->quotas.most[QUOTA_CONTAINERS], 2);
    assert_int_equal(ann->quotas.most[QUOTA_SNAPSHOTS], 5);
    assert_int_equal(ann->quotas.most[QUOTA_EXECUTIONS_PER_DAY], 100);
    assert_int_equal(ann->quotas.most[QUOTA_DISK_MB], 0);
    assert_key(ann, ACCESS_KEY_QUOTAS + QUOTA_CONTAINERS,
               "access.yaml:7: groups.students.quotas.containers");
    assert_key(ann, ACCESS_KEY_QUOTAS + QUOTA_EXECUTIONS_PER_DAY,
               "access.yaml:20: default.quotas.executions_per_day");
    assert_key(ann, ACCESS_KEY_TEMPLATES, "access.yaml:6: groups.students.templates");
}

/* Their own keys win, key by key; a quota of 0 is one, and means that there is no limit. */
static void
own_keys_win(void **state)
{
    const struct fixture *f = *state;
    const struct access_rule *ben = settings_access(f->settings, "ben");

    assert_int_equal(ben->role, ROLE_USER);
    assert_string_equal(ben->tier, "Sandbox");
    assert_int_equal(ben->templates.count, 1);
    assert_int_equal(ben->quotas.most[QUOTA_CONTAINERS], 0);
    assert_int_equal(ben->quotas.most[QUOTA_DISK_MB], 7);
    assert_int_equal(ben->quotas.most[QUOTA_SNAPSHOTS], 5);
    assert_key(ben, ACCESS_KEY_ROLE, "access.yaml:13: users.ben.role");
    assert_key(ben, ACCESS_KEY_QUOTAS + QUOTA_DISK_MB, "access.yaml:15: users.ben.quotas.disk_mb");
    assert_key(ben, ACCESS_KEY_TIER, "access.yaml:5: groups.students.tier");
}

static void
default_fills_what_is_left(void **state)
{
    const struct fixture *f = *state;
    const struct access_rule *cleo = settings_access(f->settings, "cleo");
    const struct access_rule *dora = settings_access(f->settings, "dora");
    const struct access_rule *other = settings_access(f->settings, "eve");

    assert_int_equal(cleo->role, ROLE_USER);
    assert_string_equal(cleo->run_as.account, "u-{user}");
    assert_key(cleo, ACCESS_KEY_ROLE, "access.yaml:18: default.role");
    assert_null(dora->group);
    assert_null(dora->max_tier);
    assert_key(dora, ACCESS_KEY_MAX_TIER, "access.yaml:16: users.dora.max_tier");
    assert_int_equal(dora->run_as.uid, 1001);
    assert_string_equal(dora->workspace_root, "/home/{user}/w/{agent_id}");
    assert_int_equal(dora->quotas.most[QUOTA_SNAPSHOTS], 9);
    assert_null(other->name);
    assert_int_equal(other->role, ROLE_USER);
    assert_int_equal(other->quotas.most[QUOTA_SNAPSHOTS], 9);
    assert_int_equal(other->templates.count, 0);
    assert_key(other, ACCESS_KEY_MAX_TIER, "access.yaml:19: default.max_tier");
}

/* PUT config makes settings anew from the same files. */
static void
it_is_the_same_under_overrides(void **state)
{
    const struct fixture *f = *state;
    _cleanup_(settings_unrefp) struct settings *s = NULL;
    json_auto_t *overrides = json_pack("{s:s}", "mode", "all");

    assert_int_equal(settings_with_overrides(f->settings, overrides, &s, NULL), 0);
    assert_int_equal(settings_access(s, "ann")->quotas.most[QUOTA_CONTAINERS], 2);
    assert_string_equal(settings_access(s, "ann")->templates.items[0], "base");
}

static void
accounts_are_neither_the_systems_nor_ours(void **state)
{
    static const struct {
        int64_t id;
        bool fits;
    } cases[] = {{0, false},     {999, false},       {1000, true},       {65534, false},
                 {199999, true}, {200000, false},    {265535, false},    {265536, true},
                 {-1, false},    {4294967294, true}, {4294967295, false}};
    const struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(settings_account_fits(f->settings, cases[i].id), cases[i].fits);
}

static void
roots_are_absolute_and_have_a_place_for_agents(void **state)
{
    static const struct {
        const char *root, *fault; /* the fault begins so; NULL: none */
    } cases[] = {
        {"/home/{user}/workspaces/{agent_id}", NULL},
        {"/srv/w/{agent_id}", NULL},
        {"/srv/sandbox/u-{user}.{agent_id}", NULL},
        {"home/{user}/{agent_id}", "must be an absolute path"},
        {"/home/../{agent_id}", "must be an absolute path"},
        {"/home/./{agent_id}", "must be an absolute path"},
        {"/home//{agent_id}", "must be an absolute path"},
        {"/home/{agent_id}/", "must be an absolute path"},
        {"/home/{user}", "must hold {agent_id}"},
        {"/home/bob", "must hold {agent_id}"},
        {"/home/{uid}/{agent_id}", "may hold the placeholders"},
        {"/home/{user/{agent_id}", "may hold the placeholders"},
        {"/home/user}/{agent_id}", "may hold the placeholders"},
        {"/home/a\nb/{agent_id}", "may hold the placeholders"},
        {"/{user}/{agent_id}", "must begin with a directory"},
        {"/x{user}/{agent_id}", "must begin with a directory"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *fault = workspace_root_fault(cases[i].root);

        print_message("    %s\n", cases[i].root);
        if (!cases[i].fault)
            assert_null(fault);
        else
            assert_memory_equal(fault, cases[i].fault, strlen(cases[i].fault));
    }
}

static void
roots_are_split_where_the_tenants_ground_begins(void **state)
{
    static const struct {
        const char *root, *above, *path;
    } cases[] = {
        {"/home/{user}/workspaces/{agent_id}", "/home", "ann/workspaces/a1"},
        {"/srv/w/{agent_id}", "/srv/w", "a1"},
        {"/srv/sandbox/u-{user}.{agent_id}/x", "/srv/sandbox", "u-ann.a1/x"},
    };
    char above[WORKSPACE_PATH_SIZE], path[WORKSPACE_PATH_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(workspace_root_expand(cases[i].root, "ann", "a1", above, path), 0);
        assert_string_equal(above, cases[i].above);
        assert_string_equal(path, cases[i].path);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_speaks_for_its_members),
        cmocka_unit_test(own_keys_win),
        cmocka_unit_test(default_fills_what_is_left),
        cmocka_unit_test(it_is_the_same_under_overrides),
        cmocka_unit_test(accounts_are_neither_the_systems_nor_ours),
        cmocka_unit_test(roots_are_absolute_and_have_a_place_for_agents),
        cmocka_unit_test(roots_are_split_where_the_tenants_ground_begins),
    };

    return cmocka_run_group_tests_name("access", tests, setup, teardown);
}
