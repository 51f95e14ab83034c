/*
 * What `sandboxd check` says of the mistakes that people make: each is a small edit of a shipped
 * file, and the sentence is exactly what an admin reads.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/config/settings.h"
#include "backend/typo.h"

static char dir[] = "/tmp/test_mistakes.XXXXXX";

static const char *const names[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml", "access.yaml"};

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
    char path[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

/* Copy the shipped file @name, with the first @from in it as @to. Returns the line of that. */
static int
copy(const char *name, const char *from, const char *to)
{
    char path[64], text[1 << 14], *at;
    int line = 1;
    FILE *f;

    snprintf(path, sizeof(path), "yaml/%s", name);
    f = fopen(path, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    at = strstr(text, from);
    if (!at)
        fail_msg("%s has no '%s'", name, from);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_int_equal(fclose(f), 0);
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return line;
}

/* clang-format off */
static const struct {
    const char *file, *from, *to;
    const char *sentence;
    int line, column; /* of the place: lines after that of the edit */
} mistakes[] = {
    {"tiers.yaml", "memory_mb: 128", "memroy_mb: 128", "/tiers/Sandbox/memroy_mb: unknown field; did you mean 'memory_mb'?", 0, 5},
    {"tiers.yaml", "memory_mb: 128", "memory: 128", "/tiers/Sandbox/memory: unknown field; did you mean 'memory_mb'?", 0, 5},
    {"tiers.yaml", "max_processes: 16", "processes: 16", "/tiers/Sandbox/processes: unknown field; did you mean 'max_processes'?", 0, 5},
    {"tiers.yaml", "memory_mb: 128", "memory_mb: 128m", "/tiers/Sandbox/memory_mb: must be an integer, not the text '128m'", 0, 5},
    {"tiers.yaml", "cpu_cores: 0.25", "cpu_cores: 25%", "/tiers/Sandbox/cpu_cores: must be a number, not the text '25%'", 0, 5},
    {"tiers.yaml", "memory_mb: 128", "memory_mb: 8", "/tiers/Sandbox/memory_mb: must be between 16 and 1048576", 0, 5},
    {"tiers.yaml", "memory_mb: 128", "memory_mb:128", "not valid YAML: a key has to be followed by ':' and a space", 0, 5},
    {"tiers.yaml", "cpu_cores: 0.25", "cpu_cores: 0.25 memory_mb: 128", "not valid YAML: a ':' where none is expected: see the indentation, and the space after each key's ':'", 0, 30},
    {"tiers.yaml", "    disk_mb: 512", "   disk_mb: 512", "not valid YAML: the indentation does not fit that of the lines above", 0, 4},
    {"tiers.yaml", "    disk_mb: 512", "\tdisk_mb: 512", "not valid YAML: indent with spaces, not with tabs", 0, 1},
    {"tiers.yaml", "    memory_mb: 128\n", "", "/tiers/Sandbox/memory_mb: is required", -2, 3},
    {"tiers.yaml", "network: None\n", "network: none\n", "/tiers/Sandbox/network: must be one of None, Restricted, Full; did you mean 'None'?", 0, 5},
    {"tiers.yaml", "  Restricted:\n    cpu", "  sandbox:\n    cpu", "/tiers/sandbox: the same name as 'Sandbox', as upper and lower case mean the same", 0, 3},
    {"tiers.yaml", "    disk_mb: 512", "    disk_mb: 512\n    disk_mb: 600", "/tiers/Sandbox/disk_mb: this key is there twice", 1, 5},
    {"sandbox.yaml", "mode: selective", "mode: selctive", "/mode: must be one of off, selective, all; did you mean 'selective'?", 0, 1},
    {"sandbox.yaml", "enabled: false", "enabled: no", "/network_policy/enabled: must be true or false, not the text 'no'", 0, 3},
    {"sandbox.yaml", "allowed_domains: []", "allowed_domains: *.example.org", "not valid YAML: put a value that begins with '*' or '&' in quotes", 0, 21},
    {"sandbox.yaml", "allowed_domains: []", "allowed_domains: example.org", "/network_policy/allowed_domains: must be a list of strings, not the text 'example.org'", 0, 3},
    {"sandbox.yaml", "allowed_domains: []", "allowed_domains: [https://example.org/]", "/network_policy/allowed_domains/0: must be a host name such as example.org, *.example.org for the names below it, or an address, without scheme, port or path", 0, 21},
    {"sandbox.yaml", "    - Elevated", "    - Elevatde", "/selective/tiers/3: no tier is called 'Elevatde'; did you mean 'Elevated'?", 0, 7},
    {"sandbox.yaml", "credentials: \"\"", "credentials: \"", "not valid YAML: a quote is opened and never closed", 0, 16},
    {"sandbox.yaml", "ports: [80, 443]", "ports: [80, 443", "not valid YAML: a list that begins with '[' has no ']', or lacks a ','", 0, 10},
    {"sandbox.yaml", "timeout_seconds: 300", "timeout: 300", "/resource_limits/timeout: unknown field; did you mean 'timeout_seconds'?", 0, 3},
    {"templates.yaml", "default: false", "default: true", "/templates/python/default: another template is the default already", 0, 5},
    {"templates.yaml", "image: node:22-slim", "image: node 22", "/templates/node/image: must be an image reference such as python:3.12-slim", 0, 5},
    {"access.yaml", "role: admin", "role: amdin", "/users/admin/role: must be one of viewer, user, admin; did you mean 'admin'?", 0, 5},
    {"access.yaml", "max_tier: Standard", "max_teir: Standard", "/default/max_teir: unknown field; did you mean 'max_tier'?", 0, 3},
};
/* clang-format on */

static void
each_is_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        struct settings *s = NULL;
        struct error err = {0};
        char expected[512];
        int line;

        for (size_t j = 0; j < ARRAY_LEN(names); j++)
            copy(names[j], "", "");
        line = copy(mistakes[i].file, mistakes[i].from, mistakes[i].to) + mistakes[i].line;
        snprintf(expected, sizeof(expected), "%s:%d:%d: %s", mistakes[i].file, line,
                 mistakes[i].column, mistakes[i].sentence);
        assert_int_equal(settings_load(dir, NULL, &s, &err), -EINVAL);
        assert_string_equal(err.msg, expected);
    }
}

