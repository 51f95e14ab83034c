/*
 * The rule that decides: explain, `sandboxd explain` and the refusal itself name the same one, with
 * the line of the file or the override that has it.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/said.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static const struct refusal {
    const char *config; /* of PUT config before it; NULL: none */
    const char *user, *body;
    const char *arguments; /* of `sandboxd explain` that ask the same */
    long status;
    const char *code, *detail;
} refusals[] = {
    {"{\"mode\": \"off\"}", ALICE, "{\"command\": \"true\"}", "--user alice", 409, "sandboxing_off",
     "PUT config: mode is 'off': nothing is executed, sandboxed or not"},
    {"{\"mode\": \"selective\"}", ALICE, "{\"command\": \"true\", \"tier\": \"Standard\"}",
     "--user alice --tier Standard", 409, "not_selected",
     "sandbox.yaml: selective names neither tier 'Standard' nor agent 'default'; ask for it with "
     "\"sandbox\": true"},
    {"{\"mode\": \"selective\"}", ALICE, "{\"command\": \"true\", \"agent_id\": \"x\"}",
     "--user alice --agent x", 409, "not_selected",
     "sandbox.yaml: selective names neither requests without a tier nor agent 'x'; ask for it with "
     "\"sandbox\": true"},
    {NULL, BOB, "{\"command\": \"true\", \"tier\": \"elevated\"}", "--user bob --tier elevated",
     403, "forbidden",
     "tier 'Elevated' is above your ceiling, which is 'Standard' (access.yaml: "
     "users.bob.max_tier)"},
    {NULL, VIEWER, "{\"command\": \"true\"}", "--user victor", 403, "forbidden",
     "the role 'viewer' may not do this (access.yaml: users.victor.role)"},
};

/* Nothing is selected, so that mode `selective` refuses all. */
static int
open_unselected(void **state)
{
    (void)state;
    yaml_edit("sandbox.yaml", "s/^  untiered: true/  untiered: false/;"
                              "s/^  tiers:  *#.*/  tiers: []/;/^    - [SRE][a-z]*$/d");
    return 0;
}

static void
put(const char *config)
{
    struct reply r = call(ADMIN, "PUT", "/config", config, NULL);

    assert_status(&r, 200);
    reply_done(&r);
}

static int
close_unselected(void **state)
{
    put("{\"mode\": null, \"network_policy\": null}");
    yaml_restore();
    return remove_containers(state);
}

/* What `sandboxd explain` prints; the caller frees. */
static char *
explain_printed(const char *arguments, int *ret_status)
{
    char *text;

    *ret_status = host_shell("\"$SANDBOXD\" explain --state \"$SANDBOX_STATE\" %s"
                             " >\"$SANDBOX_STATE/explained\" 2>&1",
                             arguments);
    text = state_file("explained");
    host_shell("rm -f \"$SANDBOX_STATE/explained\"");
    assert_non_null(text);
    return text;
}

static void
try_refusal(const struct refusal *x)
{
    struct reply explained, real;
    _cleanup_(freep) char *printed = NULL;
    int status;

    print_message("    %s: %s\n", x->user, x->body);
    if (x->config)
        put(x->config);
    explained = call(x->user, "POST", "/explain", x->body, NULL);
    real = call(x->user, "POST", "/execute", x->body, NULL);
    printed = explain_printed(x->arguments, &status);
    if (x->config)
        put("{\"mode\": null}");
    assert_status(&explained, 200);
    assert_false(bool_at(&explained, "allowed"));
    assert_string_equal(text_at(&explained, "code"), x->code);
    assert_problem(&real, x->status, x->code);
    assert_string_equal(text_at(&real, "detail"), text_at(&explained, "detail"));
    assert_said(text_at(&explained, "detail"), x->detail);
    assert_int_equal(status, 1);
    if (!strstr(printed, text_at(&explained, "detail")))
        fail_msg("'%s' is not in: %s", text_at(&explained, "detail"), printed);
    reply_done(&explained);
    reply_done(&real);
}

static void
a_refusal_names_the_rule_that_explain_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        try_refusal(&refusals[i]);
}

