/* Placement: which container a request gets, by the YAML that we ship. */
#include "tests/test.h"

#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/placement.h"

static struct settings *shipped;

static int
setup(void **state)
{
    struct error err = {0};

    (void)state;
    if (settings_load("yaml", NULL, &shipped, &err) < 0)
        print_error("%s\n", err.msg);
    return shipped ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    settings_unref(shipped);
    return 0;
}

/* The shipped settings under @overrides, an object in JSON. */
static struct settings *
settings_under(const char *overrides)
{
    json_auto_t *json = json_loads(overrides, 0, NULL);
    struct settings *s = NULL;

    assert_non_null(json);
    assert_int_equal(settings_with_overrides(shipped, json, &s, NULL), 0);
    return s;
}

static void
refusals_have_their_code(void **state)
{
    static const struct {
        struct placement request;
        enum error_code code;
        const char *words; /* of the sentence */
    } cases[] = {
        {{.user = "bob"}, ERR_NONE, ""},
        {{.user = "bob", .tier = "Gold"}, ERR_VALIDATION, "no tier is called 'Gold'"},
        {{.user = "bob", .tier = "Elevated"}, ERR_FORBIDDEN, "above your ceiling"},
        {{.user = "bob", .tier = "standard"}, ERR_NONE, ""},
        {{.user = "bob", .template_name = "none"}, ERR_VALIDATION, "no template"},
        {{.user = "bob", .timeout_seconds = 300}, ERR_NONE, ""},
        {{.user = "bob", .timeout_seconds = 301}, ERR_VALIDATION, "at most 300"},
        {{.user = "bob", .tier = "Sandbox", .timeout_seconds = 61}, ERR_VALIDATION, "at most 60"},
        {{.user = "admin", .tier = "Unrestricted"}, ERR_NOT_SELECTED, "'Unrestricted'"},
        {{.user = "admin", .tier = "Unrestricted", .sandbox = true}, ERR_NONE, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct container plan = {0};
        struct error err = {0};

        print_message("case %zu\n", i);
        placement_plan(shipped, &cases[i].request, &plan, &err);
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.msg, cases[i].words));
    }
}

