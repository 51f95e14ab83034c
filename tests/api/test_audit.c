/* The resource audit. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

/* The newest entry of @agent, which has to be there. The caller frees it. */
static struct reply
newest_of(const char *user, const char *agent)
{
    struct reply list = fetch(user, "/audit?agent_id=%s&limit=1", agent);
    struct reply entry = fetch(user, "/audit/%s", text_at(&list, "entries.0.id"));

    assert_true(json_equal(at(&list, "entries.0"), entry.json));
    reply_done(&list);
    return entry;
}

static void
assert_hash(const char *hash)
{
    assert_int_equal(strlen(hash), 64);
    assert_int_equal(strspn(hash, "0123456789abcdef"), 64);
}

static void
an_execution_leaves_an_entry_with_every_field(void **state)
{
    struct reply r = call(ALICE, "POST", "/execute",
                          "{\"agent_id\": \"entry\", \"session_id\": \"s\", \"tier\": \"sandbox\","
                          " \"command\": \"echo out; echo error >&2; exit 4\"}",
                          "X-Request-Id: audit-entry.1", NULL);
    struct reply e;

    (void)state;
    assert_status(&r, 200);
    e = fetch(ALICE, "/audit/%s", text_at(&r, "id"));
    assert_members(e.json, "id kind owner agent_id session_id container_id tier template command "
                           "status started_at finished_at duration_ms exit_code signal "
                           "stdout_bytes stderr_bytes request_id hash");
    assert_string_equal(text_at(&e, "id"), text_at(&r, "id"));
    assert_string_equal(text_at(&e, "kind"), "execution");
    assert_string_equal(text_at(&e, "owner"), ALICE);
    assert_string_equal(text_at(&e, "agent_id"), "entry");
    assert_string_equal(text_at(&e, "session_id"), "s");
    assert_string_equal(text_at(&e, "container_id"), text_at(&r, "container_id"));
    assert_string_equal(text_at(&e, "tier"), "Sandbox");
    assert_string_equal(text_at(&e, "template"), "base");
    assert_string_equal(text_at(&e, "command"), "echo out; echo error >&2; exit 4");
    assert_string_equal(text_at(&e, "status"), "failed");
    assert_string_equal(text_at(&e, "started_at"), text_at(&r, "started_at"));
    assert_time(text_at(&e, "finished_at"));
    assert_int_equal(int_at(&e, "duration_ms"), int_at(&r, "duration_ms"));
    assert_int_equal(int_at(&e, "exit_code"), 4);
    assert_true(null_at(&e, "signal"));
    assert_int_equal(int_at(&e, "stdout_bytes"), 4);
    assert_int_equal(int_at(&e, "stderr_bytes"), 6);
    assert_string_equal(text_at(&e, "request_id"), "audit-entry.1");
    assert_hash(text_at(&e, "hash"));
    reply_done(&e);
    reply_done(&r);
}

static void
a_status_says_how_it_ended(void **state)
{
    static const struct {
        const char *body, *status;
    } cases[] = {
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"command\": \"true\"}", "completed"},
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"command\": \"false\"}", "failed"},
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"command\": \"kill -9 $$\"}", "failed"},
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"command\": \"sleep 99\","
         " \"timeout_seconds\": 1}",
         "timed_out"},
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"argv\": [\"no-such-program\"]}",
         "failed"},
        {"{\"agent_id\": \"ends\", \"session_id\": \"s\", \"command\": \"true\","
         " \"tier\": \"Unrestricted\"}",
         "refused"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ALICE, "POST", "/execute", cases[i].body, NULL);
        struct reply e = newest_of(ALICE, "ends");

        if (strcmp(text_at(&e, "status"), cases[i].status) != 0)
            fail_msg("%s left %s", cases[i].body, e.body);
        assert_string_equal(text_at(&e, "request_id"), r.request_id);
        assert_hash(text_at(&e, "hash"));
        reply_done(&e);
        reply_done(&r);
    }
}

static void
argv_is_shown_as_an_array(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:[s, s, s]}", "agent_id", "argv", "argv", "echo", "a b", "\"");
    struct reply e = newest_of(ALICE, "argv");
    json_auto_t *command = json_loads(text_at(&e, "command"), 0, NULL);

    (void)state;
    assert_status(&r, 200);
    assert_int_equal(json_array_size(command), 3);
    assert_string_equal(json_string_value(json_array_get(command, 1)), "a b");
    assert_string_equal(json_string_value(json_array_get(command, 2)), "\"");
    assert_true(null_at(&e, "session_id"));
    assert_true(null_at(&e, "tier"));
    reply_done(&e);
    reply_done(&r);
}

