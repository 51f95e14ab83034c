/*
 * Idempotency-Key: a request is carried out once, whatever happens to its client, its worker or its
 * answer. How often a command ran, it says itself: each run adds a line to a file.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/keyed.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 60, PARALLEL = 8 };

#define AGENT "once"

/* The body of an execution of @command in the tests' own container. The caller frees. */
static char *
body_of(const char *command)
{
    json_auto_t *json =
        json_pack("{s:s, s:s, s:s}", "agent_id", AGENT, "session_id", "1", "command", command);
    char *text = json_dumps(json, JSON_COMPACT);

    assert_non_null(text);
    return text;
}

static struct reply
run_keyed(const char *user, const char *key, const char *command)
{
    _cleanup_(freep) char *body = body_of(command);

    return call(user, "POST", "/execute", body, key, NULL);
}

/* How many lines alice's file @name has: how often its command ran. */
static int
lines_of(const char *name)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:[s, s, s, s]}", "agent_id", AGENT, "session_id",
                             "1", "argv", "sh", "-c", "cat \"$0\" 2>/dev/null | wc -l", name);
    int lines;

    assert_status(&r, 200);
    lines = (int)strtol(text_at(&r, "stdout"), NULL, 10);
    reply_done(&r);
    return lines;
}

/* What a client does that is told to come again: the first answer that is no "still running". */
static struct reply
insist(const char *key, const char *command)
{
    struct reply r = run_keyed(ALICE, key, command);

    for (int i = 0; i < PATIENCE_SECONDS && r.status == 409 && r.retry_after[0]; i++) {
        reply_done(&r);
        r = run_keyed(ALICE, key, command);
    }
    return r;
}

static void
an_execution_runs_once_and_answers_twice(void **state)
{
    static const char command[] = "echo x >>once; echo out; echo err >&2; printf '\\377'; exit 3";
    const char *key = key_fresh();
    struct reply first = run_keyed(ALICE, key, command);
    struct reply again = run_keyed(ALICE, key, command);

    (void)state;
    assert_status(&first, 200);
    assert_int_equal(int_at(&first, "exit_code"), 3);
    assert_same_answer(&first, &again);
    assert_string_equal(first.replayed, "");
    assert_string_equal(again.replayed, "true");
    assert_int_equal(lines_of("once"), 1);
    reply_done(&first);
    reply_done(&again);
}

static void
large_output_is_answered_again_whole(void **state)
{
    static const char command[] = "head -c 3000000 /dev/zero | tr '\\0' x";
    const char *key = key_fresh();
    struct reply first = run_keyed(ALICE, key, command);
    struct reply again = run_keyed(ALICE, key, command);

    (void)state;
    assert_status(&first, 200);
    assert_same_answer(&first, &again);
    reply_done(&first);
    reply_done(&again);
}

static void
exec_in_a_container_runs_once(void **state)
{
    struct reply box =
        execute(ALICE, "{s:s, s:s, s:s}", "agent_id", AGENT, "session_id", "1", "command", "true");
    const char *key = key_fresh();
    char path[128];
    struct reply first, again;

    (void)state;
    snprintf(path, sizeof(path), "/containers/%s/exec", text_at(&box, "container_id"));
    first = call(ALICE, "POST", path, "{\"command\": \"echo x >>exec\"}", key, NULL);
    again = call(ALICE, "POST", path, "{\"command\": \"echo x >>exec\"}", key, NULL);
    assert_status(&first, 200);
    assert_same_answer(&first, &again);
    assert_int_equal(lines_of("exec"), 1);
    reply_done(&box);
    reply_done(&first);
    reply_done(&again);
}