static void
modes_decide_what_runs(void **state)
{
    static const struct {
        const char *overrides;
        const char *tier;
        bool sandbox;
        enum error_code code;
    } cases[] = {
        {"{\"mode\": \"off\"}", NULL, false, ERR_SANDBOXING_OFF},
        {"{\"mode\": \"off\"}", NULL, true, ERR_SANDBOXING_OFF},
        {"{\"mode\": \"all\"}", NULL, false, ERR_NONE},
        {"{\"mode\": \"all\"}", "Unrestricted", false, ERR_NONE},
        {"{\"mode\": \"selective\"}", NULL, false, ERR_NONE},
        {"{\"mode\": \"selective\"}", "Elevated", false, ERR_NONE},
        {"{\"mode\": \"selective\"}", "Unrestricted", false, ERR_NOT_SELECTED},
        {"{\"mode\": \"selective\"}", "Unrestricted", true, ERR_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(settings_unrefp) struct settings *s = settings_under(cases[i].overrides);
        const struct placement request = {
            .user = "admin", .tier = cases[i].tier, .sandbox = cases[i].sandbox};
        struct container plan = {0};
        struct error err = {0};

        print_message("case %zu\n", i);
        placement_plan(s, &request, &plan, &err);
        assert_int_equal(err.code, cases[i].code);
    }
}

static void
access_is_lowered_never_raised(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s =
        settings_under("{\"workspace_access\": \"ro\"}");
    struct placement request = {.user = "bob"};
    struct container plan = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(placement_plan(s, &request, &plan, NULL), 0);
    assert_int_equal(plan.workspace_access, ACCESS_RO);
    request.workspace_access = ACCESS_NONE;
    assert_int_equal(placement_plan(s, &request, &plan, NULL), 0);
    assert_int_equal(plan.workspace_access, ACCESS_NONE);
    request.workspace_access = ACCESS_RW;
    assert_true(placement_plan(s, &request, &plan, &err) < 0);
    assert_string_equal(err.violations[0].pointer, "/workspace_access");
}

/* Requests that must, or must not, meet in one container. */
static void
scope_decides_who_meets(void **state)
{
    static const struct placement base = {
        .user = "bob", .agent_id = "a", .session_id = "s", .tier = "Sandbox"};
    static const struct {
        struct placement other;
        bool session, agent, shared; /* whether they meet in that scope */
    } cases[] = {
        {{.user = "bob", .agent_id = "a", .session_id = "s", .tier = "sandbox"}, true, true, true},
        {{.user = "bob", .agent_id = "a", .session_id = "t", .tier = "Sandbox"}, false, true, true},
        {{.user = "bob", .agent_id = "b", .session_id = "s", .tier = "Sandbox"},
         false,
         false,
         true},
        {{.user = "bob", .agent_id = "a", .session_id = "s"}, false, false, false},
        {{.user = "bobs", .agent_id = "a", .session_id = "s", .tier = "Sandbox"},
         false,
         false,
         false},
        {{.user = "bob",
          .agent_id = "a",
          .session_id = "s",
          .tier = "Sandbox",
          .template_name = "node"},
         false,
         false,
         false},
        {{.user = "bob",
          .agent_id = "a",
          .session_id = "s",
          .tier = "Sandbox",
          .workspace_access = ACCESS_RO},
         false,
         false,
         false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const bool meets[] = {cases[i].session, cases[i].agent, cases[i].shared};

        for (int scope = SCOPE_SESSION; scope <= SCOPE_SHARED; scope++) {
            struct placement one = base, two = cases[i].other;
            struct container a = {0}, b = {0};

            print_message("case %zu, scope %s\n", i, scope_names[scope - 1]);
            one.scope = two.scope = scope;
            assert_int_equal(placement_plan(shipped, &one, &a, NULL), 0);
            assert_int_equal(placement_plan(shipped, &two, &b, NULL), 0);
            assert_int_equal(strlen(a.scope_key), 64);
            assert_int_equal(strcmp(a.scope_key, b.scope_key) == 0, meets[scope - 1]);
        }
    }
}

static void
no_tier_means_the_configs_limits(void **state)
{
    const struct placement request = {.user = "bob"};
    struct container plan = {0};

    (void)state;
    assert_int_equal(placement_plan(shipped, &request, &plan, NULL), 0);
    assert_string_equal(plan.tier, "");
    assert_int_equal(plan.limits.memory_mb, 512);
    assert_string_equal(plan.template_name, "base");
    assert_string_equal(plan.agent_id, "default");
    assert_true(plan.one_shot);
    assert_string_equal(plan.scope_key, "");
}

/* What the plan of @request is made with, and what it is shown to have, under each policy. */
static void
assert_network(const struct placement *request, enum network made, enum network while_disabled,
               enum network while_enabled)
{
    static const char *const policies[] = {"{\"network_policy\": {\"enabled\": false}}",
                                           "{\"network_policy\": {\"enabled\": true}}"};
    const enum network shown[] = {while_disabled, while_enabled};
    char key[sizeof(((struct container *)0)->scope_key)] = "";

    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        _cleanup_(settings_unrefp) struct settings *s = settings_under(policies[i]);
        struct container plan = {0};

        assert_int_equal(placement_plan(s, request, &plan, NULL), 0);
        assert_int_equal(plan.network, made);
        assert_int_equal(placement_network(s, &plan), shown[i]);
        if (i > 0)
            assert_string_equal(plan.scope_key, key); /* it is found again */
        memcpy(key, plan.scope_key, sizeof(key));
    }
}

static void
without_a_tier_the_policy_opens_and_closes_what_was_made_before(void **state)
{
    static const struct placement untiered = {.user = "alice", .session_id = "s"},
                                  none = {.user = "admin", .session_id = "s", .tier = "Sandbox"},
                                  some = {.user = "admin", .session_id = "s", .tier = "Standard"},
                                  full = {.user = "admin", .session_id = "s", .tier = "Elevated"};
    _cleanup_(settings_unrefp) struct settings *enabled =
        settings_under("{\"network_policy\": {\"enabled\": true}}");
    struct container older = {.network = NETWORK_NONE};

    (void)state;
    assert_network(&untiered, NETWORK_RESTRICTED, NETWORK_NONE, NETWORK_RESTRICTED);
    assert_network(&none, NETWORK_NONE, NETWORK_NONE, NETWORK_NONE);
    assert_network(&some, NETWORK_RESTRICTED, NETWORK_RESTRICTED, NETWORK_RESTRICTED);
    assert_network(&full, NETWORK_FULL, NETWORK_FULL, NETWORK_FULL);
    assert_int_equal(placement_network(enabled, &older), NETWORK_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_have_their_code),
        cmocka_unit_test(modes_decide_what_runs),
        cmocka_unit_test(access_is_lowered_never_raised),
        cmocka_unit_test(scope_decides_who_meets),
        cmocka_unit_test(no_tier_means_the_configs_limits),
        cmocka_unit_test(without_a_tier_the_policy_opens_and_closes_what_was_made_before),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("placement", tests, setup, teardown);
}
