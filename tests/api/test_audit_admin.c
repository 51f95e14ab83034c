/* The audit log as a whole: figures, cleanups, and the command that verifies it. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

/* POST audit/cleanup; it has to succeed. Returns `deleted`. */
static long long
clean(const char *body)
{
    struct reply r = call(ADMIN, "POST", "/audit/cleanup", body, NULL);
    long long deleted;

    assert_status(&r, 200);
    assert_members(r.json, "deleted freed_mb");
    assert_true(number_at(&r, "freed_mb") >= 0);
    deleted = int_at(&r, "deleted");
    reply_done(&r);
    return deleted;
}

/* Fail unless the command says that the chain is whole. */
static void
assert_chain_whole(void)
{
    assert_int_equal(host_shell("\"$SANDBOXD\" audit verify --state \"$SANDBOX_STATE\" >"
                                "\"$SANDBOX_STATE\"/verified && grep -q ': ok$' "
                                "\"$SANDBOX_STATE\"/verified"),
                     0);
}

static void
the_summary_is_of_what_was_run(void **state)
{
    struct reply r, s;
    char today[32];
    time_t now;

    (void)state;
    clean("{\"older_than_days\": 0}");
    r = fetch(ADMIN, "/audit/summary");
    assert_members(r.json, "total by_status by_tier by_agent by_day cpu_ms duration_ms");
    assert_int_equal(int_at(&r, "total"), 0);
    assert_int_equal(json_object_size(at(&r, "by_status")), 0);
    assert_true(null_at(&r, "duration_ms.p50"));
    assert_true(null_at(&r, "duration_ms.p95"));
    assert_true(null_at(&r, "duration_ms.max"));
    reply_done(&r);

    run_in(ALICE, "sum-a", "s", "true");
    run_in(ALICE, "sum-a", "s", "sleep 1");
    run_in(BOB, "sum-b", "s", "true");
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "sum-b", "tier", "elevated", "command",
                "false");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "sum-b", "tier", "Unrestricted", "command",
                "true");
    assert_status(&r, 403);
    reply_done(&r);

    s = fetch(ADMIN, "/audit/summary");
    assert_int_equal(int_at(&s, "total"), 5);
    assert_int_equal(int_at(&s, "by_status.completed"), 3);
    assert_int_equal(int_at(&s, "by_status.failed"), 1);
    assert_int_equal(int_at(&s, "by_status.refused"), 1);
    assert_int_equal(int_at(&s, "by_tier.none"), 2);
    assert_int_equal(int_at(&s, "by_tier.Sandbox"), 1);
    assert_int_equal(int_at(&s, "by_tier.Elevated"), 1);
    assert_int_equal(int_at(&s, "by_agent.sum-a"), 2);
    assert_int_equal(int_at(&s, "by_agent.sum-b"), 3);
    now = time(NULL);
    strftime(today, sizeof(today), "by_day.%Y-%m-%d", gmtime(&now)); /* NOLINT: one thread */
    assert_int_equal(int_at(&s, today), 5);
    assert_true(int_at(&s, "cpu_ms") >= 0);
    r = fetch(ALICE, "/audit?agent_id=sum-a&limit=1");
    assert_int_equal(int_at(&s, "duration_ms.max"), int_at(&r, "entries.0.duration_ms"));
    assert_int_equal(int_at(&s, "duration_ms.p95"), int_at(&s, "duration_ms.max"));
    assert_true(int_at(&s, "duration_ms.p50") < int_at(&s, "duration_ms.max"));
    reply_done(&r);
    reply_done(&s);
}

static void
a_summary_covers_what_the_caller_may_see(void **state)
{
    static const struct {
        const char *user, *query;
        long long total;
    } cases[] = {
        {ADMIN, "", 3},
        {ADMIN, "?owner=alice", 2},
        {ADMIN, "?owner=bob", 1},
        {ADMIN, "?owner=nobody", 0},
        {ALICE, "", 2},
        {ALICE, "?owner=alice", 2},
        {ALICE, "?owner=bob", 0},
        {BOB, "", 1},
        {VIEWER, "", 0},
        {ADMIN, "?since=2020-01-01T00:00:00Z", 3},
        {ADMIN, "?since=2199-01-01T00:00:00Z", 0},
        {ADMIN, "?until=2020-01-01T00:00:00Z", 0},
        {ALICE, "?since=2020-01-01T00:00:00Z&until=2199-01-01T00:00:00Z", 2},
    };

    (void)state;
    clean("{\"older_than_days\": 0}");
    run_in(ALICE, "seen", "s", "true");
    run_in(ALICE, "seen", "s", "true");
    run_in(BOB, "seen", "s", "true");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = fetch(cases[i].user, "/audit/summary%s", cases[i].query);

        if (int_at(&r, "total") != cases[i].total)
            fail_msg("%s %s: %s", cases[i].user, cases[i].query, r.body);
        reply_done(&r);
    }
}

