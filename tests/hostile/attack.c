/* Carrying out attacks: see attack.h. */
#include "tests/hostile/attack.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { SCRIPT_SIZE = 8192 };

/* The attacker's program lies in a workspace that its tenant could have written it to. */
static void
place(const char *user, const char *agent, const char *program)
{
    const char *from = getenv("ATTACKERS");

    assert_non_null(from);
    run_in(user, agent, "attack", "true"); /* makes the workspace */
    assert_int_equal(host_shell("install -m 755 '%s/%s' \"$SANDBOX_STATE/workspaces/%s/%s/%s\"",
                                from, program, user, agent, program),
                     0);
}

struct reply
attack(const char *user, const char *agent, const char *program, const char *arguments)
{
    char script[SCRIPT_SIZE];

    place(user, agent, program);
    snprintf(script, sizeof(script), "/workspace/%s %s", program, arguments);
    return execute(user, "{s:s, s:s, s:s}", "command", script, "agent_id", agent, "session_id",
                   "attack");
}

void
assert_got(const struct reply *r, const char *expected)
{
    assert_int_equal(r->status, 200);
    assert_string_equal(json_string_value(json_object_get(r->json, "stdout")), expected);
    assert_int_equal(json_integer_value(json_object_get(r->json, "exit_code")), 0);
}

int
world_note(void **state)
{
    (void)state;
    return 0;
}

int
world_check(void **state)
{
    (void)state;
    return 0;
}
