/* Containers that nobody needs: POST containers/cleanup, and the janitor's idle stop and removal.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 60 };

#define ALL_IDLE "{\"idle_seconds\": 0}"
#define STRAY "container_5745a7574a75"

/* A container of @user and @agent, in session "s". */
static void
make(const char *user, const char *agent, char ret_id[STEP_ID_SIZE])
{
    char body[128];

    snprintf(body, sizeof(body), "{\"agent_id\": \"%s\", \"session_id\": \"s\"}", agent);
    make_container(user, body, ret_id);
}

static struct reply
clean(const char *user, const char *body)
{
    struct reply r = call(user, "POST", "/containers/cleanup", body, NULL);

    assert_status(&r, 200);
    assert_members(r.json, "removed freed_mb");
    return r;
}

/* The reason for which the answer says that @id is removed; NULL if it does not. */
static const char *
reason(const struct reply *r, const char *id)
{
    json_t *item;
    size_t i;

    json_array_foreach(at(r, "removed"), i, item)
    {
        assert_members(item, "id reason");
        if (strcmp(json_string_value(json_object_get(item, "id")), id) == 0)
            return json_string_value(json_object_get(item, "reason"));
    }
    return NULL;
}

static void
assert_reason(const struct reply *r, const char *id, const char *expected)
{
    const char *found = reason(r, id);

    if (!found || strcmp(found, expected) != 0)
        fail_msg("%s is not removed as %s: %s", id, expected, r->body);
}

static void
assert_found(const char *id, bool expected)
{
    struct reply r = act(ADMIN, "GET", "/containers/%s", id);

    assert_status(&r, expected ? 200 : 404);
    assert_int_equal(host_engine_has(id), expected);
    reply_done(&r);
}

static void
bad_input_is_refused_and_removes_nothing(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{\"idle_seconds\": -1}", "/idle_seconds"},
        {"{\"idle_seconds\": 1.5}", "/idle_seconds"},
        {"{\"idle_seconds\": \"0\"}", "/idle_seconds"},
        {"{\"idle_seconds\": null}", "/idle_seconds"},
        {"{\"idle_seconds\": 31536001}", "/idle_seconds"},
        {"{\"idle_seconds\": 0, \"dry_run\": \"no\"}", "/dry_run"},
        {"{\"idle_seconds\": 0, \"force\": true}", "/force"},
        {"{\"idle_seconds\": 0, \"owner\": \"bob\"}", "/owner"},
    };
    char id[STEP_ID_SIZE];

    (void)state;
    make(ALICE, "bad", id);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ALICE, "POST", "/containers/cleanup", cases[i].body, NULL);

        print_message("    %s\n", cases[i].body);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    assert_found(id, true);
}

static void
only_users_and_admins_may_clean_up(void **state)
{
    struct reply r = call(VIEWER, "POST", "/containers/cleanup", ALL_IDLE, NULL);

    (void)state;
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = call(NULL, "POST", "/containers/cleanup", ALL_IDLE, NULL);
    assert_problem(&r, 401, "unauthenticated");
    reply_done(&r);
    r = call(ALICE, "DELETE", "/containers/cleanup", NULL, NULL);
    assert_problem(&r, 405, "method_not_allowed");
    reply_done(&r);
}

static void
a_dry_run_says_the_same_and_changes_nothing(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply dry, wet;

    (void)state;
    make(ALICE, "dry", id);
    run_in(ALICE, "dry", "s", "head -c 3145728 /dev/zero > /home/sandbox/file");
    dry = clean(ALICE, "{\"idle_seconds\": 0, \"dry_run\": true}");
    assert_reason(&dry, id, "idle");
    assert_true(number_at(&dry, "freed_mb") >= 3);
    assert_found(id, true);
    run_in(ALICE, "dry", "s", "test -s /home/sandbox/file");
    wet = clean(ALICE, ALL_IDLE);
    assert_true(json_equal(at(&dry, "removed"), at(&wet, "removed")));
    assert_true(number_at(&wet, "freed_mb") >= 3);
    assert_found(id, false);
    reply_done(&dry);
    reply_done(&wet);
}

static void
a_second_cleanup_finds_nothing(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make(ALICE, "twice", id);
    r = clean(ALICE, ALL_IDLE);
    assert_reason(&r, id, "idle");
    reply_done(&r);
    r = clean(ALICE, ALL_IDLE);
    assert_int_equal(json_array_size(at(&r, "removed")), 0);
    assert_true(number_at(&r, "freed_mb") == 0);
    reply_done(&r);
}