static void
a_bad_summary_query_is_refused(void **state)
{
    static const char *const queries[] = {"since=yesterday", "until=",  "agent_id=a",
                                          "owner=",          "limit=1", "since=1700000000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct reply r = act(ALICE, "GET", "/audit/summary?%s", queries[i]);

        assert_problem(&r, 400, "bad_query");
        reply_done(&r);
    }
}

static void
a_bad_cleanup_is_refused_and_removes_nothing(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{}", "/older_than_days"},
        {"{\"older_than_days\": 1, \"before\": \"2020-01-01T00:00:00Z\"}", "/before"},
        {"{\"older_than_days\": -1}", "/older_than_days"},
        {"{\"older_than_days\": 36501}", "/older_than_days"},
        {"{\"older_than_days\": 99999999999999}", "/older_than_days"},
        {"{\"older_than_days\": 1.5}", "/older_than_days"},
        {"{\"older_than_days\": \"1\"}", "/older_than_days"},
        {"{\"older_than_days\": null}", "/older_than_days"},
        {"{\"before\": 1700000000}", "/before"},
        {"{\"before\": \"yesterday\"}", "/before"},
        {"{\"before\": \"\"}", "/before"},
        {"{\"before\": \"2199-01-01T00:00:00Z\"}", "/before"},
        {"{\"older_than\": 1}", "/older_than"},
    };
    struct reply before, after;

    (void)state;
    run_in(ALICE, "kept", "s", "true");
    before = fetch(ADMIN, "/audit/summary");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ADMIN, "POST", "/audit/cleanup", cases[i].body, NULL);

        print_message("%s\n", cases[i].body);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    after = fetch(ADMIN, "/audit/summary");
    assert_int_equal(int_at(&before, "total"), int_at(&after, "total"));
    reply_done(&before);
    reply_done(&after);
}

static void
only_an_admin_cleans(void **state)
{
    static const char *const users[] = {ALICE, VIEWER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        struct reply r = call(users[i], "POST", "/audit/cleanup", "{\"older_than_days\": 0}", NULL);

        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
    }
}

static void
a_cleanup_removes_entries_output_and_is_noted(void **state)
{
    struct reply r, old;
    char id[STEP_ID_SIZE];
    long long deleted;

    (void)state;
    run_in(ALICE, "gone", "s", "head -c 900000 /dev/urandom | base64 -w0");
    old = fetch(ALICE, "/audit?agent_id=gone&limit=1");
    snprintf(id, sizeof(id), "%s", text_at(&old, "entries.0.id"));
    reply_done(&old);
    assert_int_equal(clean("{\"before\": \"2020-01-01T00:00:00Z\"}"), 0);
    assert_int_equal(clean("{\"older_than_days\": 1}"), 0);
    r = call(ADMIN, "POST", "/audit/cleanup", "{\"older_than_days\": 0}", NULL);
    assert_status(&r, 200);
    deleted = int_at(&r, "deleted");
    assert_true(deleted >= 1);
    assert_true(number_at(&r, "freed_mb") >= 0.8);
    reply_done(&r);
    r = act(ALICE, "GET", "/audit/%s", id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ALICE, "GET", "/audit/%s/output", id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = fetch(ADMIN, "/audit?kind=change");
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.owner"), ADMIN);
    assert_string_equal(text_at(&r, "entries.0.command"), "POST /audit/cleanup");
    assert_int_equal(int_at(&r, "entries.0.after.removed"), deleted);
    assert_int_equal(int_at(&r, "entries.0.after.gaps"), 1);
    reply_done(&r);
    assert_chain_whole();
}

static bool
is_running(void *arg)
{
    struct reply r = fetch(ALICE, "/audit?agent_id=lasts&status=running");
    bool running = json_array_size(at(&r, "entries")) == 1;

    (void)arg;
    reply_done(&r);
    return running;
}

static void
what_runs_stays_and_ends_well(void **state)
{
    struct flight *f;
    struct reply r, e;

    (void)state;
    run_in(ALICE, "lasts", "other", "rm -f go");
    f = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "lasts", "session_id", "s",
                    "command", "until [ -e go ]; do sleep 0.1; done; echo done");
    wait_until(is_running, NULL, 60, "a running entry");
    clean("{\"older_than_days\": 0}");
    assert_true(is_running(NULL));
    run_in(ALICE, "lasts", "other", "touch go");
    r = flight_land(f);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "done\n");
    e = fetch(ALICE, "/audit/%s", text_at(&r, "id"));
    assert_string_equal(text_at(&e, "status"), "completed");
    reply_done(&e);
    reply_done(&r);
    assert_chain_whole();
}

