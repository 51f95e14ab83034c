/* The engine goes away and comes back, and containers change behind our back. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/outage.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 90, LISTED = 12 };

/* The container of a test, made before it and removed after it: alice's. */
static struct {
    char id[64];
    char path[96];
} box;

static void
keep_box(const struct reply *r, const char *member)
{
    snprintf(box.id, sizeof(box.id), "%s", text_at(r, member));
    snprintf(box.path, sizeof(box.path), "/containers/%s", box.id);
}

static int
box_open(void **state)
{
    struct reply r = call(ALICE, "POST", "/containers",
                          "{\"agent_id\": \"engine\", \"session_id\": \"1\"}", NULL);

    (void)state;
    assert_status(&r, 201);
    keep_box(&r, "id");
    reply_done(&r);
    return 0;
}

static int
box_close(void **state)
{
    struct reply r = call(ALICE, "DELETE", box.path, NULL, NULL);

    (void)state;
    assert_status(&r, 204);
    reply_done(&r);
    return 0;
}

/* Run @command in the scope of the test's container. */
static struct reply
run(const char *command)
{
    return execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "engine", "session_id", "1", "command",
                   command);
}

static void
assert_prints(const char *command, const char *expected)
{
    struct reply r = run(command);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), box.id);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: expected \"%s\" in %s", command, expected, r.body);
    reply_done(&r);
}

static int
start_engine_and_close(void **state)
{
    outage_end();
    return box_close(state);
}

/* A failure is logged with whose request it was, and with nothing of what that was to run. */
static void
assert_logged(const char *request_id)
{
    assert_int_equal(host_shell("grep 'level=error .* request=%s user=alice msg=' "
                                "\"$SANDBOX_STATE/log/sandboxd.log\" >/dev/null",
                                request_id),
                     0);
    assert_int_not_equal(
        host_shell("grep a-secret-word \"$SANDBOX_STATE/log/sandboxd.log\" >/dev/null"), 0);
}

static void
assert_unavailable(const char *path, const char *body)
{
    struct reply r = call(ALICE, "POST", path, body, NULL);

    assert_problem(&r, 503, "docker_unavailable");
    assert_true(strtol(r.retry_after, NULL, 10) > 0);
    assert_logged(text_at(&r, "request_id"));
    reply_done(&r);
}

static void
an_engine_that_stops_is_said_so_and_taken_up_again(void **state)
{
    (void)state;
    assert_true(outage_is_over(NULL));
    assert_prints("echo kept > /home/sandbox/file; echo one", "one\n");
    outage_begin();
    assert_false(outage_is_over(NULL));
    assert_unavailable("/containers", "{\"agent_id\": \"engine\", \"session_id\": \"2\"}");
    assert_unavailable("/execute",
                       "{\"agent_id\": \"engine\", \"command\": \"echo a-secret-word\"}");
    assert_unavailable("/execute", /* its container ended with the engine */
                       "{\"agent_id\": \"engine\", \"session_id\": \"1\", \"command\": \"true\"}");
    outage_end();
    wait_until(outage_is_over, NULL, PATIENCE_SECONDS, "docker_available");
    assert_prints("cat /home/sandbox/file", "kept\n");
}

static void
restart_engine_with(const char *daemon_json)
{
    outage_begin();
    host_write("docker/daemon.json", daemon_json);
    outage_end();
    wait_until(outage_is_over, NULL, PATIENCE_SECONDS, "docker_available");
}

static int
restore_engine_and_close(void **state)
{
    restart_engine_with("{}\n");
    return box_close(state);
}

static size_t
count_in_engine(void)
{
    struct reply r = host_engine("GET", "/containers/json?all=1", NULL);
    size_t count = json_array_size(r.json);

    assert_status(&r, 200);
    reply_done(&r);
    return count;
}

/* Real-time priority for every container, by the engine's own settings. */
static void
an_engine_that_adds_to_what_was_asked_makes_no_container(void **state)
{
    size_t count = count_in_engine();
    struct reply r;

    (void)state;
    restart_engine_with("{\"default-ulimits\": {\"rtprio\":"
                        " {\"Name\": \"rtprio\", \"Hard\": 99, \"Soft\": 99}}}\n");
    r = call(ALICE, "POST", "/containers", "{\"agent_id\": \"engine\", \"session_id\": \"2\"}",
             NULL);
    assert_problem(&r, 502, "docker_error");
    if (!strstr(text_at(&r, "detail"), "HostConfig.Ulimits"))
        fail_msg("%s", r.body);
    reply_done(&r);
    assert_int_equal(count_in_engine(), count);
}

static void
an_engine_that_hangs_is_said_so_and_holds_up_no_running_container(void **state)
{
    pid_t pid = host_pid_file("docker/dockerd.pid");

    (void)state;
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_false(outage_is_over(NULL));
    assert_prints("echo runs", "runs\n");
    assert_int_equal(kill(pid, SIGCONT), 0);
    wait_until(outage_is_over, NULL, PATIENCE_SECONDS, "docker_available");
}

static int
continue_engine_and_close(void **state)
{
    pid_t pid = host_pid_file("docker/dockerd.pid");

    if (pid > 0)
        kill(pid, SIGCONT);
    return box_close(state);
}

/* DELETE the engine's container of our @id. */
static void
remove_in_engine(const char *id)
{
    char name[128], path[192];
    struct reply r;

    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s?force=1", name);
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
}