static void
a_user_cleans_up_their_own_and_an_admin_everybodys(void **state)
{
    char of_alice[STEP_ID_SIZE], of_bob[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make(ALICE, "roles", of_alice);
    make(BOB, "roles", of_bob);
    r = clean(BOB, ALL_IDLE);
    assert_reason(&r, of_bob, "idle");
    assert_null(reason(&r, of_alice));
    assert_found(of_alice, true);
    assert_found(of_bob, false);
    reply_done(&r);
    make(BOB, "roles", of_bob);
    r = clean(ADMIN, ALL_IDLE);
    assert_reason(&r, of_bob, "idle");
    assert_reason(&r, of_alice, "idle");
    reply_done(&r);
}

static void
what_was_used_lately_stays(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make(ALICE, "fresh", id);
    r = clean(ALICE, "{\"idle_seconds\": 3600}");
    assert_int_equal(json_array_size(at(&r, "removed")), 0);
    reply_done(&r);
    r = clean(ALICE, "{}"); /* idle_remove_seconds: a week */
    assert_int_equal(json_array_size(at(&r, "removed")), 0);
    reply_done(&r);
    assert_found(id, true);
}

static bool
runs_something(void *arg)
{
    struct reply r = fetch(ALICE, "/containers/%s", (const char *)arg);
    bool runs = int_at(&r, "processes") > 0;

    reply_done(&r);
    return runs;
}

static void
a_container_in_which_something_runs_is_spared(void **state)
{
    char id[STEP_ID_SIZE];
    struct flight *f;
    struct reply r;

    (void)state;
    make(ALICE, "busy", id);
    f = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "busy", "session_id", "s",
                    "command", "until test -e /workspace/end; do sleep 0.1; done; echo whole");
    wait_until(runs_something, id, PATIENCE_SECONDS, "the command to run");
    r = clean(ADMIN, ALL_IDLE);
    assert_null(reason(&r, id));
    reply_done(&r);
    run_in(ALICE, "busy", "s", "touch /workspace/end");
    r = flight_land(f);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "whole\n");
    reply_done(&r);
    r = clean(ALICE, ALL_IDLE);
    assert_reason(&r, id, "idle");
    reply_done(&r);
}

static void
the_workspace_outlives_its_container(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make(ALICE, "files", id);
    run_in(ALICE, "files", "s", "echo kept > /workspace/kept; echo gone > /home/sandbox/gone");
    r = clean(ALICE, ALL_IDLE);
    assert_reason(&r, id, "idle");
    reply_done(&r);
    run_in(ALICE, "files", "s", "test \"$(cat /workspace/kept)\" = kept");
    run_in(ALICE, "files", "s", "test ! -e /home/sandbox/gone; rm /workspace/kept");
}

static void
a_cleanup_leaves_a_change_entry(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make(ALICE, "change", id);
    r = clean(ALICE, ALL_IDLE);
    assert_reason(&r, id, "idle");
    reply_done(&r);
    r = fetch(ALICE, "/audit?limit=1&kind=change");
    assert_string_equal(text_at(&r, "entries.0.command"), "POST /containers/cleanup");
    assert_string_equal(text_at(&r, "entries.0.before.0.id"), id);
    assert_string_equal(text_at(&r, "entries.0.before.0.reason"), "idle");
    assert_true(null_at(&r, "entries.0.after"));
    reply_done(&r);
}

/* The janitor would put right what the next tests break, if its minute came. */
static int
pause_janitor(void **state)
{
    struct pids janitors = host_role("janitor");

    (void)state;
    return janitors.count == 1 ? kill(janitors.list[0], SIGSTOP) : -1;
}

static int
resume_janitor(void **state)
{
    struct pids janitors = host_role("janitor");

    if (janitors.count == 1)
        kill(janitors.list[0], SIGCONT);
    return remove_containers(state);
}

static void
a_container_that_the_engine_has_lost_is_orphaned(void **state)
{
    char id[STEP_ID_SIZE], name[128], path[192];
    struct reply r;

    (void)state;
    make(ALICE, "lost", id);
    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s?force=1", name);
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    r = clean(ALICE, "{\"dry_run\": true}");
    assert_reason(&r, id, "orphaned");
    reply_done(&r);
    r = clean(BOB, "{}");
    assert_null(reason(&r, id));
    reply_done(&r);
    r = clean(ALICE, "{}");
    assert_reason(&r, id, "orphaned");
    assert_true(number_at(&r, "freed_mb") == 0);
    reply_done(&r);
    assert_found(id, false);
}

