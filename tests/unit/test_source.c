/* Where settings come from: file, line and keys, the override, or the default. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/config/source.h"

static const struct {
    const char *name, *text;
} files[] = {
    {"sandbox.yaml", "mode: all\n\nnetwork_policy:\n  enabled: true\nselective: {tiers: []}\n"},
    {"tiers.yaml", "tiers:\n  Low: {cpu_cores: 1, memory_mb: 128, disk_mb: 128, max_processes: 8,\n"
                   "        timeout_seconds: 9, network: None}\n"},
    {"templates.yaml", "templates:\n  base:\n    image: x:latest\n    default: true\n"},
    {"access.yaml", "users:\n  ann: {role: admin}\n  a.b@c:\n    role: user\n    tier: Low\n"
                    "default:\n  role: viewer\n"},
};

static char dir[] = "/tmp/test-source.XXXXXX";
static struct settings *settings;

static int
settings_open(void **state)
{
    json_auto_t *overrides =
        json_pack("{s:s, s:{s:[s]}}", "mode", "off", "network_policy", "blocked_domains", "x.test");
    struct error err = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[64];
        _cleanup_(fclosep) FILE *f = NULL;

        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(files[i].text, f) >= 0);
    }
    if (settings_load(dir, overrides, &settings, &err) < 0)
        fail_msg("%s", err.msg);
    return 0;
}

static int
settings_close(void **state)
{
    (void)state;
    settings_unref(settings);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[64];

        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        unlink(path);
    }
    return rmdir(dir);
}

static void
a_value_of_a_file_has_its_line(void **state)
{
    char out[SOURCE_SIZE];

    (void)state;
    source_find(settings, SETTINGS_TIERS, out, "tiers", "Low", "cpu_cores", (char *)NULL);
    assert_string_equal(out, "tiers.yaml:2: tiers.Low.cpu_cores");
    source_find(settings, SETTINGS_TIERS, out, "tiers", "Low", "network", (char *)NULL);
    assert_string_equal(out, "tiers.yaml:3: tiers.Low.network");
    source_policy(settings, "network_policy", "enabled", out);
    assert_string_equal(out, "sandbox.yaml:4: network_policy.enabled");
}

static void
an_override_and_a_default_have_none(void **state)
{
    char out[SOURCE_SIZE];

    (void)state;
    source_policy(settings, "mode", NULL, out);
    assert_string_equal(out, "PUT config: mode");
    source_policy(settings, "network_policy", "blocked_domains", out);
    assert_string_equal(out, "PUT config: network_policy.blocked_domains");
    source_policy(settings, "network_policy", "allowed_domains", out);
    assert_string_equal(out, "sandbox.yaml: network_policy.allowed_domains (default)");
    source_policy(settings, "resource_limits", "disk_mb", out);
    assert_string_equal(out, "sandbox.yaml: resource_limits.disk_mb (default)");
}

static void
a_users_rule_is_their_own_or_the_default(void **state)
{
    char out[SOURCE_SIZE];

    (void)state;
    source_access(settings_access(settings, "ann"), ACCESS_KEY_ROLE, out);
    assert_string_equal(out, "access.yaml:2: users.ann.role");
    source_access(settings_access(settings, "a.b@c"), ACCESS_KEY_TIER, out);
    assert_string_equal(out, "access.yaml:5: users.a.b@c.tier");
    source_access(settings_access(settings, "zoe"), ACCESS_KEY_ROLE, out);
    assert_string_equal(out, "access.yaml:7: default.role");
    source_access(settings_access(settings, "ann"), ACCESS_KEY_MAX_TIER, out);
    assert_string_equal(out, "access.yaml: default.max_tier (default)");
}

/* Overrides that change later leave the lines of the files as they are. */
static void
other_overrides_keep_the_lines(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s = NULL;
    char out[SOURCE_SIZE];

    (void)state;
    assert_int_equal(settings_with_overrides(settings, NULL, &s, NULL), 0);
    source_policy(s, "mode", NULL, out);
    assert_string_equal(out, "sandbox.yaml:1: mode");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_a_file_has_its_line),
        cmocka_unit_test(an_override_and_a_default_have_none),
        cmocka_unit_test(a_users_rule_is_their_own_or_the_default),
        cmocka_unit_test(other_overrides_keep_the_lines),
    };

    return cmocka_run_group_tests_name("source", tests, settings_open, settings_close);
}
