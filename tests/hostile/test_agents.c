/* Other people's workspaces, by the name of the agent. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

enum { LONG_NAME = 300 };

/* JSON strings, as they are sent. */
static const char *const names[] = {
    "\"\"",
    "\".\"",
    "\"..\"",
    "\"...\"",
    "\"/\"",
    "\"../bob/neighbour\"",
    "\"..\\\\bob\\\\neighbour\"",
    "\"../../canary-of-all\"",
    "\"a/../../bob/neighbour\"",
    "\"./neighbour\"",
    "\"neighbour/\"",
    "\"/neighbour\"",
    "\"a/b\"",
    "\".hidden\"",
    "\"-rf\"",
    "\"~root\"",
    "\"a~new\"",
    "\"%2e%2e\"",
    "\"..%2fbob%2fneighbour\"",
    "\"a%00\"",
    "\" neighbour\"",
    "\"neighbour \"",
    "\"neighbour\\n\"",
    "\"neighbour\\t\"",
    "\"a:/etc\"",
    "\"a:ro\"",
    "\"$(id)\"",
    "\"*\"",
    "\"neighbo\\u0075r\\u0301\"",
    "\"\\u006eeighbour\\u200b\"",
    "\"\\uff0e\\uff0e\"",
    "\"\\u2025\"",
    "\"a\\u2215b\"",
    "\"a\\uff0fb\"",
    "\"n\\u0435ighbour\"",
    "\"\\u202ebob\"",
    "\"a\\u0000\"",
    "\"..\\u0000\"",
    "\"neighbour\\u0000x\"",
};

/* Fail unless the body, in which agent_id is @name, is refused by @method @path. */
static void
assert_refused_name(const char *path, const char *name)
{
    _cleanup_(freep) char *body = NULL;
    struct reply r;

    assert_true(asprintf(&body, "{%s\"agent_id\": %s}",
                         strcmp(path, "/execute") == 0 ? "\"command\": \"ls\", " : "", name) > 0);
    r = call(ALICE, "POST", path, body, NULL);
    /* A NUL is no JSON to us. */
    if (!(r.status == 422 || (r.status == 400 && strstr(name, "\\u0000"))))
        fail_msg("agent_id %s: %ld %s", name, r.status, r.body);
    reply_done(&r);
}

static void
no_agent_id_leads_to_anothers_workspace(void **state)
{
    size_t before = count_files("workspaces");
    char longest[LONG_NAME + 3];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[0] = longest[LONG_NAME + 1] = '"';
    longest[LONG_NAME + 2] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_refused_name("/execute", names[i]);
        assert_refused_name("/containers", names[i]);
        assert_refused_name("/explain", names[i]);
    }
    assert_refused_name("/execute", longest);
    assert_refused_name("/containers", longest);
    assert_int_equal(count_files("workspaces"), before);
}

/* What is like the neighbour's name is another directory, and in another owner's. */
static void
a_name_like_anothers_is_a_workspace_of_its_own(void **state)
{
    static const char *const alike[] = {"neighbour", "neighbour.", "Neighbour", "neighbour..",
                                        "bob"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
        struct reply r =
            attack_shell(ALICE, alike[i], "ls -A; ls -A ..; ls /workspace/../workspace");

        assert_status(&r, 200);
        assert_null(strstr(text_at(&r, "stdout"), "canary"));
        reply_done(&r);
        remove_containers(NULL);
    }
}

int
suite_agents(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_agent_id_leads_to_anothers_workspace, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(a_name_like_anothers_is_a_workspace_of_its_own, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("agents", tests, NULL, world_done);
}
