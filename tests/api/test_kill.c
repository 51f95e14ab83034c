/* POST audit/{id}/kill: who may end what, and what is then left of it. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/stream.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 60, FLIGHTS = 6 };

/* Run @command in the sandbox of these tests to its end; the number that it prints. */
static long
number_of(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "kill", "session_id", "s",
                             "command", command);
    long number;

    assert_status(&r, 200);
    number = strtol(text_at(&r, "stdout"), NULL, 10);
    reply_done(&r);
    return number;
}

/* How many processes `sleep 4321` there are in the sandbox. */
static long
sleepers(void)
{
    return number_of("n=0; for p in /proc/[0-9]*; do read -r name 2>/dev/null <$p/comm &&"
                     " [ \"$name\" = sleep ] && tr '\\0' ' ' <$p/cmdline | grep -q 4321 &&"
                     " n=$((n + 1)); done; echo $n");
}

static bool
sleepers_are(void *arg)
{
    return sleepers() == *(const long *)arg;
}

static void
wait_for_sleepers(long count)
{
    wait_until(sleepers_are, &count, PATIENCE_SECONDS, "as many sleepers");
}

/* What resists being killed: it left its session, forked twice, stopped, ignores signals. */
static const char stubborn[] =
    "trap '' TERM HUP INT; echo begun; (setsid sh -c 'trap \"\" TERM; sleep 4321' &) ;"
    " (sh -c '(sleep 4321 &)' &); sh -c 'kill -STOP $$; true' & sleep 4321";

/* The newest entry of these tests that runs. */
static void
find_running(char ret_id[STEP_ID_SIZE])
{
    struct reply list = fetch(ALICE, "/audit?agent_id=kill&status=running&limit=1");

    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&list, "entries.0.id"));
    reply_done(&list);
}

static void
start(const char *command, char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", "kill", "session_id", "s",
                             "command", command, "background", 1);

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

/* Kill @id as @user: the answer has to say that it is dead. */
static void
assert_killed(const char *user, const char *id)
{
    struct reply r = act(user, "POST", "/audit/%s/kill", id);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "id"), id);
    assert_string_equal(text_at(&r, "status"), "killed");
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    assert_true(null_at(&r, "exit_code"));
    assert_time(text_at(&r, "finished_at"));
    reply_done(&r);
}

static void
what_runs_in_the_background_ends_with_all_it_started(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start(stubborn, id);
    wait_for_sleepers(3);
    assert_killed(ALICE, id);
    assert_int_equal(sleepers(), 0); /* when it is answered, not some time later */
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "stdout"), "begun\n");
    reply_done(&r);
}

static void
a_waiting_client_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < FLIGHTS; i++) { /* whichever worker runs it, and whichever kills it */
        struct flight *f = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "kill",
                                       "session_id", "s", "command", stubborn);
        char id[STEP_ID_SIZE];
        struct reply r;

        wait_for_sleepers(3);
        find_running(id);
        assert_killed(ALICE, id);
        r = flight_land(f);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "id"), id);
        assert_string_equal(text_at(&r, "status"), "killed");
        assert_string_equal(text_at(&r, "signal"), "SIGKILL");
        assert_string_equal(text_at(&r, "stdout"), "begun\n");
        assert_true(null_at(&r, "exit_code"));
        assert_false(bool_at(&r, "timed_out"));
        assert_false(bool_at(&r, "oom_killed"));
        reply_done(&r);
        assert_int_equal(sleepers(), 0);
    }
}

static void
a_stream_ends_with_exit(void **state)
{
    struct streaming *s = streaming_post(ALICE, "/execute", EVENTS, "{s:s, s:s, s:s}", "agent_id",
                                         "kill", "session_id", "s", "command", stubborn);
    char id[STEP_ID_SIZE];
    struct stream_log log;
    struct reply exit;

    (void)state;
    streaming_started(s, "id", id, sizeof(id));
    streaming_wait(s, "stdout", 1);
    assert_killed(ALICE, id);
    log = streaming_land(s);
    exit = stream_last(&log, "exit");
    assert_string_equal(text_at(&exit, "status"), "killed");
    assert_string_equal(text_at(&exit, "signal"), "SIGKILL");
    stream_log_done(&log);
}

static void
only_that_execution_ends(void **state)
{
    char first[STEP_ID_SIZE], second[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start("sleep 4321", first);
    start("sleep 4321", second);
    wait_for_sleepers(2);
    assert_killed(ALICE, first);
    assert_int_equal(sleepers(), 1);
    r = fetch(ALICE, "/audit/%s", second);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
    assert_killed(ADMIN, second); /* who may end everybody's */
    assert_int_equal(sleepers(), 0);
}

static void
what_has_ended_stays_as_it_is(void **state)
{
    static const char *const commands[] = {"true", "exit 7", "kill -TERM $$"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct reply x = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "kill", "session_id", "s",
                                 "command", commands[i]);
        struct reply before = fetch(ALICE, "/audit/%s", text_at(&x, "id"));
        struct reply r = act(ALICE, "POST", "/audit/%s/kill", text_at(&x, "id"));

        print_message("    %s\n", commands[i]);
        assert_status(&r, 200);
        assert_true(json_equal(r.json, before.json));
        reply_done(&r);
        reply_done(&before);
        reply_done(&x);
    }
}

static void
others_may_not(void **state)
{
    static const struct {
        const char *user;
        long status;
        const char *code;
    } cases[] = {
        {BOB, 404, "not_found"}, {VIEWER, 403, "forbidden"}, {NULL, 401, "unauthenticated"}};
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start("sleep 4321", id);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r = act(cases[i].user, "POST", "/audit/%s/kill", id);
        assert_status(&r, cases[i].status);
        assert_string_equal(text_at(&r, "code"), cases[i].code);
        reply_done(&r);
    }
    r = fetch(ALICE, "/audit/%s", id);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
    assert_killed(ALICE, id);
    r = act(ALICE, "POST", "/audit/exec_0123456789abcdef/kill");
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static void
a_change_cannot_be_killed(void **state)
{
    char container[STEP_ID_SIZE];
    struct reply r, list;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"kill\", \"session_id\": \"snapshot\"}", container);
    r = act(ALICE, "POST", "/containers/%s/snapshots", container);
    assert_status(&r, 201);
    reply_done(&r);
    list = fetch(ADMIN, "/audit?kind=change&limit=1");
    r = act(ADMIN, "POST", "/audit/%s/kill", text_at(&list, "entries.0.id"));
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    reply_done(&list);
}

int
suite_kill(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_runs_in_the_background_ends_with_all_it_started),
        cmocka_unit_test(a_waiting_client_is_told),
        cmocka_unit_test(a_stream_ends_with_exit),
        cmocka_unit_test(only_that_execution_ends),
        cmocka_unit_test(what_has_ended_stays_as_it_is),
        cmocka_unit_test(others_may_not),
        cmocka_unit_test(a_change_cannot_be_killed),
    };

    return cmocka_run_group_tests_name("api: kill", tests, NULL, remove_containers);
}
