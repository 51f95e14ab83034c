/* A policy that changes all the time while somebody tries to slip through. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/api/net.h"
#include "tests/api/steps.h"

enum { CHANGES = 1000, PATIENCE_SECONDS = 60 };

#define DISABLED "{\"network_policy\": {\"enabled\": false}}"

/* Start probes of alice's that go on: a "y" for each that got through, an "n" for each that did
 * not. */
static void
start_probes(char ret_id[STEP_ID_SIZE])
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:s, s:b}", "command",
                "while :; do " NET_FETCH " >/dev/null 2>&1 && echo y || echo n; done", "agent_id",
                "probes", "session_id", "net", "tier", "Standard", "background", 1);

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

static void
assert_refused_now(void)
{
    struct reply r = net_run(ALICE, "probes", "Standard", NET_FETCH);

    assert_string_equal(text_at(&r, "stdout"), "");
    assert_int_not_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
}

static bool
is_refused(void *arg)
{
    struct reply r = net_run(ALICE, "probes", "Standard", NET_FETCH);
    bool refused = text_at(&r, "stdout")[0] == '\0';

    (void)arg;
    reply_done(&r);
    return refused;
}

static void
a_thousand_changes_leave_the_last_one_in_force(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start_probes(id);
    for (int i = 0; i < CHANGES; i++)
        net_policy(i % 2 ? NET_POLICY : DISABLED);
    net_comes_to_print("probes", NET_FETCH, NET_HELLO);
    net_policy(DISABLED);
    wait_until(is_refused, NULL, PATIENCE_SECONDS, "the policy to be in force");
    assert_refused_now();
    r = act(ALICE, "POST", "/audit/%s/kill", id);
    assert_status(&r, 200);
    reply_done(&r);
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_non_null(strchr(text_at(&r, "stdout"), 'y'));
    assert_non_null(strchr(text_at(&r, "stdout"), 'n'));
    reply_done(&r);
}

int
suite_policy(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_changes_leave_the_last_one_in_force),
    };

    return cmocka_run_group_tests_name("policy", tests, net_open, net_close);
}
