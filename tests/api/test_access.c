/* access.yaml: what users, their groups and default come to, as requests meet it. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/rules.h"
#include "tests/api/said.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static const char rules[] = "  alice: {max_tier: Elevated, quotas: {containers: 0}}\n"
                            "groups:\n"
                            "  students:\n"
                            "    users: [alice, bob]\n"
                            "    role: user\n"
                            "    tier: Sandbox\n"
                            "    templates: [debian]\n"
                            "    quotas: {containers: 2, executions_per_day: 500}\n"
                            "default:\n"
                            "  role: viewer\n"
                            "  max_tier: Standard\n"
                            "  quotas: {snapshots: 4}\n";

static void
assert_quota(const struct reply *r, const char *name, long long limit, const char *source)
{
    char path[96];

    snprintf(path, sizeof(path), "quotas.%s.limit", name);
    if (limit == 0)
        assert_true(null_at(r, path));
    else
        assert_int_equal(int_at(r, path), limit);
    snprintf(path, sizeof(path), "quotas.%s.source", name);
    if (limit == 0)
        assert_true(null_at(r, path));
    else
        assert_said(text_at(r, path), source);
}

static void
whoami_says_what_holds_and_who_says_so(void **state)
{
    struct reply r;

    (void)state;
    rules_are("%s", rules);
    r = fetch(BOB, "/whoami");
    assert_string_equal(text_at(&r, "group"), "students");
    assert_string_equal(text_at(&r, "role"), "user");
    assert_string_equal(text_at(&r, "tier"), "Sandbox");
    assert_string_equal(text_at(&r, "max_tier"), "Standard");
    assert_quota(&r, "containers", 2, "access.yaml: groups.students.quotas.containers");
    assert_quota(&r, "executions_per_day", 500,
                 "access.yaml: groups.students.quotas.executions_per_day");
    assert_quota(&r, "snapshots", 4, "access.yaml: default.quotas.snapshots");
    assert_quota(&r, "disk_mb", 0, NULL);
    reply_done(&r);
    r = fetch(ALICE, "/whoami");
    assert_string_equal(text_at(&r, "max_tier"), "Elevated");
    assert_quota(&r, "containers", 0, NULL);
    assert_quota(&r, "executions_per_day", 500,
                 "access.yaml: groups.students.quotas.executions_per_day");
    reply_done(&r);
    r = fetch(VIEWER, "/whoami"); /* named nowhere */
    assert_true(null_at(&r, "group"));
    assert_string_equal(text_at(&r, "role"), "viewer");
    assert_quota(&r, "snapshots", 4, "access.yaml: default.quotas.snapshots");
    reply_done(&r);
    r = call(VIEWER, "POST", "/execute", "{\"command\": \"true\"}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
}

static void
only_templates_that_are_named_may_be_used(void **state)
{
    static const char *const paths[] = {"/execute", "/containers"};
    static const char body[] = "{\"session_id\": \"s\", \"command\": \"true\"}";
    static const char made[] = "{\"session_id\": \"s\"}";
    struct reply r;

    (void)state;
    rules_are("%s", rules);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        r = call(BOB, "POST", paths[i], i == 0 ? body : made, NULL);
        assert_problem(&r, 403, "forbidden");
        assert_said(text_at(&r, "detail"),
                    "access.yaml: groups.students.templates does not name template 'base'");
        reply_done(&r);
    }
    r = call(BOB, "POST", "/execute", "{\"command\": \"true\", \"template\": \"debian\"}", NULL);
    assert_problem(&r, 409, "template_not_ready"); /* allowed, but nobody has pulled it */
    reply_done(&r);
    rules_are("  bob: {role: user, templates: [\"*\"]}\n"
              "default: {role: user, templates: [debian]}\n");
    r = call(BOB, "POST", "/execute", "{\"command\": \"true\"}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

static void
a_ceiling_is_told_with_its_key(void **state)
{
    struct reply r;

    (void)state;
    rules_are("%s", rules);
    r = call(BOB, "POST", "/explain", "{\"tier\": \"Elevated\", \"template\": \"debian\"}", NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "code"), "forbidden");
    assert_string_equal(text_at(&r, "detail"),
                        "tier 'Elevated' is above your ceiling, which is 'Standard' "
                        "(access.yaml:13: default.max_tier)");
    reply_done(&r);
}

/* Without default, who is named nowhere gets no service. */
static void
without_default_others_get_nothing(void **state)
{
    struct reply r;

    (void)state;
    rules_are("groups: {students: {users: [bob], role: user}}\n");
    r = act(BOB, "GET", "/whoami");
    assert_status(&r, 200);
    reply_done(&r);
    r = act(ALICE, "GET", "/whoami");
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
}

/* The quotas are those of the owner, also where an admin acts for them. */
static void
an_owners_quota_binds_an_admin_too(void **state)
{
    char id[STEP_ID_SIZE], path[96];
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, quotas: {snapshots: 1}}\n");
    make_container(BOB, "{\"session_id\": \"s\"}", id);
    snprintf(path, sizeof(path), "/containers/%s/snapshots", id);
    r = call(BOB, "POST", path, "{}", NULL);
    assert_status(&r, 201);
    reply_done(&r);
    r = call(ADMIN, "POST", path, "{}", NULL);
    assert_problem(&r, 429, "quota_exceeded");
    reply_done(&r);
}

int
suite_access(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoami_says_what_holds_and_who_says_so),
        cmocka_unit_test_teardown(only_templates_that_are_named_may_be_used, remove_containers),
        cmocka_unit_test(a_ceiling_is_told_with_its_key),
        cmocka_unit_test(without_default_others_get_nothing),
        cmocka_unit_test_teardown(an_owners_quota_binds_an_admin_too, remove_containers),
    };

    return cmocka_run_group_tests_name("api: access", tests, rules_keep, rules_restore);
}
