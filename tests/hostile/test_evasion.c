/* Processes that try to outlive their execution, however it ends. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/processes.h"

enum { GONE_SECONDS = 5, START_SECONDS = 30, COMMAND_SIZE = 128 };

static const char *const modes[] = {"daemon",  "runner",  "vfork",    "stopped", "traced",
                                    "threads", "adopted", "siblings", "zombies", "short"};

/* Nothing is left, and the same sandbox takes the next command. */
static void
assert_gone(const char *mode)
{
    processes_assert_gone(GONE_SECONDS);
    run_in(ALICE, "evasion", "attack", "true");
    print_message("  %s\n", mode);
}

static void
nothing_outlives_the_command(void **state)
{
    char command[COMMAND_SIZE];

    (void)state;
    attack_place(ALICE, "evasion", "evader");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct reply r;

        snprintf(command, sizeof(command), "/workspace/evader %s", modes[i]);
        r = attack_shell(ALICE, "evasion", command);
        assert_got(&r, "evading\n");
        reply_done(&r);
        assert_gone(modes[i]);
    }
}

static void
nothing_outlives_the_deadline(void **state)
{
    (void)state;
    attack_place(ALICE, "evasion", "evader");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct reply r =
            execute(ALICE, "{s:[s, s, s], s:s, s:s, s:i}", "argv", "/workspace/evader", modes[i],
                    "stay", "agent_id", "evasion", "session_id", "attack", "timeout_seconds", 1);

        assert_status(&r, 200);
        assert_true(bool_at(&r, "timed_out"));
        assert_string_equal(text_at(&r, "signal"), "SIGKILL");
        reply_done(&r);
        assert_gone(modes[i]);
    }
}

/* Whether the background execution @arg has written that it is evading. */
static bool
evades(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s/output", (const char *)arg);
    bool there = strcmp(text_at(&r, "stdout"), "evading\n") == 0;

    reply_done(&r);
    return there;
}

static void
nothing_outlives_a_kill(void **state)
{
    (void)state;
    attack_place(ALICE, "evasion", "evader");
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char id[STEP_ID_SIZE];
        struct reply r =
            execute(ALICE, "{s:[s, s, s], s:s, s:s, s:b}", "argv", "/workspace/evader", modes[i],
                    "stay", "agent_id", "evasion", "session_id", "attack", "background", 1);

        assert_status(&r, 202);
        snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
        reply_done(&r);
        wait_until(evades, id, START_SECONDS, "the attacker to evade");
        r = act(ALICE, "POST", "/audit/%s/kill", id);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "status"), "killed");
        reply_done(&r);
        assert_gone(modes[i]);
    }
}

/* A client that goes away takes its execution with it. */
static void
nothing_outlives_the_client(void **state)
{
    static const char *const few[] = {"daemon", "runner", "threads"};

    (void)state;
    attack_place(ALICE, "evasion", "evader");
    for (size_t i = 0; i < ARRAY_LEN(few); i++) {
        struct flight *f =
            flight_post(ALICE, "/execute", "{s:[s, s, s], s:s, s:s}", "argv", "/workspace/evader",
                        few[i], "stay", "agent_id", "evasion", "session_id", "attack");
        pid_t pid = 0;

        for (int looks = 0; processes_count(&pid) == 0 && looks < START_SECONDS * 100; looks++)
            run_in(NEIGHBOUR, NEIGHBOUR_AGENT, "neighbour", "true");
        flight_abort(f);
        assert_gone(few[i]);
    }
}

int
suite_evasion(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_outlives_the_command, world_note, world_check),
        cmocka_unit_test_setup_teardown(nothing_outlives_the_deadline, world_note, world_check),
        cmocka_unit_test_setup_teardown(nothing_outlives_a_kill, world_note, world_check),
        cmocka_unit_test_setup_teardown(nothing_outlives_the_client, world_note, world_check),
    };

    return cmocka_run_group_tests_name("evasion", tests, NULL, world_done);
}
