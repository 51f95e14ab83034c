/* Executions in the background: what they outlive, what they do not, and how their end is known. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/stream.h"
#include "tests/api/suite.h"

enum { WORKERS = 2, PATIENCE_SECONDS = 90, PARALLEL = 12 };

/* An execution in the background. */
struct job {
    char id[STEP_ID_SIZE];
    char container[STEP_ID_SIZE];
};

/* Start @command in alice's session @session ("": one-shot) of tier Sandbox. */
static struct job
start(const char *session, const char *command)
{
    struct job job;
    struct reply r =
        session[0] ? execute(ALICE, "{s:s, s:s, s:s, s:s, s:b}", "agent_id", "background", "tier",
                             "Sandbox", "session_id", session, "command", command, "background", 1)
                   : execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", "background", "tier",
                             "Sandbox", "command", command, "background", 1);

    assert_status(&r, 202);
    assert_members(r.json, "id container_id status");
    assert_string_equal(text_at(&r, "status"), "running");
    snprintf(job.id, sizeof(job.id), "%s", text_at(&r, "id"));
    snprintf(job.container, sizeof(job.container), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    return job;
}

/* Whether the entry with the id @arg has ended. */
static bool
has_ended(void *arg)
{
    struct reply r = act(ALICE, "GET", "/audit/%s", (const char *)arg);
    bool ended = r.status == 200 && strcmp(text_at(&r, "status"), "running") != 0;

    reply_done(&r);
    return ended;
}

/* Wait for the end of @job, which has to be @status, with @out on its stdout. */
static void
assert_ends(struct job *job, const char *status, const char *out)
{
    struct reply r;

    wait_until(has_ended, job->id, PATIENCE_SECONDS, "its end");
    r = fetch(ALICE, "/audit/%s", job->id);
    if (strcmp(text_at(&r, "status"), status) != 0)
        fail_msg("not %s: %s", status, r.body);
    assert_time(text_at(&r, "finished_at"));
    assert_int_equal(strlen(text_at(&r, "hash")), 64);
    reply_done(&r);
    r = fetch(ALICE, "/audit/%s/output", job->id);
    assert_string_equal(text_at(&r, "stdout"), out);
    assert_string_equal(text_at(&r, "status"), status);
    reply_done(&r);
}

/* Whether the first output of the execution @arg is there. */
static bool
has_spoken(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s/output", (const char *)arg);
    bool spoken = int_at(&r, "stdout_bytes") > 0;

    reply_done(&r);
    return spoken;
}

/* The same, and it speaks first. */
static struct job
start_speaking(const char *session, const char *command)
{
    struct job job = start(session, command);

    wait_until(has_spoken, job.id, PATIENCE_SECONDS, "the first words");
    return job;
}

/* Let what waits for the file `go` in the agent's workspace go on. */
static void
let_go(void)
{
    run_in(ALICE, "background", "go", "touch go");
}

#define UNTIL_GO "until [ -e go ]; do sleep 0.1; done; rm go; "

static void
it_is_answered_at_once_and_its_end_is_recorded(void **state)
{
    struct job job = start("s", "echo begun; " UNTIL_GO "echo done; echo error >&2; exit 3");
    struct reply r = fetch(ALICE, "/audit/%s", job.id), c;

    (void)state;
    assert_string_equal(text_at(&r, "status"), "running");
    assert_true(null_at(&r, "finished_at"));
    assert_true(null_at(&r, "exit_code"));
    reply_done(&r);
    c = fetch(ALICE, "/containers/%s", job.container);
    let_go();
    assert_ends(&job, "failed", "begun\ndone\n");
    r = fetch(ALICE, "/audit/%s", job.id);
    assert_int_equal(int_at(&r, "exit_code"), 3);
    assert_int_equal(int_at(&r, "stdout_bytes"), 11);
    assert_int_equal(int_at(&r, "stderr_bytes"), 6);
    assert_true(null_at(&r, "signal"));
    assert_true(int_at(&r, "duration_ms") > 0);
    reply_done(&r);
    r = fetch(ALICE, "/containers/%s", job.container);
    assert_int_equal(int_at(&r, "executions_count"), int_at(&c, "executions_count") + 1);
    reply_done(&r);
    reply_done(&c);
}