/* What a search for a running entry needs. */
struct search {
    struct pending *pending;
    char id[STEP_ID_SIZE];
};

static bool
found_running(void *arg)
{
    struct search *s = arg;
    struct reply list = fetch(ALICE, "/audit?agent_id=lasting&status=running");
    bool found = json_array_size(at(&list, "entries")) == 1;

    pending_poll(s->pending);
    if (found)
        snprintf(s->id, sizeof(s->id), "%s", text_at(&list, "entries.0.id"));
    reply_done(&list);
    return found;
}

static void
an_entry_is_there_while_the_command_runs(void **state)
{
    struct parallel call = {
        .user = ALICE,
        .method = "POST",
        .path = "/execute",
        .body = "{\"agent_id\": \"lasting\", \"session_id\": \"s\", \"command\":"
                " \"until [ -e go ]; do sleep 0.1; done; rm go\"}",
    };
    struct search s = {0};
    struct reply e;

    (void)state;
    run_in(ALICE, "lasting", "other", "rm -f go");
    s.pending = pending_start(&call);
    wait_until(found_running, &s, 60, "a running entry");
    e = fetch(ALICE, "/audit/%s", s.id);
    assert_true(null_at(&e, "finished_at"));
    assert_true(null_at(&e, "duration_ms"));
    assert_true(null_at(&e, "exit_code"));
    assert_true(null_at(&e, "hash"));
    reply_done(&e);
    e = fetch(ALICE, "/audit/%s/output", s.id);
    assert_int_equal(int_at(&e, "stdout_bytes"), 0);
    reply_done(&e);
    run_in(ALICE, "lasting", "other", "touch go");
    pending_finish(s.pending);
    assert_string_equal(text_at(&call.reply, "id"), s.id);
    reply_done(&call.reply);
    e = fetch(ALICE, "/audit/%s", s.id);
    assert_string_equal(text_at(&e, "status"), "completed");
    assert_hash(text_at(&e, "hash"));
    reply_done(&e);
}

static void
output_is_what_execute_returned(void **state)
{
    static const char *const bodies[] = {
        "{\"command\": \"true\"}",
        "{\"command\": \"echo out; echo error >&2\"}",
        "{\"command\": \"printf '\\\\377\\\\000'; echo text >&2\"}",
        "{\"command\": \"printf 0123456789; printf abcdefghij >&2\", \"max_output_bytes\": 4}",
        "{\"command\": \"head -c 2000000 /dev/zero | tr '\\\\0' x\"}",
        "{\"command\": \"echo begun; sleep 99\", \"timeout_seconds\": 1}",
    };
    static const char *const members[] = {
        "stdout",           "stderr",           "stdout_bytes", "stderr_bytes",
        "stdout_truncated", "stderr_truncated", "encoding",     "id"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply r = call(ALICE, "POST", "/execute", bodies[i], NULL), o;

        assert_status(&r, 200);
        o = fetch(ALICE, "/audit/%s/output", text_at(&r, "id"));
        assert_members(o.json, "id status stdout stderr stdout_bytes stderr_bytes stdout_truncated "
                               "stderr_truncated encoding stdout_from stdout_next stderr_from "
                               "stderr_next");
        for (size_t k = 0; k < ARRAY_LEN(members); k++)
            if (!json_equal(at(&r, members[k]), at(&o, members[k])))
                fail_msg("%s of %s differs", members[k], bodies[i]);
        reply_done(&o);
        reply_done(&r);
    }
}

