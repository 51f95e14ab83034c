/*
 * Quotas: they hold exactly, however many ask at one time, whichever worker they reach, and after
 * crashes; and a refusal names the key that says so.
 */
#include "tests/test.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/store/store.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/rules.h"
#include "tests/api/said.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { MANY = 50, MOST = 10, WORKERS = 2, ROUNDS = 20, PATIENCE_SECONDS = 90 };

/* A command that runs until the file `go` is in its workspace. */
#define UNTIL_GO "while [ ! -e go ]; do sleep 0.2; done"

/* Fail the test unless @r is refused with @code, by the key @key of access.yaml, which is @most. */
static void
assert_refused(const struct reply *r, const char *code, const char *key, long long most)
{
    char rule[160], said[160];
    const char *detail = text_at(r, "detail"), *end = strstr(detail, ", and ");

    assert_problem(r, 429, code);
    assert_non_null(end);
    snprintf(rule, sizeof(rule), "access.yaml: %s is %lld", key, most);
    snprintf(said, sizeof(said), "%.*s", (int)(end - detail), detail);
    assert_said(said, rule);
}

/* What GET whoami says that @user has used of the quota @name. */
static long long
used(const char *user, const char *name)
{
    struct reply r = fetch(user, "/whoami");
    char path[96];
    long long n;

    snprintf(path, sizeof(path), "quotas.%s.used", name);
    n = int_at(&r, path);
    reply_done(&r);
    return n;
}

static bool
none_runs(void *arg)
{
    return used(arg, "concurrent_executions") == 0;
}

static bool
two_run(void *arg)
{
    return used(arg, "concurrent_executions") == 2;
}

static void
kill_workers(void)
{
    struct pids workers = host_role("worker");

    assert_int_equal(workers.count, WORKERS);
    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], SIGKILL), 0);
    for (size_t i = 0; i < workers.count; i++)
        host_wait_role("worker", WORKERS, workers.list[i]);
    wait_until(host_answers, NULL, PATIENCE_SECONDS, "the service to answer");
}