/* Whether the audit's list, which looks into no spool, has no running entry of these tests. */
static bool
list_has_none_running(void *arg)
{
    struct reply r = fetch(ALICE, "/audit?agent_id=background&status=running");
    bool none = json_array_size(at(&r, "entries")) == 0;

    (void)arg;
    reply_done(&r);
    return none;
}

static void
the_janitor_records_an_end_that_nobody_asks_for(void **state)
{
    struct job job = start("s", "echo done");

    (void)state;
    wait_until(list_has_none_running, NULL, PATIENCE_SECONDS, "the end in the list");
    assert_ends(&job, "completed", "done\n");
}

static void
a_program_that_is_not_there_has_failed_at_once(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:[s], s:b}", "agent_id", "background",
                             "session_id", "s", "argv", "no-such-program", "background", 1);
    struct job job;

    (void)state;
    assert_status(&r, 202);
    assert_string_equal(text_at(&r, "status"), "failed");
    snprintf(job.id, sizeof(job.id), "%s", text_at(&r, "id"));
    reply_done(&r);
    assert_ends(&job, "failed", "");
    r = fetch(ALICE, "/audit/%s/output", job.id);
    assert_string_equal(text_at(&r, "stderr"),
                        "cannot execute 'no-such-program': No such file or directory\n");
    reply_done(&r);
}

static void
a_body_that_wants_events_as_well_gets_the_answer(void **state)
{
    struct reply r = call(ALICE, "POST", "/execute",
                          "{\"agent_id\": \"background\", \"session_id\": \"s\","
                          " \"command\": \"echo hi\", \"background\": true}",
                          "Accept: " EVENTS, NULL);
    struct job job;

    (void)state;
    assert_status(&r, 202);
    assert_string_equal(r.content_type, "application/json; charset=utf-8");
    snprintf(job.id, sizeof(job.id), "%s", text_at(&r, "id"));
    reply_done(&r);
    assert_ends(&job, "completed", "hi\n");
}

static void
limits_end_it(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:i, s:b}", "agent_id", "background", "session_id", "s",
                "command", "echo early; sleep 600", "timeout_seconds", 1, "background", 1);
    struct job job;

    (void)state;
    assert_status(&r, 202);
    snprintf(job.id, sizeof(job.id), "%s", text_at(&r, "id"));
    reply_done(&r);
    assert_ends(&job, "timed_out", "early\n");
    job = start("s", "echo early; exec tail /dev/zero");
    assert_ends(&job, "oom_killed", "early\n");
    r = fetch(ALICE, "/audit/%s", job.id);
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    reply_done(&r);
}

static void
kill_all(const char *role)
{
    struct pids pids = host_role(role);

    assert_true(pids.count > 0);
    for (size_t i = 0; i < pids.count; i++)
        assert_int_equal(kill(pids.list[i], SIGKILL), 0);
    for (size_t i = 0; i < pids.count; i++)
        host_wait_role(role, pids.count, pids.list[i]);
}

static void
it_outlives_workers_and_janitor(void **state)
{
    static const char *const sessions[] = {"s", ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
        struct job job = start_speaking(sessions[i], "echo begun; " UNTIL_GO "echo done");

        print_message("    session '%s'\n", sessions[i]);
        kill_all("worker");
        kill_all("janitor");
        wait_until(host_answers, NULL, PATIENCE_SECONDS, "the service to answer");
        host_nudge_janitor(); /* which finds a worker dead, and must not take that for an end */
        assert_false(has_ended(job.id));
        assert_true(host_engine_has(job.container));
        let_go();
        assert_ends(&job, "completed", "begun\ndone\n");
    }
}

static void
starting_a_container_that_runs_disturbs_nothing(void **state)
{
    struct job job = start_speaking("s", "echo begun; " UNTIL_GO "echo done");
    struct reply r = act(ALICE, "POST", "/containers/%s/start", job.container);

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    assert_false(
        has_ended(job.id)); /* which looks at the spool, and at what the container's row says */
    let_go();
    assert_ends(&job, "completed", "begun\ndone\n");
}

