/* Pulling templates' images from registries of the test's own. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/registry.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define USER "puller"
#define PASSWORD "hunter2-but-longer-7f3a"

static struct registry open_one, closed_one;

static int
setup(void **state)
{
    (void)state;
    registry_start(&open_one, NULL, NULL);
    registry_start(&closed_one, USER, PASSWORD);
    registry_push(&open_one, "team/tool:v1", "FROM sandbox-base:latest\nRUN echo first >/version\n",
                  NULL, NULL);
    registry_push(&closed_one, "team/secret:v1",
                  "FROM sandbox-base:latest\nRUN echo private >/version\n", USER, PASSWORD);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    registry_stop(&open_one);
    registry_stop(&closed_one);
    return 0;
}

static const char *
reference(const struct registry *r, const char *name)
{
    static char text[128];

    snprintf(text, sizeof(text), "%s/%s", r->host, name);
    return text;
}

static void
a_pulled_image_runs(void **state)
{
    _cleanup_(freep) char *log = NULL, *size = NULL, *error = NULL, *status = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "tool", "image", reference(&open_one, "team/tool:v1"));
    status = template_member("tool", "status");
    assert_string_equal(status, "\"absent\"");
    job_run("tool", "pull", "ready");
    assert_prints("tool", "cat /version; id -u | tr -d '[:digit:]'", "first\n\n");
    log = job_log("tool");
    assert_non_null(strstr(log, "Pulling from team/tool"));
    assert_non_null(strstr(log, "Pull complete"));
    size = template_member("tool", "size_mb");
    assert_true(strtod(size, NULL) > 0.5);
    error = template_member("tool", "error");
    assert_string_equal(error, "null");
}

static void
pulling_again_brings_the_newer_image_and_drops_the_older(void **state)
{
    _cleanup_(freep) char *before = NULL;

    (void)state;
    registry_push(&open_one, "team/moving:v", "FROM sandbox-base:latest\nRUN echo one >/version\n",
                  NULL, NULL);
    template_make("{s:s, s:s}", "name", "moving", "image", reference(&open_one, "team/moving:v"));
    job_run("moving", "pull", "ready");
    assert_prints("moving", "cat /version", "one\n");
    before = image_id(reference(&open_one, "team/moving:v"));
    registry_push(&open_one, "team/moving:v", "FROM sandbox-base:latest\nRUN echo two >/version\n",
                  NULL, NULL);
    job_run("moving", "pull", "ready");
    assert_prints("moving", "cat /version", "two\n");
    assert_false(image_exists(before));
}

static void
a_failed_pull_says_why_and_keeps_the_old_image(void **state)
{
    _cleanup_(freep) char *error = NULL, *log = NULL;

    (void)state;
    registry_push(&open_one, "team/gone:v", "FROM sandbox-base:latest\nRUN echo kept >/version\n",
                  NULL, NULL);
    template_make("{s:s, s:s}", "name", "gone", "image", reference(&open_one, "team/gone:v"));
    job_run("gone", "pull", "ready");
    assert_int_equal(
        host_shell("rm -rf %s/data/docker/registry/v2/repositories/team/gone", open_one.dir), 0);
    job_run("gone", "pull", "ready");
    error = template_member("gone", "error");
    assert_non_null(strstr(error, "manifest unknown"));
    log = job_log("gone");
    assert_non_null(strstr(log, "failed: "));
    assert_prints("gone", "cat /version", "kept\n");
}

static void
an_image_that_there_is_not_leaves_the_template_failed(void **state)
{
    struct reply r;

    (void)state;
    template_make("{s:s, s:s}", "name", "none", "image", reference(&open_one, "team/none:v1"));
    job_run("none", "pull", "failed");
    r = execute(ADMIN, "{s:s, s:s}", "template", "none", "command", "true");
    assert_problem(&r, 409, "template_not_ready");
    reply_done(&r);
}

static void
templates_of_the_yaml_are_pulled_too(void **state)
{
    char script[256];
    struct reply r;

    (void)state;
    snprintf(script, sizeof(script), "s|python:3.12-slim|%s|",
             reference(&open_one, "team/tool:v1"));
    yaml_edit("templates.yaml", script);
    job_run("python", "pull", "ready");
    assert_prints("python", "cat /version", "first\n");
    r = fetch(ADMIN, "/templates/python");
    assert_string_equal(text_at(&r, "source"), "yaml");
    assert_string_equal(text_at(&r, "image"), reference(&open_one, "team/tool:v1"));
    reply_done(&r);
    remove_containers(state);
    snprintf(script, sizeof(script), "/images/%s", reference(&open_one, "team/tool:v1"));
    r = host_engine("DELETE", script, NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

/* Write a Docker config.json for @user and @password, and have the builds use it. */
static void
log_in(const char *user, const char *password)
{
    char plain[128], encoded[256], text[512], path[PATH_MAX], script[PATH_MAX + 64];

    snprintf(plain, sizeof(plain), "%s:%s", user, password);
    sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *)plain, strlen(plain),
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(text, sizeof(text), "{\"auths\": {\"http://%s/v1/\": {\"auth\": \"%s\"}}}",
             closed_one.host, encoded);
    host_write("logins.json", text);
    snprintf(script, sizeof(script), "s|credentials: \"\"|credentials: \"%s\"|",
             host_path("logins.json", path));
    yaml_edit("sandbox.yaml", script);
}

