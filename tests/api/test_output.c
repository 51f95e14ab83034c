/* GET audit/{id}/output from given bytes on, of executions that have ended and that run. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

/* Run @command to its end, keeping @cap bytes of each stream; its id. */
static void
run(const char *command, int cap, char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:i}", "agent_id", "output", "session_id", "s",
                             "command", command, "max_output_bytes", cap);

    assert_status(&r, 200);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

/* Start @command in the background, likewise. */
static void
start(const char *command, int cap, char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:i, s:b}", "agent_id", "output", "session_id",
                             "s", "command", command, "max_output_bytes", cap, "background", 1);

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

/* "0123456789abcdefghij" as stdout and "error" as stderr: what there is from a byte on. */
static const struct {
    int cap;
    long long from;
    const char *out;
    long long out_from, out_next;
} slices[] = {
    {1000, 0, "0123456789abcdefghij", 0, 20},
    {1000, 1, "123456789abcdefghij", 1, 20},
    {1000, 19, "j", 19, 20},
    {1000, 20, "", 20, 20},
    {1000, 21, "", 20, 20},
    {1000, 9007199254740992, "", 20, 20},
    {20, 12, "cdefghij", 12, 20}, /* head and tail are all of it */
    {8, 0, "0123ghij", 0, 20},
    {8, 3, "3ghij", 3, 20},
    {8, 4, "ghij", 16, 20}, /* what was dropped is skipped */
    {8, 15, "ghij", 16, 20},
    {8, 16, "ghij", 16, 20},
    {8, 18, "ij", 18, 20},
    {8, 20, "", 20, 20},
};

static void
a_finished_output_can_be_read_from_any_byte_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        char id[STEP_ID_SIZE];
        struct reply r;

        print_message("    %d bytes kept, from %lld\n", slices[i].cap, slices[i].from);
        run("printf 0123456789abcdefghij; printf error >&2", slices[i].cap, id);
        r = fetch(ALICE, "/audit/%s/output?stdout_from=%lld&stderr_from=2", id, slices[i].from);
        assert_string_equal(text_at(&r, "status"), "completed");
        assert_string_equal(text_at(&r, "stdout"), slices[i].out);
        assert_int_equal(int_at(&r, "stdout_from"), slices[i].out_from);
        assert_int_equal(int_at(&r, "stdout_next"), slices[i].out_next);
        assert_int_equal(int_at(&r, "stdout_bytes"), 20);
        assert_int_equal(bool_at(&r, "stdout_truncated"), slices[i].cap < 20);
        assert_string_equal(text_at(&r, "stderr"), "ror");
        assert_int_equal(int_at(&r, "stderr_from"), 2);
        assert_int_equal(int_at(&r, "stderr_next"), 5);
        reply_done(&r);
    }
}

static void
offsets_are_checked(void **state)
{
    static const char *const queries[] = {
        "stdout_from=-1",
        "stdout_from=x",
        "stdout_from=1.5",
        "stdout_from=",
        "stderr_from=-1",
        "stderr_from=0x1",
        "from=1",
        "stdout_from=99999999999999999999",
        "stdout_from=1&stdout_from=2",
    };
    char id[STEP_ID_SIZE];

    (void)state;
    run("true", 10, id);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct reply r = act(ALICE, "GET", "/audit/%s/output?%s", id, queries[i]);

        print_message("    %s\n", queries[i]);
        assert_problem(&r, 400, "bad_query");
        reply_done(&r);
    }
}