static void
another_body_path_or_query_is_a_conflict(void **state)
{
    const char *key = key_fresh();
    struct reply r = run_keyed(ALICE, key, "true");

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    r = run_keyed(ALICE, key, "false");
    assert_problem(&r, 409, "conflict");
    assert_string_equal(r.retry_after, "");
    reply_done(&r);
    r = call(ALICE, "POST", "/containers", "{\"agent_id\": \"" AGENT "\", \"session_id\": \"1\"}",
             key, NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
}

static void
two_users_with_one_key_do_not_meet(void **state)
{
    const char *key = key_fresh();
    struct reply alices = run_keyed(ALICE, key, "echo of alice");
    struct reply bobs = run_keyed(BOB, key, "echo of bob");

    (void)state;
    assert_status(&alices, 200);
    assert_status(&bobs, 200);
    assert_string_equal(text_at(&bobs, "stdout"), "of bob\n");
    assert_string_equal(bobs.replayed, "");
    reply_done(&alices);
    reply_done(&bobs);
}

static void
a_malformed_key_is_refused(void **state)
{
    static const char *const keys[] = {
        "Idempotency-Key: a b", "Idempotency-Key: ../../x", "Idempotency-Key: \xc3\xa4",
        "Idempotency-Key: "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct reply r = run_keyed(ALICE, keys[i], "echo x >>malformed");

        assert_problem(&r, 400, "bad_query");
        reply_done(&r);
    }
    assert_int_equal(lines_of("malformed"), 0);
}

static void
a_container_is_made_once_and_answered_as_made(void **state)
{
    static const char body[] = "{\"agent_id\": \"" AGENT "\", \"session_id\": \"made\"}";
    const char *key = key_fresh();
    struct reply first = call(ALICE, "POST", "/containers", body, key, NULL);
    struct reply again = call(ALICE, "POST", "/containers", body, key, NULL);
    struct reply without = call(ALICE, "POST", "/containers", body, NULL);

    (void)state;
    assert_status(&first, 201);
    assert_same_answer(&first, &again);
    assert_status(&without, 200);
    assert_string_equal(text_at(&without, "id"), text_at(&first, "id"));
    reply_done(&first);
    reply_done(&again);
    reply_done(&without);
}

static void
after_an_error_the_key_is_free(void **state)
{
    const char *key = key_fresh();
    struct reply r = call(BOB, "POST", "/execute",
                          "{\"tier\": \"Unrestricted\", \"command\": \"true\"}", key, NULL);

    (void)state;
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = run_keyed(BOB, key, "echo fine");
    assert_status(&r, 200);
    assert_string_equal(r.replayed, "");
    reply_done(&r);
}

static void
requests_at_one_time_run_once(void **state)
{
    _cleanup_(freep) char *body = body_of("echo x >>parallel; sleep 1; echo done");
    struct parallel calls[PARALLEL];
    const char *key = key_fresh();

    (void)state;
    for (size_t i = 0; i < PARALLEL; i++)
        calls[i] = (struct parallel){ALICE, "POST", "/execute", body, key, {0}};
    call_parallel(calls, PARALLEL);
    for (size_t i = 0; i < PARALLEL; i++) {
        assert_status(&calls[i].reply, 200);
        assert_string_equal(calls[i].reply.body, calls[0].reply.body);
    }
    for (size_t i = 0; i < PARALLEL; i++)
        reply_done(&calls[i].reply);
    assert_int_equal(lines_of("parallel"), 1);
}

static void
one_that_runs_for_long_is_told_to_come_again(void **state)
{
    static const char command[] = "echo x >>long; while [ ! -e go ]; do sleep 0.1; done; echo done";
    _cleanup_(freep) char *body = body_of(command);
    const char *key = key_fresh();
    struct parallel first = {ALICE, "POST", "/execute", body, key, {0}};
    struct pending *p = pending_start(&first);
    struct reply r;

    (void)state;
    while (!lines_of("long"))
        pending_poll(p);
    r = run_keyed(ALICE, key, command);
    assert_problem(&r, 409, "conflict");
    assert_string_equal(r.retry_after, "1");
    reply_done(&r);
    run_in(ALICE, AGENT, "1", "touch go");
    r = insist(key, command);
    pending_finish(p);
    assert_status(&first.reply, 200);
    assert_string_equal(r.body, first.reply.body);
    reply_done(&r);
    reply_done(&first.reply);
    run_in(ALICE, AGENT, "1", "rm go");
}

/* The end of the client ends its execution: the truth is that it was killed. */
static void
a_client_that_hangs_up_is_told_how_it_ended(void **state)
{
    static const char command[] = "echo x >>hangup; sleep 600";
    static char file[] = "hangup";
    _cleanup_(freep) char *body = body_of(command);
    const char *key = key_fresh();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = client_handle(ALICE, "/execute");
    CURLM *multi = curl_multi_init();
    struct reply r;
    int running = 1;

    (void)state;
    headers = curl_slist_append(headers, key);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    assert_int_equal(curl_multi_add_handle(multi, curl), CURLM_OK);
    while (running && !lines_of(file))
        assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
    assert_int_equal(running, 1);
    curl_multi_remove_handle(multi, curl);
    curl_easy_cleanup(curl); /* closes the connection */
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    r = insist(key, command);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "killed");
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    assert_int_equal(lines_of(file), 1);
    reply_done(&r);
}