/* Which workers run executions of bob's now, each once. Returns how many executions. */
static size_t
running(uint64_t workers[WORKERS], size_t *ret_workers)
{
    const struct audit_filter filter = {.owner = BOB, .status = AUDIT_RUNNING, .limit = MANY};
    _cleanup_(store_freep) struct store *store = NULL;
    struct audit_entry *list = NULL;
    char path[PATH_MAX];
    size_t count = 0, n = 0;

    assert_int_equal(store_open_reading(host_path("sandbox.db", path), &store, NULL), 0);
    assert_int_equal(store_audit_list(store, &filter, &list, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;

        while (k < n && workers[k] != list[i].worker)
            k++;
        if (k == n && n < WORKERS)
            workers[n++] = list[i].worker;
    }
    store_audit_list_free(list, count);
    *ret_workers = n;
    return count;
}

struct crowd {
    struct flight *flights[MANY];
};

static bool
all_others_are_answered(void *arg)
{
    const struct crowd *c = arg;
    size_t over = 0;

    for (size_t i = 0; i < MANY; i++)
        over += flight_is_over(c->flights[i]);
    return over >= MANY - MOST;
}

/* Have @id run as much as it may, let it go, and count who ran. Returns by how many workers. */
static size_t
try_many(const char *id)
{
    uint64_t workers[WORKERS];
    struct crowd crowd;
    char path[96];
    size_t spread = 0, ran = 0;

    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    host_shell("rm -f \"$SANDBOX_STATE/workspaces/bob/many/go\"");
    for (size_t i = 0; i < MANY; i++)
        crowd.flights[i] = flight_post(BOB, path, "{s:s}", "command", UNTIL_GO);
    wait_until(all_others_are_answered, &crowd, PATIENCE_SECONDS, "all but ten to be refused");
    assert_int_equal(running(workers, &spread), MOST);
    host_write("workspaces/bob/many/go", "");
    for (size_t i = 0; i < MANY; i++) {
        struct reply r = flight_land(crowd.flights[i]);

        ran += r.status == 200;
        if (r.status != 200) {
            assert_refused(&r, "quota_exceeded", "users.bob.quotas.concurrent_executions", MOST);
            assert_string_equal(r.retry_after, "1");
        }
        reply_done(&r);
    }
    assert_int_equal(ran, MOST);
    return spread;
}

/* Fifty at one time over both workers: ten run, whichever worker has them. */
static void
of_fifty_at_once_ten_run(void **state)
{
    size_t spread = 0;
    char id[STEP_ID_SIZE];

    (void)state;
    host_wait_role("worker", WORKERS, 0); /* another test may have killed one */
    rules_are("  bob: {role: user, quotas: {concurrent_executions: 10}}\n");
    make_container(BOB, "{\"agent_id\": \"many\", \"session_id\": \"s\"}", id);
    for (int round = 0; round < ROUNDS && spread < WORKERS; round++)
        spread = try_many(id);
    assert_int_equal(spread, WORKERS);
    assert_int_equal(used(BOB, "concurrent_executions"), 0);
}

/* Send many executions of @user at one time. Returns how many ran; the key @key refuses the others.
 */
static size_t
run_many(const char *user, const char *key)
{
    struct parallel calls[MANY];
    size_t ran = 0;

    for (size_t i = 0; i < MANY; i++)
        calls[i] = (struct parallel){
            .user = user,
            .method = "POST",
            .path = "/execute",
            .body = "{\"agent_id\": \"many\", \"session_id\": \"s\", \"command\": \"true\"}"};
    call_parallel(calls, MANY);
    for (size_t i = 0; i < MANY; i++) {
        ran += calls[i].reply.status == 200;
        if (calls[i].reply.status != 200) {
            assert_int_equal(calls[i].reply.status, 429);
            assert_string_equal(text_at(&calls[i].reply, "code"), "rate_limited");
            assert_non_null(strstr(text_at(&calls[i].reply, "detail"), key));
        }
        reply_done(&calls[i].reply);
    }
    return ran;
}

static struct reply
try_one(const char *user)
{
    return execute(user, "{s:s, s:s, s:s}", "agent_id", "many", "session_id", "s", "command",
                   "true");
}

static void
ten_begin_in_a_minute(void **state)
{
    struct reply r;

    (void)state;
    rules_are("  alice: {role: user, quotas: {executions_per_minute: 10}}\n");
    assert_int_equal(run_many(ALICE, "users.alice.quotas.executions_per_minute"), MOST);
    r = try_one(ALICE);
    assert_refused(&r, "rate_limited", "users.alice.quotas.executions_per_minute", MOST);
    assert_in_range(atoi(r.retry_after), 1, 60);
    reply_done(&r);
}

/* And neither the death of both workers nor that of everything gives any of the day back. */
static void
ten_begin_in_a_day_also_after_crashes(void **state)
{
    long long most = used(ALICE, "executions_per_day") + MOST;
    struct reply r, explained;

    (void)state;
    rules_are("  alice: {role: user, quotas: {executions_per_day: %lld}}\n", most);
    assert_int_equal(run_many(ALICE, "users.alice.quotas.executions_per_day"), MOST);
    kill_workers();
    r = try_one(ALICE);
    assert_refused(&r, "rate_limited", "users.alice.quotas.executions_per_day", most);
    assert_in_range(atoi(r.retry_after), 1, 86400);
    reply_done(&r);
    host_kill_service();
    wait_until(host_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    r = try_one(ALICE);
    assert_refused(&r, "rate_limited", "users.alice.quotas.executions_per_day", most);
    explained =
        call(ALICE, "POST", "/explain",
             "{\"agent_id\": \"many\", \"session_id\": \"s\", \"command\": \"true\"}", NULL);
    assert_status(&explained, 200);
    assert_false(bool_at(&explained, "allowed"));
    assert_string_equal(text_at(&explained, "code"), "rate_limited");
    assert_string_equal(text_at(&explained, "detail"), text_at(&r, "detail"));
    reply_done(&explained);
    reply_done(&r);
    assert_int_equal(used(ALICE, "executions_per_day"), most);
}

/* What a crash has ended does not count as running for ever. */
static void
what_a_crash_has_ended_makes_room(void **state)
{
    struct flight *flights[2];
    char path[96], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, quotas: {concurrent_executions: 2}}\n");
    make_container(BOB, "{\"agent_id\": \"crash\", \"session_id\": \"s\"}", id);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    for (size_t i = 0; i < ARRAY_LEN(flights); i++)
        flights[i] = flight_post(BOB, path, "{s:s}", "command", "sleep 600");
    wait_until(two_run, __extension__(void *)(uintptr_t) BOB, PATIENCE_SECONDS, "both to run");
    r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "crash", "session_id", "s", "command", "true");
    assert_refused(&r, "quota_exceeded", "users.bob.quotas.concurrent_executions", 2);
    reply_done(&r);
    kill_workers();
    for (size_t i = 0; i < ARRAY_LEN(flights); i++) {
        r = flight_land(flights[i]);
        assert_in_range(r.status, 500, 599);
        reply_done(&r);
    }
    host_nudge_janitor();
    wait_until(none_runs, __extension__(void *)(uintptr_t) BOB, PATIENCE_SECONDS,
               "what has died to be noted");
    r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "crash", "session_id", "s", "command", "true");
    assert_status(&r, 200);
    reply_done(&r);
}

static void
cpu_time_is_used_up(void **state)
{
    long long most = used(BOB, "cpu_seconds_per_day") + 1;
    struct reply r;
    int ran = 0;

    (void)state;
    rules_are("  bob: {role: user, quotas: {cpu_seconds_per_day: %lld}}\n", most);
    for (;; ran++) {
        r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "cpu", "session_id", "s", "command",
                    "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
        if (r.status != 200)
            break;
        reply_done(&r);
        assert_true(used(BOB, "cpu_seconds_per_day") < most || ran < 1000);
    }
    assert_refused(&r, "quota_exceeded", "users.bob.quotas.cpu_seconds_per_day", most);
    assert_in_range(atoi(r.retry_after), 1, 86400);
    reply_done(&r);
    assert_true(ran > 0);
    assert_true(used(BOB, "cpu_seconds_per_day") >= most);
}