static void
it_outlives_the_whole_service(void **state)
{
    struct job one_shot, job;

    (void)state;
    one_shot = start_speaking("", "echo begun; sleep 2; echo done");
    job = start_speaking("s", "echo begun; " UNTIL_GO "echo done");
    host_kill_service();
    wait_until(host_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    assert_false(has_ended(job.id));
    let_go();
    assert_ends(&job, "completed", "begun\ndone\n");
    assert_ends(&one_shot, "completed", "begun\ndone\n");
}

static bool
engine_lacks(void *arg)
{
    return !host_engine_has(arg);
}

static void
a_one_shot_goes_when_it_has_ended(void **state)
{
    struct job job = start_speaking("", "echo begun; " UNTIL_GO "echo done");
    struct reply r;

    (void)state;
    assert_true(host_engine_has(job.container));
    let_go();
    assert_ends(&job, "completed", "begun\ndone\n");
    wait_until(engine_lacks, job.container, PATIENCE_SECONDS, "the one-shot to go");
    r = act(ALICE, "GET", "/containers/%s", job.container);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static void
who_ends_its_container_ends_it(void **state)
{
    static const struct {
        const char *method, *action;
        long status;
    } ends[] = {{"POST", "/stop", 200}, {"POST", "/restart", 200}, {"DELETE", "", 204}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct job job = start_speaking("ended", "echo begun; sleep 600"), second;
        struct reply r;

        print_message("    %s %s\n", ends[i].method, ends[i].action);
        second = start_speaking("ended", "echo second; sleep 600");
        r = act(ALICE, ends[i].method, "/containers/%s%s", job.container, ends[i].action);
        assert_status(&r, ends[i].status);
        reply_done(&r);
        assert_true(has_ended(job.id)); /* when it is answered, not some time later */
        assert_ends(&job, "killed", "begun\n");
        assert_ends(&second, "killed", "second\n");
    }
}

static void
what_dies_with_its_container_is_interrupted(void **state)
{
    struct job job = start_speaking("crash", "echo begun; sleep 600"), next;
    char name[128], path[192];
    struct reply r;

    (void)state;
    host_engine_name(job.container, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/kill", name);
    r = host_engine("POST", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    next = start_speaking("crash", "echo next; " UNTIL_GO); /* starts it again */
    assert_string_equal(next.container, job.container);
    assert_ends(&job, "interrupted", "begun\n");
    assert_false(has_ended(next.id));
    let_go();
    assert_ends(&next, "completed", "next\n");
}

static void
what_the_engine_has_lost_is_interrupted(void **state)
{
    struct job job = start_speaking("lost", "echo begun; sleep 600"), next;
    char name[128], path[192];
    struct reply r;

    (void)state;
    host_engine_name(job.container, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s?force=true", name);
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    next = start("lost", "echo next");
    assert_ends(&job, "interrupted", "begun\n");
    assert_ends(&next, "completed", "next\n");
}

static void
many_at_once_are_each_recorded_once(void **state)
{
    struct job jobs[PARALLEL];
    struct reply before = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "background", "session_id",
                                  "many", "command", "true");
    struct reply r;
    char path[STEP_PATH_SIZE];
    long long count;

    (void)state;
    assert_status(&before, 200);
    r = fetch(ALICE, "/containers/%s", text_at(&before, "container_id"));
    count = int_at(&r, "executions_count");
    reply_done(&r);
    for (int i = 0; i < PARALLEL; i++) {
        r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", "background", "session_id", "many",
                    "command", "echo said; sleep 0.5", "background", 1);
        assert_status(&r, 202);
        snprintf(jobs[i].id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
        reply_done(&r);
    }
    for (int i = 0; i < PARALLEL; i++) {
        struct parallel looks[8];

        snprintf(path, sizeof(path), "/audit/%s", jobs[i].id);
        for (size_t k = 0; k < ARRAY_LEN(looks); k++)
            looks[k] = (struct parallel){.user = ALICE, .method = "GET", .path = path};
        call_parallel(looks, ARRAY_LEN(looks));
        for (size_t k = 0; k < ARRAY_LEN(looks); k++) {
            assert_status(&looks[k].reply, 200);
            reply_done(&looks[k].reply);
        }
    }
    for (int i = 0; i < PARALLEL; i++)
        assert_ends(&jobs[i], "completed", "said\n");
    r = fetch(ALICE, "/containers/%s", text_at(&before, "container_id"));
    assert_int_equal(int_at(&r, "executions_count"), count + PARALLEL);
    reply_done(&r);
    reply_done(&before);
}

/* Whether there is no file left of finished executions in the container's directory @arg. */
static bool
no_spool_is_left(void *arg)
{
    char name[128];

    snprintf(name, sizeof(name), "guests/%s", (const char *)arg);
    return host_shell("ls \"$SANDBOX_STATE/%s\" | grep -v '\\.sock$' | grep -q .", name) != 0;
}

static void
its_output_is_bounded_and_its_spool_removed(void **state)
{
    struct job job = start("s", "yes 0123456789abcde | head -c 5000000");
    struct reply r;

    (void)state;
    wait_until(has_ended, job.id, PATIENCE_SECONDS, "its end");
    r = fetch(ALICE, "/audit/%s/output", job.id);
    assert_int_equal(int_at(&r, "stdout_bytes"), 5000000);
    assert_true(bool_at(&r, "stdout_truncated"));
    assert_int_equal(strlen(text_at(&r, "stdout")), 1 << 20);
    reply_done(&r);
    wait_until(no_spool_is_left, job.container, PATIENCE_SECONDS, "the spool to go");
}

static void
secrets_are_kept_nowhere(void **state)
{
    static const char body[] =
        "{\"agent_id\": \"background\", \"session_id\": \"secret\", \"background\": %s,"
        " \"command\": \"cat >/dev/null; sleep 0.3\", \"env\": {\"TOKEN\": \"canary-of-env-5af1\"},"
        " \"stdin\": \"canary-of-stdin-5af1\"}";

    (void)state;
    for (int i = 0; i < 2; i++) {
        char text[512];
        struct reply r;

        snprintf(text, sizeof(text), body, i ? "true" : "false");
        r = call(ALICE, "POST", "/execute", text, NULL);
        assert_status(&r, i ? 202 : 200);
        assert_int_equal(host_shell("grep -rlE --exclude-dir=docker 'canary-of-(env|stdin)-5af1'"
                                    " --devices=skip \"$SANDBOX_STATE\""),
                         1);
        if (i)
            wait_until(has_ended, __extension__(void *)(uintptr_t) text_at(&r, "id"),
                       PATIENCE_SECONDS, "its end");
        reply_done(&r);
    }
    assert_int_equal(host_shell("grep -rlE --exclude-dir=docker 'canary-of-(env|stdin)-5af1'"
                                " --devices=skip \"$SANDBOX_STATE\""),
                     1);
}

int
suite_background(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_answered_at_once_and_its_end_is_recorded),
        cmocka_unit_test(the_janitor_records_an_end_that_nobody_asks_for),
        cmocka_unit_test(a_program_that_is_not_there_has_failed_at_once),
        cmocka_unit_test(a_body_that_wants_events_as_well_gets_the_answer),
        cmocka_unit_test(limits_end_it),
        cmocka_unit_test(starting_a_container_that_runs_disturbs_nothing),
        cmocka_unit_test(it_outlives_workers_and_janitor),
        cmocka_unit_test(it_outlives_the_whole_service),
        cmocka_unit_test(a_one_shot_goes_when_it_has_ended),
        cmocka_unit_test(who_ends_its_container_ends_it),
        cmocka_unit_test(what_dies_with_its_container_is_interrupted),
        cmocka_unit_test(what_the_engine_has_lost_is_interrupted),
        cmocka_unit_test(many_at_once_are_each_recorded_once),
        cmocka_unit_test(its_output_is_bounded_and_its_spool_removed),
        cmocka_unit_test(secrets_are_kept_nowhere),
    };

    return cmocka_run_group_tests_name("api: background", tests, NULL, remove_containers);
}