/* The worker dies while the command runs: it began, so it does not begin again. */
static void
a_worker_killed_during_the_command_leaves_it_interrupted(void **state)
{
    static const char command[] = "echo x >>during; sleep 600";
    static char file[] = "during";
    _cleanup_(freep) char *body = body_of(command);
    const char *key = key_fresh();
    struct parallel first = {ALICE, "POST", "/execute", body, key, {0}};
    struct pending *p = pending_start(&first);
    struct reply r;

    (void)state;
    while (!lines_of(file))
        pending_poll(p);
    kill_workers();
    pending_finish(p);
    assert_in_range(first.reply.status, 500, 599);
    reply_done(&first.reply);
    r = insist(key, command);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "interrupted");
    assert_int_equal(lines_of(file), 1);
    reply_done(&r);
}

/* Have every worker stand still, or go on. */
static void
signal_workers(int sig)
{
    struct pids workers = host_role("worker");

    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], sig), 0);
}

/* Whether the workspace, seen from the host, has a file of this name. */
static bool
workspace_has(void *arg)
{
    return host_shell("find \"$SANDBOX_STATE/workspaces\" -name '%s' | grep -q .",
                      (const char *)arg) == 0;
}

/* The worker stands still, the command ends, the worker dies: nobody has read how it ended. */
static void
a_worker_killed_after_the_command_does_not_run_it_again(void **state)
{
    static const char command[] = "echo x >>after; while [ ! -e off ]; do sleep 0.1; done; : >end";
    static char file[] = "after", end[] = "end";
    _cleanup_(freep) char *body = body_of(command);
    const char *key = key_fresh();
    struct parallel first = {ALICE, "POST", "/execute", body, key, {0}};
    struct pending *p = pending_start(&first);
    struct reply r;

    (void)state;
    while (!lines_of(file))
        pending_poll(p);
    signal_workers(SIGSTOP);
    assert_int_equal(host_shell("for d in $(find \"$SANDBOX_STATE/workspaces\" -name after); do"
                                " : >\"${d%%/*}/off\"; done"),
                     0);
    wait_until(workspace_has, end, PATIENCE_SECONDS, "the command to end");
    kill_workers();
    pending_finish(p);
    assert_in_range(first.reply.status, 500, 599);
    reply_done(&first.reply);
    r = insist(key, command);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "interrupted");
    assert_int_equal(lines_of(file), 1);
    reply_done(&r);
}

/*
 * The worker dies when the audit knows the end, and the key's row does not: too short a moment to
 * hit, so that the row is made to say what such a death leaves.
 */
