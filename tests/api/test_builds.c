/* Builds: what comes out, what is said meanwhile, and what a crash or a limit does to them. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define BASE "FROM sandbox-base:latest\n"

/* One that builds until the file GO appears in its image, which is never; in 120 s at most. */
#define SLOW BASE "RUN echo begun; i=0; while [ $i -lt 120 ]; do sleep 1; i=$((i + 1)); done\n"

/* As SLOW, but quick enough to be built to its end twice. */
#define SLOWISH BASE "RUN echo begun; sleep 4; echo ended >/ended\n"

static void
a_dockerfile_with_files_is_built_and_runs(void **state)
{
    _cleanup_(freep) char *log = NULL;

    (void)state;
    template_make("{s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "name", "full", "dockerfile",
                  BASE "COPY . /in\nRUN cat /in/a.txt >/out.txt && echo told\n", "files", "a.txt",
                  "first\n", "deep/er/b.txt", "second\n", "deep/\u00fcn\u00efc\u00f6de \u20ac.txt",
                  "third\n", "empty", "");
    job_run("full", "build", "ready");
    assert_prints("full", "cat /out.txt /in/deep/er/b.txt /in/deep/\u00fcn*; wc -c </in/empty",
                  "first\nsecond\nthird\n0\n");
    log = job_log("full");
    assert_non_null(strstr(log, "Step 1/"));
    assert_non_null(strstr(log, "told\n"));
    assert_non_null(strstr(log, "Successfully built"));
}

static void
a_failing_step_says_why_and_keeps_the_old_image(void **state)
{
    _cleanup_(freep) char *error = NULL, *log = NULL, *instance = state_file("instance");
    _cleanup_(freep) char *before = NULL, *after = NULL;
    char tag[128];

    (void)state;
    snprintf(tag, sizeof(tag), "sandbox-template-%s:kept", instance);
    yaml_edit("templates.yaml", "$ a\\  kept: {dockerfile: \""
                                "FROM sandbox-base:latest\\\\nRUN echo good >/v\\\\n\"}");
    job_run("kept", "build", "ready");
    before = image_id(tag);
    yaml_edit("templates.yaml", "s|RUN echo good >/v|RUN echo to-the-log \\&\\& exit 7|");
    job_run("kept", "build", "ready");
    error = template_member("kept", "error");
    assert_non_null(strstr(error, "returned a non-zero code: 7"));
    log = job_log("kept");
    assert_non_null(strstr(log, "to-the-log"));
    assert_non_null(strstr(log, "failed: "));
    after = image_id(tag);
    assert_string_equal(before, after);
    assert_prints("kept", "cat /v", "good\n");
}

static void
what_cannot_be_built_fails_with_dockers_words(void **state)
{
    static const struct {
        const char *dockerfile, *words;
    } cases[] = {
        {"NONSENSE\n", "unknown instruction"},
        {"FROM 127.0.0.1:1/nobody:1\n", "connection refused"},
        {BASE "COPY missing.txt /\n", "missing.txt"},
        {BASE "COPY ../../../etc/passwd /\n", "passwd"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *error = NULL;
        struct reply r;

        print_message("case %s", cases[i].dockerfile);
        template_make("{s:s, s:s}", "name", "bad", "dockerfile", cases[i].dockerfile);
        job_run("bad", "build", "failed");
        error = template_member("bad", "error");
        if (!strstr(error, cases[i].words))
            fail_msg("%s", error);
        r = act(ADMIN, "DELETE", "/templates/bad");
        assert_status(&r, 204);
        reply_done(&r);
    }
}

static void
the_log_grows_while_the_build_runs_and_nothing_else_may_begin(void **state)
{
    struct reply r;

    (void)state;
    template_make("{s:s, s:s}", "name", "live", "dockerfile", SLOWISH);
    job_begin("live", "build");
    job_wait_log("live", "begun");
    r = fetch(VIEWER, "/templates/live");
    assert_string_equal(text_at(&r, "status"), "building");
    reply_done(&r);
    r = act(ADMIN, "POST", "/templates/live/build");
    assert_problem(&r, 409, "job_running");
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/templates/live");
    assert_problem(&r, 409, "job_running");
    reply_done(&r);
    job_wait("live", "ready");
    assert_prints("live", "cat /ended", "ended\n");
}

static void
steps_have_no_network(void **state)
{
    _cleanup_(freep) char *log = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "offline", "dockerfile",
                  BASE "RUN echo \"devices:\" $(ls /sys/class/net)\n");
    job_run("offline", "build", "ready");
    log = job_log("offline");
    assert_non_null(strstr(log, "devices: lo\n"));
}

static bool
no_container_is_left(void *arg)
{
    struct reply r = host_engine("GET", "/containers/json?all=1", NULL);
    bool none = r.status == 200 && json_array_size(r.json) == 0;

    (void)arg;
    reply_done(&r);
    return none;
}