/* Fail the test if anything that the service wrote holds @secret; the file of logins aside. */
static void
assert_nowhere(const char *secret)
{
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE\" && ! grep -rlF --exclude=logins.json "
                                "--exclude-dir=docker -e '%s' .",
                                secret),
                     0);
}

static void
a_private_registry_takes_the_right_login_only(void **state)
{
    _cleanup_(freep) char *error = NULL, *log = NULL;

    (void)state;
    template_make("{s:s, s:s}", "name", "secret", "image",
                  reference(&closed_one, "team/secret:v1"));
    job_run("secret", "pull", "failed");
    log_in(USER, "wrong-password-91c2");
    job_run("secret", "pull", "failed");
    error = template_member("secret", "error");
    assert_non_null(strstr(error, "unauthorized"));
    assert_nowhere("wrong-password-91c2");
    yaml_restore();
    log_in(USER, PASSWORD);
    job_run("secret", "pull", "ready");
    assert_prints("secret", "cat /version", "private\n");
    log = job_log("secret");
    assert_null(strstr(log, PASSWORD));
    assert_nowhere(PASSWORD);
}

static void
a_build_from_a_private_image_is_logged_in(void **state)
{
    char dockerfile[256];

    (void)state;
    log_in(USER, PASSWORD);
    snprintf(dockerfile, sizeof(dockerfile), "FROM %s\nRUN cat /version /version >/twice\n",
             reference(&closed_one, "team/secret:v1"));
    template_make("{s:s, s:s}", "name", "onsecret", "dockerfile", dockerfile);
    job_run("onsecret", "build", "ready");
    assert_prints("onsecret", "cat /twice", "private\nprivate\n");
    assert_nowhere(PASSWORD);
}

static void
a_broken_file_of_logins_is_named_and_not_shown(void **state)
{
    static const char *const broken[] = {
        "{\"auths\": {\"a\": {\"auth\": \"content-c81e\"}}}",
        "content-c81e",
        "{\"content-c81e\": {}}",
    };

    (void)state;
    template_make("{s:s, s:s}", "name", "tool", "image", reference(&open_one, "team/none:v1"));
    log_in(USER, PASSWORD);
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        _cleanup_(freep) char *error = NULL;

        host_write("logins.json", broken[i]);
        job_run("tool", "pull", "failed");
        error = template_member("tool", "error");
        assert_non_null(strstr(error, "logins.json"));
        assert_null(strstr(error, "content-c81e"));
    }
    assert_nowhere("content-c81e");
    assert_int_equal(host_shell("rm \"$SANDBOX_STATE/logins.json\""), 0);
    job_run("tool", "pull", "failed");
}