static void
a_worker_killed_before_it_answers_has_the_answer_built_again(void **state)
{
    static const char command[] = "echo x >>before; echo out; exit 4";
    const char *key = key_fresh();
    struct reply first = run_keyed(ALICE, key, command);
    struct reply again;

    (void)state;
    assert_status(&first, 200);
    kill_workers();
    forget_answers();
    again = run_keyed(ALICE, key, command);
    assert_same_answer(&first, &again);
    assert_int_equal(lines_of("before"), 1);
    reply_done(&first);
    reply_done(&again);
}

/* Have every nginx process stand still, or go on. */
static void
signal_nginx(const char *sig)
{
    assert_int_equal(host_shell("m=$(cat \"$SANDBOX_STATE/nginx/nginx.pid\") && kill -s %s "
                                "\"$m\" $(cat /proc/\"$m\"/task/\"$m\"/children)",
                                sig),
                     0);
}

/* The key of a header line. */
static char *
header_key(const char *header)
{
    static char key[64];

    snprintf(key, sizeof(key), "%s", header + strlen("Idempotency-Key: "));
    return key;
}

/* Whether the request with the key @arg has been answered. */
static bool
is_answered(void *arg)
{
    char sql[160];

    snprintf(sql, sizeof(sql),
             "SELECT COUNT(*) FROM idempotency WHERE key = '%s' AND status NOT NULL",
             (const char *)arg);
    return ask_database(sql) > 0;
}

/* The answer is on its way through nginx, which stands still, when the client hangs up. */
static void
an_answer_that_got_lost_is_given_again(void **state)
{
    static const char command[] = "echo x >>lost; : >lost-begun;"
                                  " while [ ! -e lost-off ]; do sleep 0.1; done; echo done";
    static char begun[] = "lost-begun";
    _cleanup_(freep) char *body = body_of(command);
    const char *key = key_fresh();
    struct parallel first = {ALICE, "POST", "/execute", body, key, {0}};
    struct reply r;
    pid_t child;

    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a client of its own, to be killed */
        struct pending *p;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (p = pending_start(&first);;)
            pending_poll(p);
    }
    wait_until(workspace_has, begun, PATIENCE_SECONDS, "the command to run");
    signal_nginx("STOP");
    assert_int_equal(
        host_shell("for d in $(find \"$SANDBOX_STATE/workspaces\" -name lost-begun); do"
                   " : >\"${d%%/*}/lost-off\"; done"),
        0);
    wait_until(is_answered, header_key(key), PATIENCE_SECONDS, "the answer to be on its way");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    signal_nginx("CONT");
    r = insist(key, command);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "completed");
    assert_string_equal(text_at(&r, "stdout"), "done\n");
    assert_int_equal(lines_of("lost"), 1);
    reply_done(&r);
}

int
suite_idempotency(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_execution_runs_once_and_answers_twice),
        cmocka_unit_test(large_output_is_answered_again_whole),
        cmocka_unit_test(exec_in_a_container_runs_once),
        cmocka_unit_test(another_body_path_or_query_is_a_conflict),
        cmocka_unit_test(two_users_with_one_key_do_not_meet),
        cmocka_unit_test(a_malformed_key_is_refused),
        cmocka_unit_test(a_container_is_made_once_and_answered_as_made),
        cmocka_unit_test(after_an_error_the_key_is_free),
        cmocka_unit_test(requests_at_one_time_run_once),
        cmocka_unit_test(one_that_runs_for_long_is_told_to_come_again),
        cmocka_unit_test(a_client_that_hangs_up_is_told_how_it_ended),
        cmocka_unit_test(an_answer_that_got_lost_is_given_again),
        cmocka_unit_test(a_worker_killed_during_the_command_leaves_it_interrupted),
        cmocka_unit_test(a_worker_killed_after_the_command_does_not_run_it_again),
        cmocka_unit_test(a_worker_killed_before_it_answers_has_the_answer_built_again),
    };

    return cmocka_run_group_tests_name("idempotency", tests, NULL, remove_containers);
}