/* Read on from *next until the output has grown by @expected, which it must begin with. */
static void
follow(const char *id, long long *next, const char *expected)
{
    size_t len = strlen(expected), have = 0;
    const struct timespec pause = {.tv_nsec = 20000000};

    for (int i = 0; have < len && i < 1500; i++) {
        struct reply r = fetch(ALICE, "/audit/%s/output?stdout_from=%lld", id, *next);
        size_t got = strlen(text_at(&r, "stdout"));

        assert_string_equal(text_at(&r, "encoding"), "utf-8");
        assert_int_equal(int_at(&r, "stdout_from"), *next);
        assert_int_equal(int_at(&r, "stdout_next"), *next + (long long)got);
        assert_true(have + got <= len);
        assert_memory_equal(text_at(&r, "stdout"), expected + have, got);
        have += got;
        *next += (long long)got;
        reply_done(&r);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(have, len);
}

static void
a_running_output_is_followed_piece_by_piece(void **state)
{
    char id[STEP_ID_SIZE];
    long long next = 0;
    struct reply r;

    (void)state;
    start("echo one; until [ -e f1 ]; do sleep 0.1; done; echo two; until [ -e f2 ]; do sleep 0.1;"
          " done; rm f1 f2; printf three",
          1000, id);
    follow(id, &next, "one\n");
    r = fetch(ALICE, "/audit/%s/output?stdout_from=4", id);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_string_equal(text_at(&r, "stdout"), "");
    assert_int_equal(int_at(&r, "stdout_bytes"), 4);
    assert_false(bool_at(&r, "stdout_truncated"));
    reply_done(&r);
    run_in(ALICE, "output", "s", "touch f1");
    follow(id, &next, "two\n");
    run_in(ALICE, "output", "s", "touch f2");
    follow(id, &next, "three");
    /* By now, or at the next look, it has ended: the same bytes come from the database. */
    next = 0;
    follow(id, &next, "one\ntwo\nthree");
}

enum { ALL_LINES = 4390 }; /* bytes of "line 0" to "line 499" */

/* Whether the execution @arg has written as much. */
static bool
has_written_all(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s/output", (const char *)arg);
    bool all = int_at(&r, "stdout_bytes") == ALL_LINES;

    reply_done(&r);
    return all;
}

static void
a_running_output_over_the_cap_shows_head_and_tail(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i + 1)); done;"
          " until [ -e over ]; do sleep 0.1; done; rm over",
          20, id);
    wait_until(has_written_all, id, 60, "500 lines");
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_true(bool_at(&r, "stdout_truncated"));
    assert_int_equal(int_at(&r, "stdout_bytes"), ALL_LINES);
    assert_string_equal(text_at(&r, "stdout"), "line 0\nlin\nline 499\n");
    assert_int_equal(int_at(&r, "stdout_from"), 0);
    assert_int_equal(int_at(&r, "stdout_next"), ALL_LINES);
    reply_done(&r);
    r = fetch(ALICE, "/audit/%s/output?stdout_from=100", id);
    assert_string_equal(text_at(&r, "stdout"), "\nline 499\n");
    assert_int_equal(int_at(&r, "stdout_from"), ALL_LINES - 10);
    reply_done(&r);
    r = fetch(ALICE, "/audit/%s/output?stdout_from=5000", id);
    assert_string_equal(text_at(&r, "stdout"), "");
    assert_int_equal(int_at(&r, "stdout_next"), ALL_LINES);
    reply_done(&r);
    run_in(ALICE, "output", "s", "touch over");
}

static void
a_character_that_is_not_complete_waits_for_the_next_time(void **state)
{
    char id[STEP_ID_SIZE];
    long long next = 0;
    struct reply r;

    (void)state;
    start("printf 'a\\342\\202'; touch half; until [ -e whole ]; do sleep 0.1; done; rm half whole;"
          " printf '\\254b'; sleep 0.5",
          1000, id);
    run_in(ALICE, "output", "s", "until [ -e half ]; do sleep 0.1; done; sleep 0.3");
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "stdout"), "a");
    assert_string_equal(text_at(&r, "encoding"), "utf-8");
    assert_int_equal(int_at(&r, "stdout_next"), 1);
    assert_int_equal(int_at(&r, "stdout_bytes"), 3);
    reply_done(&r);
    run_in(ALICE, "output", "s", "touch whole");
    follow(id, &next,
           "a\xe2\x82\xac"
           "b");
}

static void
what_runs_for_a_waiting_client_has_no_output_yet(void **state)
{
    struct flight *f =
        flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "output", "session_id", "s",
                    "command", "echo early; touch here; until [ -e on ]; do sleep 0.1; done");
    struct reply list, r;

    (void)state;
    run_in(ALICE, "output", "s", "until [ -e here ]; do sleep 0.1; done; rm here");
    list = fetch(ALICE, "/audit?agent_id=output&status=running");
    r = fetch(ALICE, "/audit/%s/output", text_at(&list, "entries.0.id"));
    assert_string_equal(text_at(&r, "status"), "running");
    assert_string_equal(text_at(&r, "stdout"), "");
    assert_int_equal(int_at(&r, "stdout_bytes"), 0);
    assert_int_equal(int_at(&r, "stdout_next"), 0);
    reply_done(&r);
    reply_done(&list);
    run_in(ALICE, "output", "s", "touch on");
    r = flight_land(f);
    assert_string_equal(text_at(&r, "stdout"), "early\n");
    reply_done(&r);
    run_in(ALICE, "output", "s", "rm on");
}

int
suite_output(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_output_can_be_read_from_any_byte_on),
        cmocka_unit_test(offsets_are_checked),
        cmocka_unit_test(a_running_output_is_followed_piece_by_piece),
        cmocka_unit_test(a_running_output_over_the_cap_shows_head_and_tail),
        cmocka_unit_test(a_character_that_is_not_complete_waits_for_the_next_time),
        cmocka_unit_test(what_runs_for_a_waiting_client_has_no_output_yet),
    };

    return cmocka_run_group_tests_name("api: output", tests, NULL, remove_containers);
}
