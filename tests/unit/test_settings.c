/* Settings: backend/config/, from the files that an admin edits to what a request sees. */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/config/names.h"
#include "backend/config/settings.h"

#define SHIPPED "yaml"
#define BAD "tests/data/yaml"

static const char *const file_names[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml",
                                         "access.yaml"};

/* A directory with links to the shipped files. */
struct fixture {
    char dir[32];
    char cwd[PATH_MAX];
};

static void
link_file(const struct fixture *fx, const char *name, const char *target)
{
    char path[64], absolute[PATH_MAX + 128];

    snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
    snprintf(absolute, sizeof(absolute), "%s/%s", fx->cwd, target);
    remove(path);
    assert_int_equal(symlink(absolute, path), 0);
}

static void
link_shipped(const struct fixture *fx, const char *name)
{
    char target[64];

    snprintf(target, sizeof(target), SHIPPED "/%s", name);
    link_file(fx, name, target);
}

static void
write_file(const struct fixture *fx, const char *name, const char *text)
{
    char path[64];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
    remove(path);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int
setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof(*fx));
    size_t i;

    assert_non_null(fx);
    assert_non_null(getcwd(fx->cwd, sizeof(fx->cwd)));
    snprintf(fx->dir, sizeof(fx->dir), "/tmp/test_settings.XXXXXX");
    assert_non_null(mkdtemp(fx->dir));
    for (i = 0; i < ARRAY_LEN(file_names); i++)
        link_shipped(fx, file_names[i]);
    *state = fx;
    return 0;
}

static int
teardown(void **state)
{
    _cleanup_(freep) struct fixture *fx = *state;
    char path[64];
    size_t i;

    for (i = 0; i < ARRAY_LEN(file_names); i++) {
        snprintf(path, sizeof(path), "%s/%s", fx->dir, file_names[i]);
        remove(path);
    }
    return rmdir(fx->dir);
}

