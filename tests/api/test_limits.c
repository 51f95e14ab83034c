/* What a tier's limits mean for a command that runs into them. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/guest/protocol.h"
#include "tests/api/client.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/said.h"
#include "tests/api/suite.h"
#include "tests/api/test_inside.h"

/* Of tier Sandbox, as yaml/tiers.yaml has it. */
enum { MEMORY_MB = 128, MAX_PROCESSES = 16, TIMEOUT_SECONDS = 60 };

/* The figures are measured: what must be below a limit is given this much more. */
static const double measured_slack = 1.6;

/* The container of a test, made before it and removed after it: alice's, of tier Sandbox. */
static struct {
    char id[64];
    char exec[96]; /* the path of its exec */
} box;

static int
box_open(void **state)
{
    struct reply r =
        call(ALICE, "POST", "/containers",
             "{\"agent_id\": \"limits\", \"session_id\": \"limits\", \"tier\": \"Sandbox\"}", NULL);

    (void)state;
    assert_status(&r, 201);
    snprintf(box.id, sizeof(box.id), "%s", text_at(&r, "id"));
    snprintf(box.exec, sizeof(box.exec), "/containers/%s/exec", box.id);
    reply_done(&r);
    return 0;
}

static int
box_close(void **state)
{
    char path[96];
    struct reply r;

    (void)state;
    snprintf(path, sizeof(path), "/containers/%s", box.id);
    r = call(ALICE, "DELETE", path, NULL, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    return 0;
}

/* Run @command of the shell in the same sandbox by its scope: there must be no new container. */
static struct reply
run(const char *command, int timeout_seconds)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:s, s:i}", "agent_id", "limits", "session_id", "limits",
                "tier", "Sandbox", "command", command, "timeout_seconds", timeout_seconds);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), box.id);
    return r;
}

/* Run @command, which must succeed, and return the number that it prints. */
static long
run_number(const char *command)
{
    struct reply r = run(command, TIMEOUT_SECONDS);
    long number;

    if (int_at(&r, "exit_code") != 0)
        fail_msg("failed: %s", r.body);
    number = strtol(text_at(&r, "stdout"), NULL, 10);
    reply_done(&r);
    return number;
}

/* How many processes of the sandbox's user there are, from inside; without the counting one. */
static long
processes_inside(void)
{
    return run_number("n=-1; for p in /proc/[0-9]*; do [ -O $p ] && n=$((n + 1)); done; echo $n");
}