static void
what_the_engine_has_without_a_row_is_the_admins_to_remove(void **state)
{
    _cleanup_(freep) char *instance = state_file("instance");
    char name[128], path[192], body[256];
    struct reply r;

    (void)state;
    host_engine_name(STRAY, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/create?name=%s", name);
    snprintf(body, sizeof(body),
             "{\"Image\": \"sandbox-base:latest\", \"Cmd\": [\"true\"], \"Labels\": "
             "{\"sandbox.instance\": \"%s\", \"sandbox.id\": \"" STRAY "\"}}",
             instance);
    r = host_engine("POST", path, body);
    assert_status(&r, 201);
    reply_done(&r);
    r = clean(ALICE, ALL_IDLE);
    assert_null(reason(&r, STRAY));
    reply_done(&r);
    assert_true(host_engine_has(STRAY));
    r = clean(ADMIN, "{\"dry_run\": true}");
    assert_reason(&r, STRAY, "orphaned");
    reply_done(&r);
    assert_true(host_engine_has(STRAY));
    r = clean(ADMIN, "{}");
    assert_reason(&r, STRAY, "orphaned");
    reply_done(&r);
    assert_false(host_engine_has(STRAY));
}

/* Have the service read its YAML again with these ages in it. */
static void
set_idle(int stop_seconds, int remove_seconds)
{
    assert_int_equal(
        host_shell("sed -i -e 's/^  idle_stop_seconds: [0-9]*/  idle_stop_seconds: %d/'"
                   " -e 's/^  idle_remove_seconds: [0-9]*/  idle_remove_seconds: %d/'"
                   " \"$SANDBOX_STATE/yaml/sandbox.yaml\" &&"
                   " kill -HUP \"$(cat \"$SANDBOX_STATE/run/sandboxd.pid\")\"",
                   stop_seconds, remove_seconds),
        0);
}

static int
usual_idle(void **state)
{
    set_idle(1800, 604800);
    return remove_containers(state);
}

static bool
is_stopped(void *arg)
{
    struct reply r = fetch(ALICE, "/containers/%s", (const char *)arg);
    bool stopped = strcmp(text_at(&r, "status"), "stopped") == 0;

    reply_done(&r);
    if (!stopped)
        host_nudge_janitor();
    return stopped;
}

static bool
is_gone(void *arg)
{
    struct reply r = act(ALICE, "GET", "/containers/%s", (const char *)arg);
    bool gone = r.status == 404 && !host_engine_has(arg);

    reply_done(&r);
    if (!gone)
        host_nudge_janitor();
    return gone;
}

static void
the_janitor_stops_what_is_idle_and_the_next_execution_starts_it(void **state)
{
    char idle[STEP_ID_SIZE], busy[STEP_ID_SIZE];
    struct flight *f;
    struct reply r;

    (void)state;
    make(ALICE, "idle", idle);
    make(ALICE, "busy", busy);
    run_in(ALICE, "idle", "s", "echo kept > /home/sandbox/file");
    f = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "busy", "session_id", "s",
                    "command", "until test -e /workspace/go; do sleep 0.1; done; echo whole");
    wait_until(runs_something, busy, PATIENCE_SECONDS, "the command to run");
    set_idle(1, 0);
    wait_until(is_stopped, idle, PATIENCE_SECONDS, "the idle container to be stopped");
    r = fetch(ALICE, "/containers/%s", busy);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
    set_idle(1800, 0);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "idle", "session_id", "s", "command",
                "cat /home/sandbox/file");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), idle);
    assert_string_equal(text_at(&r, "stdout"), "kept\n");
    reply_done(&r);
    run_in(ALICE, "busy", "s", "touch /workspace/go");
    r = flight_land(f);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "whole\n");
    reply_done(&r);
}

static void
the_janitor_removes_what_is_idle_for_longer(void **state)
{
    char id[STEP_ID_SIZE];

    (void)state;
    make(ALICE, "old", id);
    run_in(ALICE, "old", "s", "echo kept > /workspace/old");
    set_idle(0, 1);
    wait_until(is_gone, id, PATIENCE_SECONDS, "the idle container to be removed");
    set_idle(0, 0);
    run_in(ALICE, "old", "s", "test \"$(cat /workspace/old)\" = kept");
}

#define cleanup_test(f) cmocka_unit_test_teardown(f, remove_containers)
#define orphan_test(f) cmocka_unit_test_setup_teardown(f, pause_janitor, resume_janitor)
#define idle_test(f) cmocka_unit_test_teardown(f, usual_idle)

int
suite_cleanup(void)
{
    const struct CMUnitTest tests[] = {
        cleanup_test(bad_input_is_refused_and_removes_nothing),
        cleanup_test(only_users_and_admins_may_clean_up),
        cleanup_test(a_dry_run_says_the_same_and_changes_nothing),
        cleanup_test(a_second_cleanup_finds_nothing),
        cleanup_test(a_user_cleans_up_their_own_and_an_admin_everybodys),
        cleanup_test(what_was_used_lately_stays),
        cleanup_test(a_container_in_which_something_runs_is_spared),
        cleanup_test(the_workspace_outlives_its_container),
        cleanup_test(a_cleanup_leaves_a_change_entry),
        orphan_test(a_container_that_the_engine_has_lost_is_orphaned),
        orphan_test(what_the_engine_has_without_a_row_is_the_admins_to_remove),
        idle_test(the_janitor_stops_what_is_idle_and_the_next_execution_starts_it),
        idle_test(the_janitor_removes_what_is_idle_for_longer),
    };

    return cmocka_run_group_tests_name("api: cleanup", tests, NULL, NULL);
}