static void
a_container_removed_behind_our_back_is_made_anew(void **state)
{
    struct reply r;

    (void)state;
    assert_prints("echo kept > /workspace/file; echo one", "one\n");
    r = call(ALICE, "GET", box.path, NULL,
             NULL); /* measured before: the figures are another's now */
    assert_true(number_at(&r, "memory_mb") > 0);
    reply_done(&r);
    remove_in_engine(box.id);
    assert_prints("cat /workspace/file; rm /workspace/file", "kept\n");
    assert_true(host_engine_has(box.id));
    r = call(ALICE, "GET", box.path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_true(number_at(&r, "memory_mb") > 0);
    reply_done(&r);
}

static void
a_container_stopped_behind_our_back_is_started_again(void **state)
{
    char name[128], path[192];
    struct reply r;

    (void)state;
    assert_prints("echo kept > /home/sandbox/file; echo one", "one\n");
    host_engine_name(box.id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/kill", name);
    r = host_engine("POST", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    assert_prints("cat /home/sandbox/file", "kept\n");
}

/* Make a container in the engine, of nobody's or, with @ours, with this instance's labels. */
static void
make_stray(const char *name, bool ours)
{
    _cleanup_(freep) char *instance = state_file("instance");
    json_auto_t *labels = ours ? json_pack("{s:s, s:s}", "sandbox.instance", instance, "sandbox.id",
                                           "container_00000000feed")
                               : json_object();
    json_auto_t *json = json_pack("{s:s, s:[s], s:O}", "Image", "sandbox-base:latest", "Cmd",
                                  "/bin/true", "Labels", labels);
    _cleanup_(freep) char *body = json_dumps(json, 0);
    char path[192];
    struct reply r;

    assert_non_null(body);
    snprintf(path, sizeof(path), "/containers/create?name=%s", name);
    r = host_engine("POST", path, body);
    assert_status(&r, 201);
    reply_done(&r);
}

static bool
engine_lacks(void *arg)
{
    char path[192];
    struct reply r;
    bool lacks;

    snprintf(path, sizeof(path), "/containers/%s/json", (const char *)arg);
    r = host_engine("GET", path, NULL);
    lacks = r.status == 404;
    reply_done(&r);
    return lacks;
}

static void
the_janitor_removes_our_strays_and_nobody_elses(void **state)
{
    static char foreign[] = "somebody-elses";
    char ours[128];
    struct reply r;

    (void)state;
    host_engine_name("container_00000000feed", ours, sizeof(ours));
    make_stray(foreign, false);
    make_stray(ours, true);
    host_nudge_janitor();
    wait_until(engine_lacks, ours, PATIENCE_SECONDS, "the stray to be removed");
    assert_false(engine_lacks(foreign));
    r = call(ADMIN, "GET", "/containers?limit=500", NULL, NULL);
    assert_null(strstr(r.body, "container_00000000feed"));
    reply_done(&r);
    r = host_engine("DELETE", "/containers/somebody-elses?force=1", NULL);
    assert_status(&r, 204);
    reply_done(&r);
    assert_prints("echo untouched", "untouched\n");
}

static void
assert_all_measured(void)
{
    struct reply r = call(ALICE, "GET", "/containers?agent_id=engine&limit=500", NULL, NULL);
    const json_t *item;
    size_t i;

    assert_status(&r, 200);
    assert_int_equal(json_array_size(at(&r, "containers")), LISTED);
    json_array_foreach(at(&r, "containers"), i, item)
        assert_true(json_number_value(json_object_get(item, "memory_mb")) > 0);
    reply_done(&r);
}

static void
a_list_of_containers_is_measured_without_the_engine(void **state)
{
    pid_t pid = host_pid_file("docker/dockerd.pid");
    char ids[LISTED][64];

    (void)state;
    snprintf(ids[0], sizeof(ids[0]), "%s", box.id);
    for (int i = 1; i < LISTED; i++) {
        json_auto_t *json = json_pack("{s:s, s:s+}", "agent_id", "engine", "session_id", "list",
                                      (const char[]){(char)('a' + i), '\0'});
        _cleanup_(freep) char *body = json_dumps(json, 0);
        struct reply r = call(ALICE, "POST", "/containers", body, NULL);

        assert_status(&r, 201);
        snprintf(ids[i], sizeof(ids[i]), "%s", text_at(&r, "id"));
        reply_done(&r);
    }
    assert_all_measured();
    /* An engine that hangs answers no question; had there been one for each container, or any at
     * all, there would be no list. */
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_all_measured();
    assert_int_equal(kill(pid, SIGCONT), 0);
    for (int i = 1; i < LISTED; i++) {
        char path[96];
        struct reply r;

        snprintf(path, sizeof(path), "/containers/%s", ids[i]);
        r = call(ALICE, "DELETE", path, NULL, NULL);
        assert_status(&r, 204);
        reply_done(&r);
    }
}

#define engine_test(f) cmocka_unit_test_setup_teardown(f, box_open, box_close)

int
suite_engine(void)
{
    const struct CMUnitTest tests[] = {
        engine_test(a_container_removed_behind_our_back_is_made_anew),
        engine_test(a_container_stopped_behind_our_back_is_started_again),
        engine_test(the_janitor_removes_our_strays_and_nobody_elses),
        cmocka_unit_test_setup_teardown(a_list_of_containers_is_measured_without_the_engine,
                                        box_open, continue_engine_and_close),
        cmocka_unit_test_setup_teardown(
            an_engine_that_hangs_is_said_so_and_holds_up_no_running_container, box_open,
            continue_engine_and_close),
        cmocka_unit_test_setup_teardown(an_engine_that_stops_is_said_so_and_taken_up_again,
                                        box_open, start_engine_and_close),
        cmocka_unit_test_setup_teardown(an_engine_that_adds_to_what_was_asked_makes_no_container,
                                        box_open, restore_engine_and_close),
    };

    return cmocka_run_group_tests_name("api: engine", tests, NULL, NULL);
}