static void
lists_can_be_narrowed(void **state)
{
    static const struct {
        const char *user, *query;
        size_t count;
    } cases[] = {
        {ALICE, "agent_id=narrowed", 4},
        {ALICE, "agent_id=narrowe", 0},
        {ALICE, "agent_id=narrowed&session_id=s1", 2},
        {ALICE, "agent_id=narrowed&session_id=s9", 0},
        {ALICE, "agent_id=narrowed&tier=sandbox", 1},
        {ALICE, "agent_id=narrowed&tier=Elevated", 0},
        {ALICE, "agent_id=narrowed&status=completed", 2},
        {ALICE, "agent_id=narrowed&status=failed", 2},
        {ALICE, "agent_id=narrowed&status=running", 0},
        {ALICE, "agent_id=narrowed&kind=execution", 4},
        {ALICE, "agent_id=narrowed&kind=change", 0},
        {ALICE, "agent_id=narrowed&kind=network", 0},
        {ALICE, "agent_id=narrowed&owner=alice", 4},
        {ALICE, "agent_id=narrowed&owner=bob", 0},
        {ALICE, "agent_id=narrowed&container_id=container_000000000000", 0},
        {ALICE, "agent_id=narrowed&since=2020-01-01T00:00:00Z", 4},
        {ALICE, "agent_id=narrowed&since=2020-01-01T00:00:00%2B02:00", 4},
        {ALICE, "agent_id=narrowed&until=2020-01-01T00:00:00Z", 0},
        {ALICE, "agent_id=narrowed&since=2199-01-01T00:00:00Z", 0},
        {ALICE, "agent_id=narrowed&until=2199-01-01T00:00:00Z", 4},
        {ALICE, "agent_id=narrowed&since=2020-01-01T00:00:00Z&until=2199-01-01T00:00:00Z", 4},
        {BOB, "agent_id=narrowed", 1},
        {BOB, "agent_id=narrowed&owner=alice", 0},
        {VIEWER, "agent_id=narrowed", 0},
        {ADMIN, "agent_id=narrowed", 5},
        {ADMIN, "agent_id=narrowed&owner=alice", 4},
        {ADMIN, "agent_id=narrowed&owner=bob", 1},
    };
    struct reply r, same;

    (void)state;
    run_in(ALICE, "narrowed", "s1", "true");
    run_in(ALICE, "narrowed", "s1", "true");
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "narrowed", "session_id", "s2", "command",
                "false");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "narrowed", "tier", "Sandbox", "command",
                "false");
    reply_done(&r);
    run_in(BOB, "narrowed", "s1", "true");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r = fetch(cases[i].user, "/audit?%s", cases[i].query);
        assert_members(r.json, "entries next_cursor");
        if (json_array_size(at(&r, "entries")) != cases[i].count)
            fail_msg("%s %s: %s", cases[i].user, cases[i].query, r.body);
        reply_done(&r);
    }
    r = fetch(ALICE, "/audit?agent_id=narrowed&session_id=s1");
    assert_string_equal(text_at(&r, "entries.0.container_id"),
                        text_at(&r, "entries.1.container_id"));
    run_in(ALICE, "narrowed", "s1", "true");
    same = fetch(ALICE, "/audit?container_id=%s", text_at(&r, "entries.0.container_id"));
    assert_int_equal(json_array_size(at(&same, "entries")), 3);
    reply_done(&same);
    reply_done(&r);
}

static void
since_includes_and_until_excludes_its_second(void **state)
{
    struct reply e, r;
    char at_second[32];

    (void)state;
    run_in(ALICE, "second", "s", "true");
    e = newest_of(ALICE, "second");
    snprintf(at_second, sizeof(at_second), "%s", text_at(&e, "started_at"));
    r = fetch(ALICE, "/audit?agent_id=second&since=%s", at_second);
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    reply_done(&r);
    r = fetch(ALICE, "/audit?agent_id=second&until=%s", at_second);
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
    reply_done(&e);
}

static void
a_bad_query_is_refused(void **state)
{
    static const char *const queries[] = {
        "kind=everything",
        "status=done",
        "status=",
        "since=yesterday",
        "since=",
        "until=2026-13-01T00:00:00Z",
        "since=2026-01-01",
        "since=1700000000",
        "until=2026-01-01T00:00:00",
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1.5",
        "limit=1&limit=2",
        "cursor=",
        "cursor=zz",
        "cursor=-1",
        "cursor=0",
        "cursor=ffffffffffffffffff",
        "agent_id=../x",
        "agent_id=",
        "agent=x",
        "agent_id=%zz",
        "agent_id=%00",
        "agent_id=%ff",
        "=x",
        "x",
        "agent_id=a&&&nope=1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct reply r = act(ALICE, "GET", "/audit?%s", queries[i]);

        if (r.status != 400)
            fail_msg("%s gave %ld", queries[i], r.status);
        assert_problem(&r, 400, "bad_query");
        reply_done(&r);
    }
}

enum { PAGED = 5 };