static void
assert_audit_status(const char *id, const char *status)
{
    char path[96];
    struct reply r;

    snprintf(path, sizeof(path), "/audit/%s", id);
    r = call(ALICE, "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), status);
    reply_done(&r);
}

static void
a_busy_loop_gets_its_cpu_share(void **state)
{
    struct reply r = run("while :; do :; done", 3);
    double cpu_ms = (double)int_at(&r, "usage.cpu_ms");
    double duration_ms = (double)int_at(&r, "duration_ms");

    (void)state;
    assert_true(bool_at(&r, "timed_out"));
    if (cpu_ms <= 0 || cpu_ms > 0.25 * measured_slack * duration_ms)
        fail_msg("%g ms of CPU in %g ms", cpu_ms, duration_ms);
    reply_done(&r);
}

/* Whether the sandbox is seen to use the CPU, by one process; its share is left in the double @arg.
 */
static bool
cpu_is_used(void *arg)
{
    double *percent = arg;
    long long processes;
    char path[96];
    struct reply r;

    snprintf(path, sizeof(path), "/containers/%s", box.id);
    r = call(ALICE, "GET", path, NULL, NULL);
    assert_status(&r, 200);
    *percent = number_at(&r, "cpu_percent");
    processes = int_at(&r, "processes");
    reply_done(&r);
    return *percent > 1 && processes == 1;
}

static void
a_busy_loop_is_measured_while_it_runs(void **state)
{
    struct flight *f = flight_post(ALICE, box.exec, "{s:s}", "command", "while :; do :; done");
    double percent = 0;

    (void)state;
    wait_until(cpu_is_used, &percent, 30, "a busy loop's cpu_percent");
    flight_abort(f);
    /* Two shares may fall into one reading; a whole core never. */
    assert_true(percent < 25 * 2 * measured_slack);
}

static void
a_memory_hog_is_oom_killed_and_the_sandbox_survives(void **state)
{
    static const struct {
        const char *command;
        bool shell_reports; /* 128 + SIGKILL instead of a signal of its own */
    } cases[] = {
        {"exec tail /dev/zero", false},
        {"tail /dev/zero; exit $?", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = run(cases[i].command, TIMEOUT_SECONDS);

        print_message("    %s\n", cases[i].command);
        assert_true(bool_at(&r, "oom_killed"));
        assert_false(bool_at(&r, "timed_out"));
        if (cases[i].shell_reports)
            assert_int_equal(int_at(&r, "exit_code"), 128 + SIGKILL);
        else
            assert_string_equal(text_at(&r, "signal"), "SIGKILL");
        assert_true(null_at(&r, "exit_code") == !cases[i].shell_reports);
        assert_true(number_at(&r, "usage.max_memory_mb") > MEMORY_MB / 2.0);
        assert_true(number_at(&r, "usage.max_memory_mb") < MEMORY_MB * measured_slack);
        assert_audit_status(text_at(&r, "id"), "oom_killed");
        reply_done(&r);
        assert_int_equal(processes_inside(), 0);
    }
}

static void
a_command_that_fits_its_memory_is_not_killed(void **state)
{
    struct reply r = run("head -c 48m /dev/zero | tail -c 48m | wc -c", TIMEOUT_SECONDS);

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "50331648\n");
    assert_false(bool_at(&r, "oom_killed"));
    reply_done(&r);
}

static void
processes_stop_at_max_processes(void **state)
{
    /* The shell gives up at the first fork that fails, and has printed a line for each other. */
    struct reply r = run("while sleep 600 & do echo one; done", TIMEOUT_SECONDS);
    long count = 1; /* the shell */

    (void)state;
    for (const char *p = text_at(&r, "stdout"); (p = strchr(p, '\n')); p++)
        count++;
    assert_non_null(strstr(text_at(&r, "stderr"), "fork"));
    assert_int_equal(count, MAX_PROCESSES);
    reply_done(&r);
    assert_int_equal(processes_inside(), 0);
}

/* Whether the sandbox is full: a command sees that many, cannot fork, or is refused. */
static bool
is_full(void *arg)
{
    struct reply r =
        call(ALICE, "POST", box.exec,
             "{\"command\": \"ls -d /proc/[0-9]* | wc -l\", \"timeout_seconds\": 10}", NULL);
    bool full;

    (void)arg;
    if (r.status == 429) {
        assert_problem(&r, 429, "process_limit");
        assert_rule_said(&r, "tiers.yaml: tiers.Sandbox.max_processes");
        full = true;
    } else {
        assert_status(&r, 200);
        full = null_at(&r, "exit_code") || int_at(&r, "exit_code") != 0 ||
               strtol(text_at(&r, "stdout"), NULL, 10) >= MAX_PROCESSES;
    }
    reply_done(&r);
    return full;
}

static void
a_fork_bomb_leaves_nothing_and_the_next_command_works(void **state)
{
    struct reply r = run("b() { b | b & }; b; exec sleep 999", 5);

    (void)state;
    assert_true(bool_at(&r, "timed_out") || int_at(&r, "exit_code") != 0);
    reply_done(&r);
    assert_int_equal(processes_inside(), 0);
}

static void
a_full_sandbox_answers_and_works_again_afterwards(void **state)
{
    struct flight *f = flight_post(
        ALICE, box.exec, "{s:s, s:i}", "command",
        "sh -c 'while sleep 999 & do :; done' 2>/dev/null; exec sleep 999", "timeout_seconds", 6);
    struct reply r;

    (void)state;
    wait_until(is_full, NULL, 30, "processes to fill the sandbox");
    r = flight_land(f);
    assert_status(&r, 200);
    assert_true(bool_at(&r, "timed_out"));
    reply_done(&r);
    assert_int_equal(processes_inside(), 0);
}

static void
nothing_outlives_the_deadline(void **state)
{
    struct reply r =
        run("trap '' TERM HUP INT\n"
            "(trap '' TERM HUP; (setsid sh -c 'trap \"\" TERM; sleep 999; sleep 999' &) &)\n"
            "setsid setsid sleep 999 & sleep 999; sleep 999",
            1);

    (void)state;
    assert_true(bool_at(&r, "timed_out"));
    assert_true(null_at(&r, "exit_code"));
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    assert_false(bool_at(&r, "oom_killed"));
    assert_audit_status(text_at(&r, "id"), "timed_out");
    reply_done(&r);
    assert_int_equal(processes_inside(), 0);
}

static void
nothing_outlives_the_command_itself(void **state)
{
    struct reply r =
        run("(setsid sleep 999 >/dev/null 2>&1 &); sleep 999 & echo done", TIMEOUT_SECONDS);

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "done\n");
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    assert_int_equal(processes_inside(), 0);
}