static struct settings *
load(const char *dir)
{
    struct settings *s = NULL;
    struct error err = {0};

    if (settings_load(dir, NULL, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static void
assert_json(json_t *json, const char *expected)
{
    _cleanup_(freep) char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

    assert_string_equal(text, expected);
}

#define DEFAULT_POLICY                                                                             \
    "{\"mode\": \"selective\", \"scope_mode\": \"session\", \"workspace_access\": \"rw\", "        \
    "\"resource_limits\": {\"cpu_cores\": 1.0, \"memory_mb\": 512, \"disk_mb\": 2048, "            \
    "\"max_processes\": 50, \"timeout_seconds\": 300}, \"network_policy\": {\"enabled\": false, "  \
    "\"allowed_domains\": [], \"blocked_domains\": []}}"

/* clang-format off */
static const struct {
    const char *file; /* under BAD, named after the file it stands for */
    const char *sentence;
} bad_files[] = {
    {"sandbox-unknown-key.yaml", "sandbox.yaml:4:3: /resource_limits/memroy_mb: unknown field; did you mean 'memory_mb'?"},
    {"sandbox-unknown-section.yaml", "sandbox.yaml:2:1: /netwrok_policy: unknown field; did you mean 'network_policy'?"},
    {"sandbox-mode-yes.yaml", "sandbox.yaml:1:1: /mode: must be one of off, selective, all"},
    {"sandbox-mode-true.yaml", "sandbox.yaml:2:1: /mode: must be one of off, selective, all"},
    {"sandbox-memory-text.yaml", "sandbox.yaml:2:3: /resource_limits/memory_mb: must be an integer, not the text '512m'"},
    {"sandbox-memory-quoted.yaml", "sandbox.yaml:1:19: /resource_limits/memory_mb: must be an integer, not the text '512'"},
    {"sandbox-cpu-zero.yaml", "sandbox.yaml:2:3: /resource_limits/cpu_cores: must be greater than 0"},
    {"sandbox-cpu-huge.yaml", "sandbox.yaml:2:3: /resource_limits/cpu_cores: must be at most 1024"},
    {"sandbox-timeout.yaml", "sandbox.yaml:2:3: /resource_limits/timeout_seconds: must be between 1 and 86400"},
    {"sandbox-section-emptied.yaml", "sandbox.yaml:1:1: /resource_limits: must be an object, not null"},
    {"sandbox-domain-url.yaml", "sandbox.yaml:4:7: /network_policy/allowed_domains/1: must be a host name such as example.org, *.example.org for the names below it, or an address, without scheme, port or path"},
    {"sandbox-domain-star.yaml", "sandbox.yaml:2:21: /network_policy/blocked_domains/0: must be a host name such as example.org, *.example.org for the names below it, or an address, without scheme, port or path"},
    {"sandbox-two-errors.yaml", "sandbox.yaml:2:3: /service/workers: must be between 1 and 64"},
    {"sandbox-uid-range.yaml", "sandbox.yaml:3:3: /service/uid_last: must be greater than uid_first"},
    {"sandbox-uid-range-half.yaml", "sandbox.yaml:1:1: /service/uid_last: must be greater than uid_first"},
    {"sandbox-selective-tier.yaml", "sandbox.yaml:4:7: /selective/tiers/1: no tier is called 'Elevatd'; did you mean 'Elevated'?"},
    {"sandbox-pool-template.yaml", "sandbox.yaml:3:8: /pool/targets/0/template: must be the name of a template"},
    {"sandbox-pool-tier.yaml", "sandbox.yaml:5:7: /pool/targets/0/tier: no tier is called 'Sandbx'; did you mean 'Sandbox'?"},
    {"sandbox-pool-twice.yaml", "sandbox.yaml:5:7: /pool/targets/2: the same template and tier as target 1"},
    {"sandbox-list.yaml", "sandbox.yaml:1:1: must be an object, not a list"},
    {"sandbox-empty.yaml", "sandbox.yaml:1:1: the file is empty"},
    {"sandbox-only-comments.yaml", "sandbox.yaml:1:1: the file is empty"},
    {"sandbox-null.yaml", "sandbox.yaml:2:1: must be an object, not null"},
    {"sandbox-twice.yaml", "sandbox.yaml:3:1: /mode: this key is there twice"},
    {"sandbox-tab.yaml", "sandbox.yaml:2:1: not valid YAML: indent with spaces, not with tabs"},
    {"sandbox-two-documents.yaml", "sandbox.yaml:2:1: a second document starts here; there must be one"},
    {"sandbox-latin1.yaml", "sandbox.yaml:2:14: not UTF-8 text: invalid trailing UTF-8 octet"},
    {"sandbox-alias-bomb.yaml", "sandbox.yaml:1:4: /a: anchors are not accepted"},
    {"tiers-missing-limit.yaml", "tiers.yaml:3:3: /tiers/Standard/memory_mb: is required"},
    {"tiers-network-null.yaml", "tiers.yaml:3:5: /tiers/Sandbox/network: must be one of None, Restricted, Full; did you mean 'None'?"},
    {"tiers-same-name.yaml", "tiers.yaml:3:3: /tiers/GOLD: the same name as 'Gold', as upper and lower case mean the same"},
    {"tiers-bad-name.yaml", "tiers.yaml:2:3: /tiers/two words: a tier's name has 1 to 64 letters, digits, '.', '_' and '-', and starts with a letter or digit"},
    {"tiers-none.yaml", "tiers.yaml:1:1: /tiers: must not be empty"},
    {"tiers-key-missing.yaml", "tiers.yaml:1:1: /Sandbox: unknown field"},
    {"templates-two-defaults.yaml", "templates.yaml:5:5: /templates/b/default: another template is the default already"},
    {"templates-bad-name.yaml", "templates.yaml:2:3: /templates/Python: a template's name has 1 to 63 lower-case letters, digits, '.', '_' and '-', and starts with a letter or digit"},
    {"templates-bad-image.yaml", "templates.yaml:3:5: /templates/python/image: must be an image reference such as python:3.12-slim"},
    {"templates-number.yaml", "templates.yaml:3:5: /templates/python/image: must be a string, not a real number"},
    {"templates-neither.yaml", "templates.yaml:2:3: /templates/a/image: is required, or dockerfile instead"},
    {"templates-both.yaml", "templates.yaml:4:5: /templates/a/dockerfile: may not be given together with image"},
    {"templates-files-of-image.yaml", "templates.yaml:4:5: /templates/a/files: go with a dockerfile, not with an image"},
    {"templates-path-out.yaml", "templates.yaml:6:7: /templates/a/files/..~1out: the path must not have a part '.' or '..'"},
    {"templates-path-through.yaml", "templates.yaml:6:7: /templates/a/files/b~1c: the path goes through another file"},
    {"sandbox-credentials-relative.yaml", "sandbox.yaml:2:3: /builds/credentials: must be an absolute path, or \"\""},
    {"access-unknown-tier.yaml", "access.yaml:4:5: /users/bob/tier: no tier is called 'Gold'"},
    {"access-tier-typo.yaml", "access.yaml:5:3: /default/max_tier: no tier is called 'Standrad'; did you mean 'Standard'?"},
    {"access-tier-above-max.yaml", "access.yaml:2:21: /users/bob/tier: must not be above max_tier"},
    {"access-role-missing.yaml", "access.yaml:2:3: /users/bob/role: is required"},
    {"access-role-root.yaml", "access.yaml:2:9: /users/bob/role: must be one of viewer, user, admin"},
    {"access-bad-user.yaml", "access.yaml:2:3: /users/bob smith: a user's name has 1 to 128 letters, digits and '._@+=,-', and starts with a letter or digit"},
    {"access-empty.yaml", "access.yaml:1:1: the file is empty"},
    {"access-two-groups.yaml", "access.yaml:5:18: /groups/staff/users/1: 'ann' is in group 'students' already; a user is in one at most"},
    {"access-group-role-missing.yaml", "access.yaml:3:3: /groups/students/role: is required"},
    {"access-bad-group.yaml", "access.yaml:3:3: /groups/the students: a group's name has 1 to 64 letters, digits, '.', '_' and '-', and starts with a letter or digit"},
    {"access-group-account.yaml", "access.yaml:6:5: /groups/students/run_as: is of several users here, who need an account each: write {account: \"{user}\"}, or give each user a run_as"},
    {"access-quota-typo.yaml", "access.yaml:4:29: /users/bob/quotas/concurent_executions: unknown field; did you mean 'concurrent_executions'?"},
    {"access-quota-negative.yaml", "access.yaml:2:30: /users/bob/quotas/disk_mb: must be between 0 and 67108864"},
    {"access-run-as-system.yaml", "access.yaml:2:30: /users/bob/run_as/uid: must be between 1000 and 2147483647"},
    {"access-run-as-range.yaml", "access.yaml:2:30: /users/bob/run_as/uid: may be no system account's, nor within the service's own range uid_first to uid_last (sandbox.yaml)"},
    {"access-run-as-nobody.yaml", "access.yaml:2:41: /users/bob/run_as/gid: may be no system account's, nor within the service's own range uid_first to uid_last (sandbox.yaml)"},
    {"access-run-as-both.yaml", "access.yaml:2:21: /users/bob/run_as: takes an account, or a uid and a gid"},
    {"access-run-as-twice.yaml", "access.yaml:3:30: /users/bob/run_as/uid: is user 'ann''s already; each needs their own"},
    {"access-root-without-agent.yaml", "access.yaml:2:21: /users/bob/workspace_root: must hold {agent_id}, so that each agent has a directory of its own"},
    {"access-root-of-all.yaml", "access.yaml:4:3: /default/workspace_root: is of several users here, and so must hold {user}"},
    {"access-bad-template.yaml", "access.yaml:2:33: /users/bob/templates/0: must be a template's name, or \"*\" for all"},
    {"access-tier-above-default.yaml", "access.yaml:2:21: /users/bob/tier: 'Elevated' is above the max_tier of user 'bob', which is 'Standard'"},
    {"access-default-role-missing.yaml", "access.yaml:2:1: /default/role: is required"},
};
/* clang-format on */

static void
test_bad_files(void **state)
{
    const struct fixture *fx = *state;
    char name[32], target[128];
    size_t i;

    for (i = 0; i < ARRAY_LEN(bad_files); i++) {
        struct settings *s = NULL;
        struct error err = {0};

        print_message("%s\n", bad_files[i].file);
        snprintf(name, sizeof(name), "%.*s.yaml", (int)strcspn(bad_files[i].file, "-"),
                 bad_files[i].file);
        snprintf(target, sizeof(target), BAD "/%s", bad_files[i].file);
        link_file(fx, name, target);
        assert_int_equal(settings_load(fx->dir, NULL, &s, &err), -EINVAL);
        assert_null(s);
        assert_int_equal(err.code, ERR_VALIDATION);
        assert_string_equal(err.msg, bad_files[i].sentence);
        link_shipped(fx, name);
    }
}

static void
test_every_bad_file_is_listed(void **state)
{
    _cleanup_(closedirp) DIR *dir = opendir(BAD);
    const struct dirent *entry;
    size_t i;

    (void)state;
    assert_non_null(dir);
    for (entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        for (i = 0; i < ARRAY_LEN(bad_files); i++)
            if (!strcmp(bad_files[i].file, entry->d_name))
                break;
        if (i == ARRAY_LEN(bad_files))
            fail_msg("no case for %s", entry->d_name);
    }
}

static void
test_missing_files(void **state)
{
    const struct fixture *fx = *state;
    char path[64], sentence[128];
    size_t i;

    for (i = 0; i < ARRAY_LEN(file_names); i++) {
        struct settings *s = NULL;
        struct error err = {0};

        snprintf(path, sizeof(path), "%s/%s", fx->dir, file_names[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(settings_load(fx->dir, NULL, &s, &err), -EINVAL);
        snprintf(sentence, sizeof(sentence),
                 "%s:1:1: the file cannot be read: No such file or directory", file_names[i]);
        assert_string_equal(err.msg, sentence);
        link_shipped(fx, file_names[i]);
    }
}

static void
test_several_violations(void **state)
{
    const struct fixture *fx = *state;
    struct settings *s = NULL;
    struct error err = {0};

    link_file(fx, "sandbox.yaml", BAD "/sandbox-two-errors.yaml");
    assert_int_equal(settings_load(fx->dir, NULL, &s, &err), -EINVAL);
    assert_int_equal(err.violation_count, 2);
    assert_string_equal(err.violations[0].pointer, "/service/workers");
    assert_string_equal(err.violations[1].pointer, "/mode");
}

/* What the shipped files say is what the code does without them. */
static void
test_shipped_are_the_defaults(void **state)
{
    const struct fixture *fx = *state;
    _cleanup_(settings_unrefp) struct settings *shipped = load(SHIPPED), *bare = NULL;

    write_file(fx, "sandbox.yaml", "{}\n");
    bare = load(fx->dir);
    assert_json(shipped->policy_json, DEFAULT_POLICY);
    assert_json(bare->policy_json, DEFAULT_POLICY);
    assert_true(json_equal(shipped->documents[0], bare->documents[0]));
}

static void
test_shipped_service(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s = load(SHIPPED);

    (void)state;
    assert_int_equal(atomic_load(&s->references), 1);
    assert_true(s->loaded_at_ms > 1600000000000);
    assert_int_equal(s->policy.mode, MODE_SELECTIVE);
    assert_int_equal(s->policy.workspace_access, ACCESS_RW);
    assert_true(s->selective.untiered);
    assert_int_equal(s->selective.tiers.count, 4);
    assert_int_equal(s->selective.agents.count, 0);
    assert_string_equal(s->service.user, "sandboxd");
    assert_string_equal(s->service.allowed_peers.items[0], "www-data");
    assert_int_equal(s->service.workers, 2);
    assert_int_equal(s->service.control_threads, 8);
    assert_int_equal(s->service.execution_threads, 64);
    assert_int_equal(s->service.auth_threads, 4);
    assert_int_equal(s->service.drain_seconds, 10);
    assert_int_equal(s->service.uid_first, 200000);
    assert_int_equal(s->service.uid_last, 265535);
    assert_int_equal(s->service.max_output_bytes, 1048576);
    assert_string_equal(s->service.docker_runtime, "runc");
}

static void
test_shipped_tiers(void **state)
{
    static const struct {
        const char *name;
        int cpu_percent, memory_mb, disk_mb, max_processes, timeout_seconds;
        enum network network;
    } cases[] = {
        {"Sandbox", 25, 128, 512, 16, 60, NETWORK_NONE},
        {"Restricted", 50, 256, 1024, 32, 120, NETWORK_NONE},
        {"Standard", 100, 512, 2048, 50, 300, NETWORK_RESTRICTED},
        {"Elevated", 200, 1024, 5120, 100, 600, NETWORK_FULL},
        {"Unrestricted", 400, 2048, 10240, 200, 1800, NETWORK_FULL},
    };
    _cleanup_(settings_unrefp) struct settings *s = load(SHIPPED);
    const struct tier *tier = s->tiers.items;
    size_t i;

    (void)state;
    assert_int_equal(s->tiers.count, ARRAY_LEN(cases));
    for (i = 0; i < ARRAY_LEN(cases); i++, tier++) {
        assert_string_equal(tier->name, cases[i].name);
        assert_int_equal((int)(tier->limits.cpu_cores * 100), cases[i].cpu_percent);
        assert_int_equal(tier->limits.memory_mb, cases[i].memory_mb);
        assert_int_equal(tier->limits.disk_mb, cases[i].disk_mb);
        assert_int_equal(tier->limits.max_processes, cases[i].max_processes);
        assert_int_equal(tier->limits.timeout_seconds, cases[i].timeout_seconds);
        assert_int_equal(tier->network, cases[i].network);
        assert_string_equal(tier->runtime, "runc");
        assert_int_equal(settings_tier_rank(s, cases[i].name), i);
    }
    assert_ptr_equal(settings_tier(s, "sTANDARD"), (struct tier *)s->tiers.items + 2);
    assert_null(settings_tier(s, "Gold"));
    assert_int_equal(settings_tier_rank(s, ""), -1);
}

static void
test_shipped_templates_and_access(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s = load(SHIPPED);
    const struct access_rule *rule;

    (void)state;
    assert_int_equal(s->templates.count, 4);
    assert_string_equal(settings_template(s, NULL)->name, "base");
    assert_string_equal(settings_template(s, "base")->image, "sandbox-base:latest");
    assert_string_equal(settings_template(s, "node")->image, "node:22-slim");
    assert_null(settings_template(s, "Base"));
    rule = settings_access(s, "admin");
    assert_string_equal(rule->name, "admin");
    assert_int_equal(rule->role, ROLE_ADMIN);
    assert_null(rule->max_tier);
    rule = settings_access(s, "Admin");
    assert_null(rule->name);
    assert_int_equal(rule->role, ROLE_USER);
    assert_string_equal(rule->max_tier, "Standard");
    assert_null(rule->tier);
}

static void
test_nobody_else(void **state)
{
    const struct fixture *fx = *state;
    _cleanup_(settings_unrefp) struct settings *s = NULL;

    write_file(fx, "access.yaml", "users: {bob@example.org: {role: viewer, tier: sandbox}}\n");
    write_file(fx, "templates.yaml", "templates: {a: {image: x}}\n");
    s = load(fx->dir);
    assert_int_equal(settings_access(s, "bob@example.org")->role, ROLE_VIEWER);
    assert_int_equal(settings_access(s, "alice")->role, ROLE_UNSET);
    assert_null(settings_template(s, NULL));
}

static void
test_runtime_of_tiers(void **state)
{
    const struct fixture *fx = *state;
    _cleanup_(settings_unrefp) struct settings *s = NULL, *other = NULL;
    json_auto_t *overrides = json_object();
    const char *limits = "cpu_cores: 1, memory_mb: 64, disk_mb: 64, max_processes: 8, "
                         "timeout_seconds: 9, network: None";
    char text[512];

    snprintf(text, sizeof(text), "tiers:\n  Standard: {%s}\n  x: {%s, runtime: crun}\n", limits,
             limits);
    write_file(fx, "tiers.yaml", text);
    write_file(fx, "sandbox.yaml", "service: {docker_runtime: runsc}\nselective: {tiers: []}\n");
    s = load(fx->dir);
    assert_string_equal(settings_tier(s, "Standard")->runtime, "runsc");
    assert_string_equal(settings_tier(s, "x")->runtime, "crun");
    assert_int_equal(settings_with_overrides(s, overrides, &other, NULL), 0);
    assert_string_equal(settings_tier(other, "Standard")->runtime, "runsc");
}

/* clang-format off */
static const struct {
    const char *overrides, *patch;
    const char *result;   /* the overrides, or NULL */
    const char *sentence; /* of the failure */
} patches[] = {
    {"{}", "{}", "{}", NULL},
    {"{}", "{\"mode\": \"all\"}", "{\"mode\": \"all\"}", NULL},
    {"{\"mode\": \"all\"}", "{\"mode\": null}", "{}", NULL},
    {"{\"mode\": \"all\"}", "{\"scope_mode\": null}", "{\"mode\": \"all\"}", NULL},
    {"{\"mode\": \"all\"}", "{\"mode\": \"off\", \"scope_mode\": \"agent\"}", "{\"mode\": \"off\", \"scope_mode\": \"agent\"}", NULL},
    {"{}", "{\"resource_limits\": {}}", "{}", NULL},
    {"{}", "{\"resource_limits\": {\"disk_mb\": null}}", "{}", NULL},
    {"{\"resource_limits\": {\"disk_mb\": 1}}", "{\"resource_limits\": {\"memory_mb\": 64}}", "{\"resource_limits\": {\"disk_mb\": 1, \"memory_mb\": 64}}", NULL},
    {"{\"resource_limits\": {\"disk_mb\": 1, \"memory_mb\": 64}}", "{\"resource_limits\": {\"disk_mb\": null}}", "{\"resource_limits\": {\"memory_mb\": 64}}", NULL},
    {"{\"resource_limits\": {\"disk_mb\": 1}, \"mode\": \"all\"}", "{\"resource_limits\": {\"disk_mb\": null}}", "{\"mode\": \"all\"}", NULL},
    {"{\"resource_limits\": {\"disk_mb\": 1}}", "{\"resource_limits\": null}", "{}", NULL},
    {"{\"network_policy\": {\"allowed_domains\": [\"a\", \"b\"]}}", "{\"network_policy\": {\"allowed_domains\": [\"c\"]}}", "{\"network_policy\": {\"allowed_domains\": [\"c\"]}}", NULL},
    {"{\"network_policy\": {\"allowed_domains\": [\"a\"]}}", "{\"network_policy\": {\"allowed_domains\": []}}", "{\"network_policy\": {\"allowed_domains\": []}}", NULL},
    {"{}", "[]", NULL, "the body: must be an object, not a list"},
    {"{}", "{\"mdoe\": null}", NULL, "/mdoe: unknown field; did you mean 'mode'?"},
    {"{}", "{\"service\": {}}", NULL, "/service: unknown field"},
    {"{}", "{\"mode\": {}}", NULL, "/mode: must be one of off, selective, all"},
    {"{}", "{\"resource_limits\": {\"memory_mb\": 0}}", NULL, "/resource_limits/memory_mb: must be between 16 and 1048576"},
    {"{}", "{\"resource_limits\": 1}", NULL, "/resource_limits: must be an object, not an integer"},
    {"{}", "{\"network_policy\": {\"allowed_domains\": [null]}}", NULL, "/network_policy/allowed_domains/0: must be a string, not null"},
};
/* clang-format on */

static void
test_override(void **state)
{
    size_t i;
    int r;

    (void)state;
    for (i = 0; i < ARRAY_LEN(patches); i++) {
        json_auto_t *overrides = json_loads(patches[i].overrides, 0, NULL);
        json_auto_t *patch = json_loads(patches[i].patch, 0, NULL), *result = NULL;
        struct error err = {0};

        print_message("%s\n", patches[i].patch);
        r = settings_override(overrides, patch, &result, &err);
        assert_int_equal(r, patches[i].result ? 0 : -EINVAL);
        if (patches[i].result)
            assert_json(result, patches[i].result);
        else
            assert_string_equal(err.msg, patches[i].sentence);
        assert_json(overrides, patches[i].overrides);
        assert_json(patch, patches[i].patch);
    }
}

static void
test_override_of_nothing(void **state)
{
    json_auto_t *patch = json_loads("{\"mode\": \"off\"}", 0, NULL), *result = NULL;

    (void)state;
    assert_int_equal(settings_override(NULL, patch, &result, NULL), 0);
    assert_json(result, "{\"mode\": \"off\"}");
}

static void
test_with_overrides(void **state)
{
    json_auto_t *overrides = json_loads("{\"network_policy\": {\"enabled\": true, "
                                        "\"allowed_domains\": [\"*.Example.org\"]},"
                                        " \"resource_limits\": {\"cpu_cores\": 2}}",
                                        0, NULL);
    _cleanup_(settings_unrefp) struct settings *base = load(SHIPPED), *s = NULL, *back = NULL;
    const char *expected =
        "{\"mode\": \"selective\", \"scope_mode\": \"session\", \"workspace_access\": \"rw\", "
        "\"resource_limits\": {\"cpu_cores\": 2.0, \"memory_mb\": 512, \"disk_mb\": 2048, "
        "\"max_processes\": 50, \"timeout_seconds\": 300}, \"network_policy\": {\"enabled\": true, "
        "\"allowed_domains\": [\"*.Example.org\"], \"blocked_domains\": []}}";
    json_auto_t *none = json_object();
    int64_t loaded_at_ms = base->loaded_at_ms;

    (void)state;
    assert_int_equal(settings_with_overrides(base, overrides, &s, NULL), 0);
    assert_json(base->policy_json, DEFAULT_POLICY);
    settings_unref(TAKE(base));
    assert_json(s->policy_json, expected);
    assert_true(s->policy.network_policy.enabled);
    assert_string_equal(s->policy.network_policy.allowed_domains.items[0], "*.Example.org");
    assert_true(json_equal(s->overrides, overrides));
    assert_int_equal(s->loaded_at_ms, loaded_at_ms);
    assert_string_equal(settings_access(s, "x")->max_tier, "Standard");
    assert_int_equal(settings_with_overrides(s, none, &back, NULL), 0);
    assert_json(back->policy_json, DEFAULT_POLICY);
}

static void
test_overrides_that_do_not_fit(void **state)
{
    static const struct {
        const char *overrides, *pointer;
    } cases[] = {
        {"{\"mode\": \"x\"}", "/mode"},
        {"{\"mod\": \"all\"}", "/mod"},
        {"{\"resource_limits\": {\"gpu\": 1}}", "/resource_limits/gpu"},
        {"{\"resource_limits\": 7}", "/resource_limits"},
        {"{\"network_policy\": {\"allowed_domains\": [\"a\", \"a:80\"]}}",
         "/network_policy/allowed_domains/1"},
        {"[]", ""},
    };
    _cleanup_(settings_unrefp) struct settings *base = load(SHIPPED);
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *overrides = json_loads(cases[i].overrides, 0, NULL);
        struct settings *s = NULL;
        struct error err = {0}, load_err = {0};

        print_message("%s\n", cases[i].overrides);
        assert_int_equal(settings_with_overrides(base, overrides, &s, &err), -EINVAL);
        assert_string_equal(err.violations[0].pointer, cases[i].pointer);
        assert_int_equal(settings_load(SHIPPED, overrides, &s, &load_err), -EINVAL);
        assert_string_equal(load_err.msg, err.msg);
        assert_null(s);
    }
}

static void
test_names(void **state)
{
    static const char label63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        bool (*is_name)(const char *s);
        const char *text;
        bool expected;
    } cases[] = {
        {name_is_tier, "Tier-1.a_b", true},
        {name_is_tier, "", false},
        {name_is_tier, "_a", false},
        {name_is_tier, "a/b", false},
        {name_is_template, "python3.12", true},
        {name_is_template, "Python", false},
        {name_is_template, label63, true},
        {name_is_template, "", false},
        {name_is_user, "a.b+c@example.org", true},
        {name_is_user, "CN=Bob,O=X", true},
        {name_is_user, "bob smith", false},
        {name_is_user, "@bob", false},
        {name_is_user, "", false},
        {name_is_image, "a/b:c@sha256:d", true},
        {name_is_image, "a b", false},
        {name_is_image, "a/../b", false},
        {name_is_image, "a//b", false},
        {name_is_image, "", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].text);
        assert_int_equal(cases[i].is_name(cases[i].text), cases[i].expected);
    }
}

static void
test_lengths_of_names(void **state)
{
    static const struct {
        bool (*is_name)(const char *s);
        size_t max;
    } cases[] = {
        {name_is_tier, 64}, {name_is_template, 63}, {name_is_user, 128}, {name_is_image, 255}};
    char text[300];
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        memset(text, 'a', sizeof(text));
        text[cases[i].max + 1] = '\0';
        assert_false(cases[i].is_name(text));
        text[cases[i].max] = '\0';
        assert_true(cases[i].is_name(text));
    }
}

static void *
take_and_give(void *arg)
{
    struct settings *s = arg;
    int i;

    for (i = 0; i < 10000; i++)
        settings_unref(settings_ref(s));
    return NULL;
}

static void
test_references_of_threads(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s = load(SHIPPED);
    pthread_t threads[4];
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, s), 0);
    for (i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&s->references), 1);
    settings_unref(NULL);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(test_bad_files),
        cmocka_unit_test(test_every_bad_file_is_listed),
        WITH_FILES(test_missing_files),
        WITH_FILES(test_several_violations),
        WITH_FILES(test_shipped_are_the_defaults),
        cmocka_unit_test(test_shipped_service),
        cmocka_unit_test(test_shipped_tiers),
        cmocka_unit_test(test_shipped_templates_and_access),
        WITH_FILES(test_nobody_else),
        WITH_FILES(test_runtime_of_tiers),
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_override_of_nothing),
        cmocka_unit_test(test_with_overrides),
        cmocka_unit_test(test_overrides_that_do_not_fit),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lengths_of_names),
        cmocka_unit_test(test_references_of_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