/* `check` names all of a file's mistakes, each with its place. */
static void
several_have_a_place_each(void **state)
{
    struct settings *s = NULL;
    struct error err = {0};
    unsigned line;

    (void)state;
    for (size_t j = 0; j < ARRAY_LEN(names); j++)
        copy(names[j], "", "");
    line = (unsigned)copy("tiers.yaml", "memory_mb: 128\n    disk_mb: 512",
                          "memory_mb: 8\n    disk: 512");
    assert_int_equal(settings_load(dir, NULL, &s, &err), -EINVAL);
    assert_int_equal(err.violation_count, 3);
    assert_int_equal(err.violations[0].line, line);
    assert_int_equal(err.violations[1].line, line + 1);
    assert_int_equal(err.violations[1].column, 5);
    assert_string_equal(err.violations[1].detail, "unknown field; did you mean 'disk_mb'?");
    assert_string_equal(err.violations[2].detail, "is required");
    assert_int_equal(err.violations[2].line, line - 2); /* of the tier that lacks it */
}

static void
a_slip_is_nearer_than_a_part(void **state)
{
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"cpu", "cpu_cores"},   {"mb", NULL},   {"disk", "disk_mb"}, {"cores", "cpu_cores"},
        {"dist_mb", "disk_mb"}, {"x_mb", NULL}, {"cpu_", NULL},      {"DISK", "disk_mb"},
    };
    static const char *const keys[] = {"cpu_cores", "memory_mb", "disk_mb"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct typo t = {.word = cases[i].word};

        for (size_t j = 0; j < ARRAY_LEN(keys); j++)
            typo_offer(&t, keys[j]);
        print_message("%s\n", cases[i].word);
        if (cases[i].nearest)
            assert_string_equal(t.nearest, cases[i].nearest);
        else
            assert_null(t.nearest);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_explained),
        cmocka_unit_test(several_have_a_place_each),
        cmocka_unit_test(a_slip_is_nearer_than_a_part),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