static void
pages_show_everything_once_newest_first(void **state)
{
    json_auto_t *seen = json_array();
    char cursor[80] = "";
    struct reply all;

    (void)state;
    for (int i = 0; i < PAGED; i++)
        run_in(ALICE, "paged", "s", "true");
    all = fetch(ALICE, "/audit?agent_id=paged");
    assert_int_equal(json_array_size(at(&all, "entries")), PAGED);
    do {
        struct reply page = fetch(ALICE, "/audit?agent_id=paged&limit=2%s", cursor);
        json_t *next = at(&page, "next_cursor");

        json_array_extend(seen, at(&page, "entries"));
        cursor[0] = '\0';
        if (!json_is_null(next))
            snprintf(cursor, sizeof(cursor), "&cursor=%s", json_string_value(next));
        reply_done(&page);
        /* One that comes in between shifts nothing. */
        run_in(ALICE, "paged", "s", "true");
    } while (cursor[0]);
    assert_true(json_equal(seen, at(&all, "entries")));
    reply_done(&all);
}

static void
hashes_form_a_chain_without_repeats(void **state)
{
    struct reply r;

    (void)state;
    for (int i = 0; i < 3; i++)
        run_in(ALICE, "chain", "s", "true");
    r = fetch(ALICE, "/audit?agent_id=chain");
    assert_string_not_equal(text_at(&r, "entries.0.hash"), text_at(&r, "entries.1.hash"));
    assert_string_not_equal(text_at(&r, "entries.1.hash"), text_at(&r, "entries.2.hash"));
    reply_done(&r);
}

/* Whether the file @name of the state directory holds the bytes of @secret. */
static bool
holds(const char *name, const char *secret)
{
    char path[STEP_PATH_SIZE];
    char block[1 << 16];
    size_t kept = 0, n, len = strlen(secret);
    _cleanup_(fclosep) FILE *f = NULL;

    state_path(name, path);
    f = fopen(path, "re");
    assert_non_null(f);
    while ((n = fread(block + kept, 1, sizeof(block) - kept, f)) > 0) {
        if (memmem(block, kept + n, secret, len))
            return true;
        n += kept;
        kept = n < len ? n : len - 1; /* a secret may lie across two blocks */
        memmove(block, block + n - kept, kept);
    }
    return false;
}

static void
secrets_of_env_and_stdin_are_kept_nowhere(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "log/sandboxd.log",
                                        "log/nginx-access.log"};
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:{s:s}, s:s, s:s}", "agent_id", "secret", "session_id", "s",
                "env", "TOKEN", "env-secret-7fd0a1c9", "stdin", "stdin-secret-5be2c813", "command",
                "test $TOKEN && grep -c secret; : visible-word-90af");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "1\n");
    /* The search finds what is there. */
    assert_true(holds("sandbox.db", "visible-word-90af") ||
                holds("sandbox.db-wal", "visible-word-90af"));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_false(holds(files[i], "env-secret-7fd0a1c9"));
        assert_false(holds(files[i], "stdin-secret-5be2c813"));
    }
    reply_done(&r);
}

static void
others_entries_do_not_exist(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s}", "agent_id", "hers", "command", "echo private");
    static const char *const suffixes[] = {"", "/output"};
    static const char *const strangers[] = {BOB, VIEWER};

    (void)state;
    assert_status(&r, 200);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(strangers); k++) {
            struct reply foreign =
                act(strangers[k], "GET", "/audit/%s%s", text_at(&r, "id"), suffixes[i]);
            struct reply missing =
                act(strangers[k], "GET", "/audit/exec_0123456789abcdef%s", suffixes[i]);

            assert_problem(&foreign, 404, "not_found");
            assert_same_problem(&foreign, &missing);
            reply_done(&foreign);
            reply_done(&missing);
        }
    }
    reply_done(&r);
}

int
suite_audit(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_execution_leaves_an_entry_with_every_field, remove_containers),
        cmocka_unit_test_teardown(a_status_says_how_it_ended, remove_containers),
        cmocka_unit_test_teardown(argv_is_shown_as_an_array, remove_containers),
        cmocka_unit_test_teardown(an_entry_is_there_while_the_command_runs, remove_containers),
        cmocka_unit_test_teardown(output_is_what_execute_returned, remove_containers),
        cmocka_unit_test_teardown(lists_can_be_narrowed, remove_containers),
        cmocka_unit_test_teardown(since_includes_and_until_excludes_its_second, remove_containers),
        cmocka_unit_test(a_bad_query_is_refused),
        cmocka_unit_test_teardown(pages_show_everything_once_newest_first, remove_containers),
        cmocka_unit_test_teardown(hashes_form_a_chain_without_repeats, remove_containers),
        cmocka_unit_test_teardown(secrets_of_env_and_stdin_are_kept_nowhere, remove_containers),
        cmocka_unit_test_teardown(others_entries_do_not_exist, remove_containers),
    };

    return cmocka_run_group_tests_name("api: audit", tests, NULL, NULL);
}
