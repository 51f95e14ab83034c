/* POST explain: what would happen, and which file, override or request decides it. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/said.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static struct reply
explain(const char *user, const char *body)
{
    struct reply r = call(user, "POST", "/explain", body, NULL);

    assert_status(&r, 200);
    return r;
}

static void
assert_source(const struct reply *r, const char *limit, double value, const char *source)
{
    char path[96];

    snprintf(path, sizeof(path), "limits.%s.value", limit);
    assert_true(number_at(r, path) == value);
    snprintf(path, sizeof(path), "limits.%s.source", limit);
    assert_said(text_at(r, path), source);
}

static void
without_a_tier_the_config_decides(void **state)
{
    struct reply r = explain(ALICE, "{\"command\": \"true\"}"), put;

    (void)state;
    assert_members(r.json, "allowed code detail container_id tier template limits network");
    assert_true(bool_at(&r, "allowed"));
    assert_true(null_at(&r, "code"));
    assert_true(null_at(&r, "tier"));
    assert_string_equal(text_at(&r, "template"), "base");
    assert_source(&r, "cpu_cores", 1, "sandbox.yaml: resource_limits.cpu_cores");
    assert_string_equal(text_at(&r, "network.mode"), "None");
    assert_said(text_at(&r, "network.source"), "sandbox.yaml: network_policy.enabled");
    assert_true(null_at(&r, "network.domain"));
    reply_done(&r);
    put = call(ADMIN, "PUT", "/config", "{\"resource_limits\": {\"memory_mb\": 100}}", NULL);
    assert_status(&put, 200);
    reply_done(&put);
    r = explain(ALICE, "{\"command\": \"true\", \"timeout_seconds\": 7}");
    assert_source(&r, "memory_mb", 100, "PUT config: resource_limits.memory_mb");
    assert_source(&r, "disk_mb", 2048, "sandbox.yaml: resource_limits.disk_mb");
    assert_source(&r, "timeout_seconds", 7, "request: timeout_seconds");
    reply_done(&r);
    put = call(ADMIN, "PUT", "/config", "{\"resource_limits\": null}", NULL);
    assert_status(&put, 200);
    reply_done(&put);
}

static void
a_tier_is_the_requests_or_the_users(void **state)
{
    struct reply r = explain(ALICE, "{\"tier\": \"standard\"}");

    (void)state;
    assert_string_equal(text_at(&r, "tier"), "Standard");
    assert_source(&r, "max_processes", 50,
                  "tiers.yaml: tiers.Standard.max_processes (the request's tier)");
    assert_string_equal(text_at(&r, "network.mode"), "Restricted");
    reply_done(&r);
    r = explain(BOB, "{}");
    assert_string_equal(text_at(&r, "tier"), "Sandbox");
    assert_source(&r, "memory_mb", 128,
                  "tiers.yaml: tiers.Sandbox.memory_mb (access.yaml: users.bob.tier)");
    reply_done(&r);
}

/* What execute refuses, explain explains with the same code and words. */
static void
a_refusal_is_the_one_that_execute_gives(void **state)
{
    static const struct {
        const char *user, *body;
    } cases[] = {
        {ALICE, "{\"command\": \"true\", \"tier\": \"Unrestricted\"}"},
        {ALICE, "{\"command\": \"true\", \"tier\": \"Unknown\"}"},
        {ALICE, "{\"command\": \"true\", \"template\": \"unknown\"}"},
        {ALICE, "{\"command\": \"true\", \"template\": \"python\"}"},
        {ALICE, "{\"command\": \"true\", \"timeout_seconds\": 86400}"},
        {ADMIN, "{\"command\": \"true\", \"tier\": \"Unrestricted\"}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = explain(cases[i].user, cases[i].body);
        struct reply real = call(cases[i].user, "POST", "/execute", cases[i].body, NULL);

        print_message("    %s\n", cases[i].body);
        assert_false(bool_at(&r, "allowed"));
        assert_string_equal(text_at(&r, "code"), text_at(&real, "code"));
        reply_done(&r);
        reply_done(&real);
    }
}

static void
the_container_is_the_one_that_would_serve(void **state)
{
    static const char body[] = "{\"agent_id\": \"explained\", \"session_id\": \"s\"}";
    struct reply r = explain(ALICE, body);
    char id[STEP_ID_SIZE];

    (void)state;
    assert_true(null_at(&r, "container_id"));
    reply_done(&r);
    r = fetch(ALICE, "/containers");
    assert_int_equal(json_array_size(at(&r, "containers")), 0); /* nothing was made */
    reply_done(&r);
    make_container(ALICE, body, id);
    r = explain(ALICE, body);
    assert_string_equal(text_at(&r, "container_id"), id);
    reply_done(&r);
    r = explain(BOB, body);
    assert_true(null_at(&r, "container_id"));
    reply_done(&r);
}

static void
a_domain_is_judged_by_the_rule_that_decides(void **state)
{
    static const struct {
        const char *tier, *domain;
        bool allowed;
        const char *rule;
    } cases[] = {
        {"Sandbox", "example.org", false, "network None reaches nothing"},
        {"Standard", "example.org", true, "network_policy.allowed_domains: Example.org"},
        {"Standard", "EXAMPLE.org.", true, "network_policy.allowed_domains: Example.org"},
        {"Standard", "a.example.org", false, "network_policy.allowed_domains does not name it"},
        {"Standard", "a.b.example.net", true, "network_policy.allowed_domains: *.example.net"},
        {"Standard", "example.net", false, "network_policy.allowed_domains does not name it"},
        {"Standard", "bad.example.net", false, "network_policy.blocked_domains: bad.example.net"},
        {"Standard", "MÜNCHEN.de", true, "network_policy.allowed_domains: münchen.de"},
        {"Standard", "xn--mnchen-3ya.de", true, "network_policy.allowed_domains: münchen.de"},
        {"Standard", "8.8.8.8", true, "network_policy.allowed_domains: 8.8.8.8"},
        {"Standard", "134744072", true, "network_policy.allowed_domains: 8.8.8.8"},
        {"Standard", "8.8.4.4", false, "network_policy.allowed_domains does not name this address"},
        {"Standard", "[::ffff:10.0.0.1]", false,
         "10.0.0.1 is no address of the internet, nor in egress.permit_addresses"},
        {"Elevated", "bad.example.net", false, "network_policy.blocked_domains: bad.example.net"},
        {"Elevated", "anything.test", true, "network_policy.blocked_domains does not name it"},
        {"Elevated", "8.8.4.4", false, "network_policy.allowed_domains does not name this address"},
    };
    struct reply r = call(ADMIN, "PUT", "/config",
                          "{\"network_policy\": {\"enabled\": true, \"allowed_domains\":"
                          " [\"Example.org\", \"*.example.net\", \"münchen.de\", \"8.8.8.8\","
                          " \"10.0.0.1\"], \"blocked_domains\": [\"bad.example.net\"]}}",
                          NULL);
    char body[160];

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s: %s\n", cases[i].tier, cases[i].domain);
        snprintf(body, sizeof(body), "{\"tier\": \"%s\", \"domain\": \"%s\"}", cases[i].tier,
                 cases[i].domain);
        r = explain(ALICE, body);
        assert_string_equal(text_at(&r, "network.domain.rule"), cases[i].rule);
        assert_int_equal(bool_at(&r, "network.domain.allowed"), cases[i].allowed);
        reply_done(&r);
    }
    r = call(ADMIN, "PUT", "/config", "{\"network_policy\": null}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

static void
without_a_policy_restricted_reaches_nothing(void **state)
{
    static const struct {
        const char *body;
        bool allowed;
        const char *rule;
    } cases[] = {
        {"{\"domain\": \"example.org\"}", false, "network_policy.enabled is false"},
        {"{\"tier\": \"Standard\", \"domain\": \"example.org\"}", false,
         "network_policy.enabled is false"},
        {"{\"tier\": \"Elevated\", \"domain\": \"example.org\"}", true,
         "network Full, and nothing is blocked"},
        {"{\"tier\": \"Elevated\", \"domain\": \"169.254.169.254\"}", false,
         "169.254.169.254 is no address of the internet, nor in egress.permit_addresses"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = explain(ALICE, cases[i].body);

        print_message("    %s\n", cases[i].body);
        assert_string_equal(text_at(&r, "network.domain.rule"), cases[i].rule);
        assert_int_equal(bool_at(&r, "network.domain.allowed"), cases[i].allowed);
        reply_done(&r);
    }
}

static void
bad_bodies_are_pointed_at(void **state)
{
    static const struct {
        const char *body, *pointer;
    } refused[] = {
        {"{\"domain\": \"*.example.org\"}", "/domain"},
        {"{\"domain\": \"http://x\"}", "/domain"},
        {"{\"domain\": \"\"}", "/domain"},
        {"{\"domain\": \"*.\"}", "/domain"},
        {"{\"domain\": \"a..b\"}", "/domain"},
        {"{\"domain\": \"example.org:443\"}", "/domain"},
        {"{\"domain\": \"user@example.org\"}", "/domain"},
        {"{\"domain\": \"1.2.3.256\"}", "/domain"},
        {"{\"domain\": \"10.0.0.0/8\"}", "/domain"},
        {"{\"domain\": \"a／b.org\"}", "/domain"},
        {"{\"domain\": 5}", "/domain"},
        {"{\"command\": \"a\", \"argv\": [\"b\"]}", "/argv"},
        {"{\"command\": \"a\", \"cwd\": \"relative\"}", "/cwd"},
        {"{\"what\": 1}", "/what"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct reply r = call(ALICE, "POST", "/explain", refused[i].body, NULL);

        assert_violation(&r, refused[i].pointer);
        reply_done(&r);
    }
}

int
suite_explain(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_tier_the_config_decides),
        cmocka_unit_test(a_tier_is_the_requests_or_the_users),
        cmocka_unit_test(a_refusal_is_the_one_that_execute_gives),
        cmocka_unit_test_teardown(the_container_is_the_one_that_would_serve, remove_containers),
        cmocka_unit_test(a_domain_is_judged_by_the_rule_that_decides),
        cmocka_unit_test(without_a_policy_restricted_reaches_nothing),
        cmocka_unit_test(bad_bodies_are_pointed_at),
    };

    return cmocka_run_group_tests_name("api: explain", tests, NULL, remove_containers);
}