static void
executions_go_on_beside_a_cleanup(void **state)
{
    enum { WRITERS = 4, ROUNDS = 3 };
    struct reply s;

    (void)state;
    for (int i = 0; i < WRITERS; i++)
        run_in(ALICE, "beside", "s", "true");
    for (int round = 0; round < ROUNDS; round++) {
        struct flight *flights[WRITERS];

        for (size_t i = 0; i < WRITERS; i++)
            flights[i] = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "beside",
                                     "session_id", "s", "command", "echo x");
        clean("{\"older_than_days\": 0}");
        for (size_t i = 0; i < WRITERS; i++) {
            struct reply r = flight_land(flights[i]);

            assert_status(&r, 200);
            assert_string_equal(text_at(&r, "stdout"), "x\n");
            reply_done(&r);
        }
        assert_chain_whole();
    }
    clean("{\"older_than_days\": 0}");
    s = fetch(ADMIN, "/audit/summary");
    assert_int_equal(int_at(&s, "total"), 0);
    reply_done(&s);
}

static void
verify_tells_what_is_broken(void **state)
{
    static const char verify[] = "\"$SANDBOXD\" audit verify --state \"$SANDBOX_STATE\"/broken";

    (void)state;
    run_in(ALICE, "verified", "s", "echo true");
    assert_int_equal(host_shell("mkdir \"$SANDBOX_STATE\"/broken && cd \"$SANDBOX_STATE\" && "
                                "cp sandbox.db sandbox.db-wal broken/"),
                     0);
    assert_int_equal(host_shell("%s | grep -q ': ok$'", verify), 0);
    assert_int_equal(host_shell("python3 -c \"import sqlite3, os; "
                                "db = sqlite3.connect(os.environ['SANDBOX_STATE'] + "
                                "'/broken/sandbox.db'); "
                                "db.execute('UPDATE audit SET command = 1 WHERE chain = "
                                "(SELECT MAX(chain) FROM audit)'); db.commit()\""),
                     0);
    assert_int_equal(host_shell("%s >\"$SANDBOX_STATE\"/verified", verify), 1);
    assert_int_equal(host_shell("grep -q '^position [0-9]*: entry exec_[0-9a-f]* was changed' "
                                "\"$SANDBOX_STATE\"/verified"),
                     0);
    assert_int_equal(host_shell("rm -r \"$SANDBOX_STATE\"/broken"), 0);
}

static void
the_command_refuses_what_it_does_not_know(void **state)
{
    static const struct {
        const char *arguments;
        int status;
    } cases[] = {
        {"", 2},
        {"verify", 2},
        {"forge --state .", 2},
        {"verify --state", 2},
        {"verify --state . more", 2},
        {"verify --state . --since 2020-01-01T00:00:00Z", 2},
        {"export --state . --since yesterday", 2},
        {"export --state . --until 1", 2},
        {"export --nope", 2},
        {"verify --state /no/such/directory", 1},
        {"export --state /no/such/directory", 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].arguments);
        assert_int_equal(host_shell("\"$SANDBOXD\" audit %s 2>/dev/null", cases[i].arguments),
                         cases[i].status);
    }
}

int
suite_audit_admin(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_summary_is_of_what_was_run, remove_containers),
        cmocka_unit_test_teardown(a_summary_covers_what_the_caller_may_see, remove_containers),
        cmocka_unit_test(a_bad_summary_query_is_refused),
        cmocka_unit_test_teardown(a_bad_cleanup_is_refused_and_removes_nothing, remove_containers),
        cmocka_unit_test(only_an_admin_cleans),
        cmocka_unit_test_teardown(a_cleanup_removes_entries_output_and_is_noted, remove_containers),
        cmocka_unit_test_teardown(what_runs_stays_and_ends_well, remove_containers),
        cmocka_unit_test_teardown(executions_go_on_beside_a_cleanup, remove_containers),
        cmocka_unit_test_teardown(verify_tells_what_is_broken, remove_containers),
        cmocka_unit_test(the_command_refuses_what_it_does_not_know),
    };

    return cmocka_run_group_tests_name("api: audit admin", tests, NULL, NULL);
}