static void
of_twelve_containers_three_are_made(void **state)
{
    enum { WANTED = 12, MADE = 3 };
    struct parallel calls[WANTED];
    char bodies[WANTED][64], id[STEP_ID_SIZE] = "";
    size_t made = 0;
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, quotas: {containers: 3}}\n");
    for (size_t i = 0; i < WANTED; i++) {
        snprintf(bodies[i], sizeof(bodies[i]), "{\"session_id\": \"s%zu\"}", i);
        calls[i] = (struct parallel){
            .user = BOB, .method = "POST", .path = "/containers", .body = bodies[i]};
    }
    call_parallel(calls, WANTED);
    for (size_t i = 0; i < WANTED; i++) {
        if (calls[i].reply.status == 201)
            snprintf(id, sizeof(id), "%s", text_at(&calls[i].reply, "id"));
        else
            assert_int_equal(calls[i].reply.status, 429);
        made += calls[i].reply.status == 201;
        reply_done(&calls[i].reply);
    }
    assert_int_equal(made, MADE);
    r = execute(BOB, "{s:s}", "command", "true"); /* a one-shot is a container, too */
    assert_refused(&r, "quota_exceeded", "users.bob.quotas.containers", MADE);
    assert_string_equal(r.retry_after, "");
    reply_done(&r);
    r = act(BOB, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    r = execute(BOB, "{s:s}", "command", "true");
    assert_status(&r, 200);
    reply_done(&r);
}

static struct reply
take_snapshot(const char *id)
{
    char path[96];

    snprintf(path, sizeof(path), "/containers/%s/snapshots", id);
    return call(BOB, "POST", path, "{}", NULL);
}

static void
snapshots_are_counted_over_containers(void **state)
{
    char first[STEP_ID_SIZE], second[STEP_ID_SIZE], snapshot[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    rules_are("  bob: {role: user, quotas: {snapshots: 2}}\n");
    make_container(BOB, "{\"session_id\": \"s1\"}", first);
    make_container(BOB, "{\"session_id\": \"s2\"}", second);
    r = take_snapshot(first);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = take_snapshot(second);
    assert_status(&r, 201);
    reply_done(&r);
    r = take_snapshot(second);
    assert_refused(&r, "quota_exceeded", "users.bob.quotas.snapshots", 2);
    reply_done(&r);
    r = act(BOB, "DELETE", "/containers/%s/snapshots/%s", first, snapshot);
    assert_status(&r, 204);
    reply_done(&r);
    r = take_snapshot(second);
    assert_status(&r, 201);
    reply_done(&r);
}

static bool
disk_is_refused(void *arg)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "disk", "session_id",
                             (const char *)arg, "command", "true");
    bool refused = r.status == 429;

    if (refused)
        assert_refused(&r, "quota_exceeded", "users.alice.quotas.disk_mb", 8);
    reply_done(&r);
    return refused;
}

/* Two containers that are within their own limits, and together over their owner's quota. */
static void
disk_is_of_all_containers_together(void **state)
{
    static char one[] = "one", two[] = "two";
    struct reply r;

    (void)state;
    rules_are("  alice: {role: user, quotas: {disk_mb: 8}}\n");
    run_in(ALICE, "disk", one, "head -c 6000000 /dev/zero >\"$HOME\"/file");
    run_in(ALICE, "disk", two, "head -c 6000000 /dev/zero >\"$HOME\"/file");
    wait_until(disk_is_refused, one, PATIENCE_SECONDS, "the disk to be measured");
    assert_true(disk_is_refused(two));
    r = fetch(ALICE, "/containers?agent_id=disk");
    for (size_t i = 0; i < json_array_size(at(&r, "containers")); i++) {
        const json_t *c = json_array_get(at(&r, "containers"), i);
        struct reply gone =
            act(ALICE, "DELETE", "/containers/%s", json_string_value(json_object_get(c, "id")));

        assert_status(&gone, 204);
        reply_done(&gone);
    }
    reply_done(&r);
    assert_false(disk_is_refused(one));
}

int
suite_quotas(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(of_fifty_at_once_ten_run, remove_containers),
        cmocka_unit_test_teardown(ten_begin_in_a_minute, remove_containers),
        cmocka_unit_test_teardown(ten_begin_in_a_day_also_after_crashes, remove_containers),
        cmocka_unit_test_teardown(what_a_crash_has_ended_makes_room, remove_containers),
        cmocka_unit_test_teardown(cpu_time_is_used_up, remove_containers),
        cmocka_unit_test_teardown(of_twelve_containers_three_are_made, remove_containers),
        cmocka_unit_test_teardown(snapshots_are_counted_over_containers, remove_containers),
        cmocka_unit_test_teardown(disk_is_of_all_containers_together, remove_containers),
    };

    return cmocka_run_group_tests_name("api: quotas", tests, rules_keep, rules_restore);
}