static void
a_build_that_takes_too_long_is_ended(void **state)
{
    _cleanup_(freep) char *error = NULL;

    (void)state;
    yaml_edit("sandbox.yaml", "s/timeout_seconds: 900/timeout_seconds: 4/");
    template_make("{s:s, s:s}", "name", "slow", "dockerfile", SLOW);
    job_run("slow", "build", "failed");
    error = template_member("slow", "error");
    assert_non_null(strstr(error, "longer than 4 seconds"));
    wait_until(no_container_is_left, NULL, JOB_SECONDS, "the engine to give the build up");
}

static void
a_step_that_takes_too_much_memory_is_killed(void **state)
{
    _cleanup_(freep) char *error = NULL;

    (void)state;
    yaml_edit("sandbox.yaml", "s/memory_mb: 2048/memory_mb: 32/");
    template_make("{s:s, s:s}", "name", "greedy", "dockerfile",
                  BASE "RUN dd if=/dev/zero of=/dev/null bs=256M count=2\n");
    job_run("greedy", "build", "failed");
    error = template_member("greedy", "error");
    assert_non_null(strstr(error, "returned a non-zero code: 137"));
}

static void
a_long_log_keeps_its_head(void **state)
{
    _cleanup_(freep) char *log = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "chatty", "dockerfile",
                  BASE
                  "RUN yes 'many words of a chatty build' | head -c 3000000; echo end >/end\n");
    job_run("chatty", "build", "ready");
    log = job_log("chatty");
    assert_true(strlen(log) < (1 << 20) + 4096);
    assert_non_null(strstr(log, "Step 1/"));
    assert_non_null(strstr(log, "the rest of it is not kept"));
    assert_prints("chatty", "cat /end", "end\n");
}

static void
kill_role(const char *role)
{
    struct pids pids = host_role(role);

    assert_int_equal(pids.count, 1);
    assert_int_equal(kill(pids.list[0], SIGKILL), 0);
    host_wait_role(role, 1, pids.list[0]);
}

static void
a_build_goes_on_after_its_builder_was_killed(void **state)
{
    _cleanup_(freep) char *log = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "orphan", "dockerfile", SLOWISH);
    job_begin("orphan", "build");
    job_wait_log("orphan", "begun");
    kill_role("builder");
    job_wait("orphan", "ready");
    log = job_log("orphan");
    assert_non_null(strstr(log, "begun again"));
    assert_prints("orphan", "cat /ended", "ended\n");
}

static void
a_build_whose_builder_dies_twice_fails_with_a_reason(void **state)
{
    _cleanup_(freep) char *error = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "cursed", "dockerfile", SLOW);
    job_begin("cursed", "build");
    job_wait_log("cursed", "begun");
    kill_role("builder");
    job_wait_log("cursed", "begun again");
    kill_role("builder");
    job_wait("cursed", "failed");
    error = template_member("cursed", "error");
    assert_non_null(strstr(error, "died twice"));
}

static void
a_build_goes_on_after_the_broker_was_killed(void **state)
{
    _cleanup_(freep) char *log = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "brokerless", "dockerfile", SLOWISH);
    job_begin("brokerless", "build");
    job_wait_log("brokerless", "begun");
    kill_role("broker");
    job_wait("brokerless", "ready");
    log = job_log("brokerless");
    assert_non_null(strstr(log, "interrupted"));
    assert_prints("brokerless", "cat /ended", "ended\n");
}

static void
a_snapshot_is_no_base_for_a_template(void **state)
{
    _cleanup_(freep) char *error = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "sneaky", "dockerfile",
                  BASE "LABEL sandbox.snapshot=snap_1\n");
    job_run("sneaky", "build", "failed");
    error = template_member("sneaky", "error");
    assert_non_null(strstr(error, "snapshot"));
}

int
suite_builds(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_dockerfile_with_files_is_built_and_runs, templates_clean),
        cmocka_unit_test_teardown(a_failing_step_says_why_and_keeps_the_old_image, templates_clean),
        cmocka_unit_test_teardown(what_cannot_be_built_fails_with_dockers_words, templates_clean),
        cmocka_unit_test_teardown(the_log_grows_while_the_build_runs_and_nothing_else_may_begin,
                                  templates_clean),
        cmocka_unit_test_teardown(steps_have_no_network, templates_clean),
        cmocka_unit_test_teardown(a_build_that_takes_too_long_is_ended, templates_clean),
        cmocka_unit_test_teardown(a_step_that_takes_too_much_memory_is_killed, templates_clean),
        cmocka_unit_test_teardown(a_long_log_keeps_its_head, templates_clean),
        cmocka_unit_test_teardown(a_build_goes_on_after_its_builder_was_killed, templates_clean),
        cmocka_unit_test_teardown(a_build_whose_builder_dies_twice_fails_with_a_reason,
                                  templates_clean),
        cmocka_unit_test_teardown(a_build_goes_on_after_the_broker_was_killed, templates_clean),
        cmocka_unit_test_teardown(a_snapshot_is_no_base_for_a_template, templates_clean),
    };

    return cmocka_run_group_tests_name("builds", tests, NULL, NULL);
}