/* Every refusal of the proxy's, which the one inside reads, and where its rule is. */
static void
a_domain_that_is_refused_is_so_by_the_rule_that_explain_names(void **state)
{
    static const struct {
        const char *config, *domain, *source;
    } cases[] = {
        {NULL, "example.org", "sandbox.yaml: network_policy.enabled"},
        {"{\"network_policy\": {\"enabled\": true}}", "example.org",
         "sandbox.yaml: network_policy.allowed_domains"},
        {"{\"network_policy\": {\"enabled\": true, \"allowed_domains\": [\"*.example.org\"]}}",
         "other.test", "PUT config: network_policy.allowed_domains"},
        {"{\"network_policy\": {\"blocked_domains\": [\"bad.example.org\"]}}", "bad.example.org",
         "PUT config: network_policy.blocked_domains"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *printed = NULL, *arguments = NULL;
        char body[128];
        struct reply r, run;
        int status;

        if (cases[i].config)
            put(cases[i].config);
        snprintf(body, sizeof(body), "{\"tier\": \"Standard\", \"domain\": \"%s\"}",
                 cases[i].domain);
        r = call(BOB, "POST", "/explain", body, NULL);
        assert_status(&r, 200);
        assert_false(bool_at(&r, "network.domain.allowed"));
        assert_said(text_at(&r, "network.domain.source"), cases[i].source);
        run = execute(BOB, "{s:s, s:s, s:s, s:[s, s, s, s]}", "agent_id", "rules", "session_id",
                      "1", "tier", "Standard", "argv", "sh", "-c",
                      "printf 'GET http://%s/ HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' $0 $0 |"
                      " nc 127.0.0.1 3128",
                      cases[i].domain);
        assert_status(&run, 200);
        if (!strstr(text_at(&run, "stdout"), text_at(&r, "network.domain.rule")))
            fail_msg("'%s' is not in: %s", text_at(&r, "network.domain.rule"), run.body);
        assert_true(
            asprintf(&arguments, "--user bob --tier Standard --domain %s", cases[i].domain) > 0);
        printed = explain_printed(arguments, &status);
        assert_int_equal(status, 1);
        assert_non_null(strstr(printed, text_at(&r, "network.domain.rule")));
        assert_non_null(strstr(printed, text_at(&r, "network.domain.source")));
        reply_done(&r);
        reply_done(&run);
    }
    put("{\"network_policy\": null}");
}

/* The command has the words of the API for what is allowed, too. */
static void
the_command_says_what_the_api_says(void **state)
{
    static const char *const names[] = {"cpu_cores", "memory_mb", "disk_mb", "max_processes",
                                        "timeout_seconds"};
    struct reply r = call(BOB, "POST", "/explain", "{\"agent_id\": \"a\"}", NULL);
    _cleanup_(freep) char *printed = NULL;
    int status;

    (void)state;
    printed = explain_printed("--user bob --agent a", &status);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64], line[256];

        snprintf(path, sizeof(path), "limits.%s.value", names[i]);
        snprintf(line, sizeof(line), "%s %.15g (", names[i], number_at(&r, path));
        assert_non_null(strstr(printed, line));
        snprintf(path, sizeof(path), "limits.%s.source", names[i]);
        assert_non_null(strstr(printed, text_at(&r, path)));
    }
    assert_non_null(strstr(printed, text_at(&r, "network.source")));
    assert_said(text_at(&r, "network.source"),
                "tiers.yaml: tiers.Sandbox.network (access.yaml: users.bob.tier)");
    reply_done(&r);
}

static void
wrong_uses_of_the_command_are_told_apart(void **state)
{
    static const struct {
        const char *arguments;
        int status;
    } cases[] = {
        {"", 2},
        {"--user", 2},
        {"--user bob --what", 2},
        {"--user bob more", 2},
        {"--user bob --domain http://x", 2},
        {"--user bob --state /nonexistent", 2},
        {"--user nobody-knows", 1},
        {"--user bob --tier none", 1},
        {"--user bob --template none", 1},
        {"--user bob", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *printed = NULL;
        int status;

        print_message("    %s\n", cases[i].arguments);
        printed = explain_printed(cases[i].arguments, &status);
        assert_int_equal(status, cases[i].status);
        assert_true(printed[0] != '\0');
    }
}

int
suite_explain_rules(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_says_what_the_api_says),
        cmocka_unit_test(wrong_uses_of_the_command_are_told_apart),
        cmocka_unit_test(a_domain_that_is_refused_is_so_by_the_rule_that_explain_names),
        cmocka_unit_test_setup(a_refusal_names_the_rule_that_explain_names, open_unselected),
    };

    return cmocka_run_group_tests_name("api: explain-rules", tests, NULL, close_unselected);
}