static void
what_the_image_says_of_its_process_is_overridden(void **state)
{
    struct reply r;

    (void)state;
    registry_push(&open_one, "team/bossy:v1",
                  "FROM sandbox-base:latest\nUSER 12345\nENTRYPOINT [\"/bin/false\"]\n"
                  "CMD [\"nonsense\"]\nWORKDIR /tmp\nVOLUME /bossy\nENV BOSSY=yes\n"
                  "STOPSIGNAL SIGKILL\nHEALTHCHECK CMD false\n"
                  "LABEL sandbox.id=container_000000000000 sandbox.owner=mallory\n",
                  NULL, NULL);
    template_make("{s:s, s:s}", "name", "bossy", "image", reference(&open_one, "team/bossy:v1"));
    job_run("bossy", "pull", "ready");
    assert_prints("bossy", "[ $(id -u) -ge 200000 ] && pwd && echo $BOSSY", "/workspace\nyes\n");
    r = call(ADMIN, "POST", "/containers",
             "{\"template\": \"bossy\", \"session_id\": \"look\", \"agent_id\": \"look\"}", NULL);
    assert_status(&r, 201);
    {
        char name[128], path[192];
        struct reply c;

        host_engine_name(text_at(&r, "id"), name, sizeof(name));
        snprintf(path, sizeof(path), "/containers/%s/json", name);
        c = host_engine("GET", path, NULL);
        assert_string_equal(text_at(&c, "Config.User"), "0:0");
        assert_string_equal(text_at(&c, "Config.Healthcheck.Test.0"), "NONE");
        assert_string_equal(text_at(&c, "Config.StopSignal"), "SIGTERM");
        assert_string_equal(
            json_string_value(json_object_get(at(&c, "Config.Labels"), "sandbox.id")),
            text_at(&r, "id"));
        assert_string_equal(
            json_string_value(json_object_get(at(&c, "Config.Labels"), "sandbox.owner")), ADMIN);
        reply_done(&c);
    }
    reply_done(&r);
}

static void
snapshots_and_images_of_others_become_no_templates(void **state)
{
    static const struct {
        const char *name, *label, *words;
    } cases[] = {
        {"team/snap:v1", "LABEL sandbox.snapshot=snap_1\n", "snapshot"},
        {"team/theirs:v1", "LABEL sandbox.instance=00000000deadbeef\n", "another installation"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *error = NULL;
        char dockerfile[128];
        struct reply r;

        snprintf(dockerfile, sizeof(dockerfile), "FROM sandbox-base:latest\n%s", cases[i].label);
        registry_push(&open_one, cases[i].name, dockerfile, NULL, NULL);
        template_make("{s:s, s:s}", "name", "foreign", "image",
                      reference(&open_one, cases[i].name));
        job_run("foreign", "pull", "failed");
        error = template_member("foreign", "error");
        assert_non_null(strstr(error, cases[i].words));
        assert_false(image_exists(reference(&open_one, cases[i].name)));
        r = act(ADMIN, "DELETE", "/templates/foreign");
        assert_status(&r, 204);
        reply_done(&r);
    }
}

static void
removing_a_template_removes_what_was_pulled_for_it(void **state)
{
    struct reply r;

    (void)state;
    template_make("{s:s, s:s}", "name", "one", "image", reference(&open_one, "team/tool:v1"));
    job_run("one", "pull", "ready");
    template_make("{s:s, s:s}", "name", "two", "image", reference(&open_one, "team/tool:v1"));
    r = act(ADMIN, "DELETE", "/templates/one");
    assert_status(&r, 204);
    reply_done(&r);
    assert_true(image_exists(reference(&open_one, "team/tool:v1")));
    job_run("two", "pull", "ready");
    r = act(ADMIN, "DELETE", "/templates/two");
    assert_status(&r, 204);
    reply_done(&r);
    assert_false(image_exists(reference(&open_one, "team/tool:v1")));
}

int
suite_pulls(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_pulled_image_runs, templates_clean),
        cmocka_unit_test_teardown(pulling_again_brings_the_newer_image_and_drops_the_older,
                                  templates_clean),
        cmocka_unit_test_teardown(a_failed_pull_says_why_and_keeps_the_old_image, templates_clean),
        cmocka_unit_test_teardown(an_image_that_there_is_not_leaves_the_template_failed,
                                  templates_clean),
        cmocka_unit_test_teardown(templates_of_the_yaml_are_pulled_too, templates_clean),
        cmocka_unit_test_teardown(a_private_registry_takes_the_right_login_only, templates_clean),
        cmocka_unit_test_teardown(a_build_from_a_private_image_is_logged_in, templates_clean),
        cmocka_unit_test_teardown(a_broken_file_of_logins_is_named_and_not_shown, templates_clean),
        cmocka_unit_test_teardown(what_the_image_says_of_its_process_is_overridden,
                                  templates_clean),
        cmocka_unit_test_teardown(snapshots_and_images_of_others_become_no_templates,
                                  templates_clean),
        cmocka_unit_test_teardown(removing_a_template_removes_what_was_pulled_for_it,
                                  templates_clean),
    };

    return cmocka_run_group_tests_name("pulls", tests, setup, teardown);
}