static void
a_timeout_may_be_lowered_but_not_raised(void **state)
{
    struct reply r = run("exec sleep 999", 1);

    (void)state;
    assert_true(bool_at(&r, "timed_out"));
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:i}", "agent_id", "limits", "session_id", "limits",
                "tier", "Sandbox", "command", "true", "timeout_seconds", TIMEOUT_SECONDS + 1);
    assert_problem(&r, 422, "validation_failed");
    assert_string_equal(text_at(&r, "errors.0.pointer"), "/timeout_seconds");
    reply_done(&r);
    r = call(ALICE, "POST", box.exec, "{\"command\": \"true\", \"timeout_seconds\": 61}", NULL);
    assert_problem(&r, 422, "validation_failed");
    reply_done(&r);
}

static void
usage_is_measured(void **state)
{
    struct reply r = run("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done", TIMEOUT_SECONDS);

    (void)state;
    assert_true(int_at(&r, "usage.cpu_ms") > 0);
    assert_true(number_at(&r, "usage.max_memory_mb") > 0);
    assert_true(int_at(&r, "duration_ms") > 0);
    reply_done(&r);
}

static void
a_flood_of_output_is_counted_and_does_not_stay_in_memory(void **state)
{
    static const long long flood = 1LL << 30;
    struct reply r = run("head -c 1048576 /dev/zero", TIMEOUT_SECONDS); /* as much as is kept */
    long before, after;

    (void)state;
    reply_done(&r);
    before = host_workers_private_kib();
    r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:i}", "agent_id", "limits", "scope",
                "session", /* one-shot */
                "tier", "Elevated", "command",
                "head -c 512m /dev/zero; head -c 512m /dev/zero; echo end", "timeout_seconds", 600);
    after = host_workers_private_kib();
    assert_status(&r, 200);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    assert_int_equal(int_at(&r, "stdout_bytes"), flood + 4);
    assert_true(bool_at(&r, "stdout_truncated"));
    assert_true(json_string_length(at(&r, "stdout")) <= 1 << 20);
    assert_true(after - before < 64 << 10);
    reply_done(&r);
}

#define limit_test(f) cmocka_unit_test_setup_teardown(f, box_open, box_close)

int
suite_limits(void)
{
    const struct CMUnitTest tests[] = {
        limit_test(a_busy_loop_gets_its_cpu_share),
        limit_test(a_busy_loop_is_measured_while_it_runs),
        limit_test(a_memory_hog_is_oom_killed_and_the_sandbox_survives),
        limit_test(a_command_that_fits_its_memory_is_not_killed),
        limit_test(processes_stop_at_max_processes),
        limit_test(a_fork_bomb_leaves_nothing_and_the_next_command_works),
        limit_test(a_full_sandbox_answers_and_works_again_afterwards),
        limit_test(nothing_outlives_the_deadline),
        limit_test(nothing_outlives_the_command_itself),
        limit_test(a_timeout_may_be_lowered_but_not_raised),
        limit_test(usage_is_measured),
        limit_test(a_flood_of_output_is_counted_and_does_not_stay_in_memory),
    };

    return cmocka_run_group_tests_name("api: limits", tests, NULL, NULL) + inside_tests();
}
