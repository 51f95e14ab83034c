/* The resource templates, but for what its jobs do. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { MIB = 1 << 20 };

static size_t
count_templates(void)
{
    struct reply r = fetch(ADMIN, "/templates");
    size_t count = json_array_size(at(&r, "templates"));

    reply_done(&r);
    return count;
}

/* The number of images that the engine has, with those that have no name. */
static size_t
count_images(void)
{
    struct reply r = host_engine("GET", "/images/json?all=1", NULL);
    size_t count = json_array_size(r.json);

    assert_status(&r, 200);
    reply_done(&r);
    return count;
}

static void
the_yaml_s_templates_are_listed_with_every_field(void **state)
{
    struct reply r = fetch(VIEWER, "/templates");

    (void)state;
    assert_members(r.json, "templates");
    assert_members(at(&r, "templates.0"), "id name image source status default size_mb created_at "
                                          "updated_at error");
    assert_string_equal(text_at(&r, "templates.0.id"), "base");
    assert_string_equal(text_at(&r, "templates.0.name"), "base");
    assert_string_equal(text_at(&r, "templates.0.image"), "sandbox-base:latest");
    assert_string_equal(text_at(&r, "templates.0.source"), "yaml");
    assert_string_equal(text_at(&r, "templates.0.status"), "ready");
    assert_true(bool_at(&r, "templates.0.default"));
    assert_true(number_at(&r, "templates.0.size_mb") > 0.5);
    assert_true(null_at(&r, "templates.0.created_at"));
    assert_true(null_at(&r, "templates.0.error"));
    assert_string_equal(text_at(&r, "templates.1.status"), "absent");
    assert_true(null_at(&r, "templates.1.size_mb"));
    reply_done(&r);
}

static void
an_image_that_is_here_makes_a_template_that_is_ready(void **state)
{
    struct reply r = call(ADMIN, "POST", "/templates",
                          "{\"name\": \"local\", \"image\": \"sandbox-base:latest\"}", NULL);
    struct reply one, list;

    (void)state;
    assert_status(&r, 201);
    assert_string_equal(text_at(&r, "source"), "api");
    assert_string_equal(text_at(&r, "status"), "ready");
    assert_string_equal(text_at(&r, "image"), "sandbox-base:latest");
    assert_false(bool_at(&r, "default"));
    assert_time(text_at(&r, "created_at"));
    assert_time(text_at(&r, "updated_at"));
    one = fetch(VIEWER, "/templates/local");
    assert_true(json_equal(one.json, r.json));
    list = fetch(VIEWER, "/templates");
    assert_true(json_equal(
        json_array_get(at(&list, "templates"), json_array_size(at(&list, "templates")) - 1),
        r.json));
    assert_prints("local", "echo hi", "hi\n");
    reply_done(&r);
    reply_done(&one);
    reply_done(&list);
}

static void
a_template_without_its_image_is_absent_and_not_ready_to_run(void **state)
{
    struct reply r;

    (void)state;
    template_make("{s:s, s:s}", "name", "later", "image", "no-such-image:1");
    r = execute(ALICE, "{s:s, s:s}", "template", "later", "command", "true");
    assert_problem(&r, 409, "template_not_ready");
    reply_done(&r);
    r = call(ALICE, "GET", "/templates/later/log", NULL, NULL);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    template_make("{s:s, s:s}", "name", "unbuilt", "dockerfile", "FROM sandbox-base:latest\n");
    r = execute(ALICE, "{s:s, s:s}", "template", "unbuilt", "command", "true");
    assert_problem(&r, 409, "template_not_ready");
    reply_done(&r);
}

#define IMAGE "\"image\": \"sandbox-base:latest\""
#define FROM "\"dockerfile\": \"FROM sandbox-base:latest\""
#define FILES(path) "{\"name\": \"x\", " FROM ", \"files\": {\"" path "\": \"text\"}}"

static void
bad_bodies_are_refused_and_leave_nothing(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{" IMAGE "}", "/name"},
        {"{\"name\": \"\", " IMAGE "}", "/name"},
        {"{\"name\": \"Upper\", " IMAGE "}", "/name"},
        {"{\"name\": \"-x\", " IMAGE "}", "/name"},
        {"{\"name\": \"a/b\", " IMAGE "}", "/name"},
        {"{\"name\": \"..\", " IMAGE "}", "/name"},
        {"{\"name\": \"a b\", " IMAGE "}", "/name"},
        {"{\"name\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", " IMAGE
         "}",
         "/name"},
        {"{\"name\": \"x\"}", "/image"},
        {"{\"name\": \"x\", " IMAGE ", " FROM "}", "/dockerfile"},
        {"{\"name\": \"x\", " IMAGE ", \"files\": {}}", "/files"},
        {"{\"name\": \"x\", \"image\": \"a b\"}", "/image"},
        {"{\"name\": \"x\", \"image\": \"../../containers/x\"}", "/image"},
        {"{\"name\": \"x\", \"image\": \"a//b\"}", "/image"},
        {"{\"name\": \"x\", \"image\": \"a?b=c\"}", "/image"},
        {"{\"name\": \"x\", \"image\": \"Upper/Case\"}", "/image"},
        {"{\"name\": \"x\", \"dockerfile\": \"\"}", "/dockerfile"},
        {"{\"name\": \"x\", " FROM ", \"files\": []}", "/files"},
        {"{\"name\": \"x\", " FROM ", \"files\": {\"a\": 7}}", "/files/a"},
        {"{\"name\": \"x\", " FROM ", \"network\": true}", "/network"},
        {FILES(""), "/files/"},
        {FILES("/x"), "/files/~1x"},
        {FILES("../x"), "/files/..~1x"},
        {FILES("a/../../x"), "/files/a~1..~1..~1x"},
        {FILES("a/.."), "/files/a~1.."},
        {FILES("a/./x"), "/files/a~1.~1x"},
        {FILES("a//b"), "/files/a~1~1b"},
        {FILES("a/"), "/files/a~1"},
        {FILES("Dockerfile"), "/files/Dockerfile"},
        {FILES("a\\nb"), "/files/a\nb"},
        {FILES("a\\u007fb"), "/files/a\x7f"
                             "b"},
        {"{\"name\": \"x\", " FROM ", \"files\": {\"a\": \"\", \"a/b\": \"\"}}", "/files/a~1b"},
    };
    size_t before = count_templates(), images = count_images();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ADMIN, "POST", "/templates", cases[i].body, NULL);

        print_message("case %s\n", cases[i].body);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    assert_int_equal(count_templates(), before);
    assert_int_equal(count_images(), images);
}

/* A body with one file whose path is @path_len times 'p' and whose text has @text_len bytes. */
static struct reply
post_large(size_t path_len, size_t text_len)
{
    _cleanup_(freep) char *path = calloc(1, path_len + 1), *text = calloc(1, text_len + 1);
    _cleanup_(freep) char *body = NULL;
    json_auto_t *json = NULL;

    assert_true(path && text);
    memset(path, 'p', path_len);
    memset(text, 't', text_len);
    json = json_pack("{s:s, s:s, s:{s:s}}", "name", "large", "dockerfile",
                     "FROM sandbox-base:latest\n", "files", path, text);
    body = json_dumps(json, 0);
    assert_non_null(body);
    return call(ADMIN, "POST", "/templates", body, NULL);
}

static void
sizes_have_bounds(void **state)
{
    _cleanup_(freep) char *blank = NULL;
    struct reply r = post_large(256, 1);

    (void)state;
    assert_problem(&r, 422, "validation_failed");
    reply_done(&r);
    r = post_large(2000, 1);
    assert_problem(&r, 422, "validation_failed");
    reply_done(&r);
    r = post_large(255, 15 * MIB);
    assert_status(&r, 201);
    reply_done(&r);
    r = post_large(8, 17 * MIB);
    assert_problem(&r, 413, "body_too_large");
    reply_done(&r);
    /* Other paths have not grown. */
    blank = calloc(1, 2 * MIB);
    r = call_raw(ADMIN, "POST", "/execute", blank, 2 * MIB, "application/json");
    assert_problem(&r, 413, "body_too_large");
    reply_done(&r);
}

static void
the_context_is_bounded_by_the_yaml(void **state)
{
    size_t before = count_templates();
    struct reply r;

    (void)state;
    yaml_edit("sandbox.yaml", "s/context_mb: 16/context_mb: 1/");
    r = post_large(8, MIB);
    assert_violation(&r, "/files");
    reply_done(&r);
    assert_int_equal(count_templates(), before);
    r = post_large(8, MIB - 100);
    assert_status(&r, 201);
    reply_done(&r);
}

static void
a_name_is_given_once(void **state)
{
    struct reply r;

    (void)state;
    r = call(ADMIN, "POST", "/templates", "{\"name\": \"base\", " IMAGE "}", NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    template_make("{s:s, s:s}", "name", "once", "image", "sandbox-base:latest");
    r = call(ADMIN, "POST", "/templates", "{\"name\": \"once\", " FROM "}", NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    r = fetch(ADMIN, "/templates/once");
    assert_string_equal(text_at(&r, "image"), "sandbox-base:latest");
    reply_done(&r);
}

static void
only_admins_change_templates(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } cases[] = {
        {"POST", "/templates", "{\"name\": \"mine\", " IMAGE "}"},
        {"POST", "/templates/base/pull", NULL},
        {"POST", "/templates/base/build", NULL},
        {"DELETE", "/templates/base", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ALICE, cases[i].method, cases[i].path, cases[i].body, NULL);

        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
        r = call(NULL, cases[i].method, cases[i].path, cases[i].body, NULL);
        assert_problem(&r, 401, "unauthenticated");
        reply_done(&r);
    }
}

static void
unknown_templates_are_not_found(void **state)
{
    static const struct {
        const char *method, *path;
    } cases[] = {
        {"GET", "/templates/nothing"},        {"GET", "/templates/nothing/log"},
        {"POST", "/templates/nothing/build"}, {"POST", "/templates/nothing/pull"},
        {"DELETE", "/templates/nothing"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ADMIN, cases[i].method, cases[i].path, NULL, NULL);

        assert_problem(&r, 404, "not_found");
        reply_done(&r);
    }
}

static void
each_is_made_in_its_own_way_only(void **state)
{
    struct reply r;

    (void)state;
    r = act(ADMIN, "POST", "/templates/base/build");
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    template_make("{s:s, s:s}", "name", "file", "dockerfile", "FROM sandbox-base:latest\n");
    r = act(ADMIN, "POST", "/templates/file/pull");
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
}

static void
what_is_in_use_or_in_the_yaml_stays(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r = act(ADMIN, "DELETE", "/templates/base");

    (void)state;
    assert_problem(&r, 409, "template_from_yaml");
    reply_done(&r);
    template_make("{s:s, s:s}", "name", "used", "image", "sandbox-base:latest");
    make_container(ALICE, "{\"template\": \"used\", \"session_id\": \"u\"}", id);
    r = act(ADMIN, "DELETE", "/templates/used");
    assert_problem(&r, 409, "template_in_use");
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    reply_done(&r);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/templates/used");
    assert_status(&r, 204);
    reply_done(&r);
    r = act(ADMIN, "GET", "/templates/used");
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s}", "template", "used", "command", "true");
    assert_violation(&r, "/template");
    reply_done(&r);
}

static void
a_removed_template_leaves_the_engine_as_it_was(void **state)
{
    _cleanup_(freep) char *instance = state_file("instance");
    char tag[128];
    struct reply r;

    (void)state;
    snprintf(tag, sizeof(tag), "sandbox-template-%s:gone", instance);
    template_make("{s:s, s:s}", "name", "gone", "image", "sandbox-base:latest");
    assert_true(image_exists(tag));
    r = act(ADMIN, "DELETE", "/templates/gone");
    assert_status(&r, 204);
    reply_done(&r);
    assert_false(image_exists(tag));
    assert_true(image_exists("sandbox-base:latest"));
    /* The name is free again. */
    template_make("{s:s, s:s}", "name", "gone", "image", "sandbox-base:latest");
}

/* Whether the newest change entries are about the template, by these actions, newest first. */
static void
changes_leave_entries(void **state)
{
    static const char *const actions[] = {"DELETE /templates/noted", "POST /templates/noted/pull",
                                          "POST /templates"};
    struct reply r;

    (void)state;
    template_make("{s:s, s:s}", "name", "noted", "image", "no-such-image:1");
    job_run("noted", "pull", "failed");
    r = act(ADMIN, "DELETE", "/templates/noted");
    assert_status(&r, 204);
    reply_done(&r);
    r = fetch(ADMIN, "/audit?kind=change&limit=3");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        const json_t *entry = json_array_get(at(&r, "entries"), i);

        assert_string_equal(json_string_value(json_object_get(entry, "command")), actions[i]);
        assert_string_equal(json_string_value(json_object_get(entry, "template")), "noted");
    }
    reply_done(&r);
}

static void
a_dockerfile_in_the_yaml_is_built(void **state)
{
    struct reply r;

    (void)state;
    yaml_edit("templates.yaml",
              "$ a\\  fromfile:\\n    dockerfile: |\\n      FROM sandbox-base:latest\\n      COPY "
              "a/b.txt /b.txt\\n      RUN cat /b.txt /b.txt >/c.txt\\n    files:\\n      "
              "a/b.txt: \"from the yaml\"");
    r = fetch(ADMIN, "/templates/fromfile");
    assert_string_equal(text_at(&r, "status"), "absent");
    assert_string_equal(text_at(&r, "source"), "yaml");
    reply_done(&r);
    job_run("fromfile", "build", "ready");
    assert_prints("fromfile", "cat /c.txt", "from the yamlfrom the yaml");
    r = act(ADMIN, "DELETE", "/templates/fromfile");
    assert_problem(&r, 409, "template_from_yaml");
    reply_done(&r);
}

static void
one_by_the_id_of_an_image_works_too(void **state)
{
    _cleanup_(freep) char *id = image_id("sandbox-base:latest");

    (void)state;
    template_make("{s:s, s:s}", "name", "byid", "image", id);
    assert_prints("byid", "echo here", "here\n");
}

int
suite_templates(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_yaml_s_templates_are_listed_with_every_field),
        cmocka_unit_test_teardown(an_image_that_is_here_makes_a_template_that_is_ready,
                                  templates_clean),
        cmocka_unit_test_teardown(a_template_without_its_image_is_absent_and_not_ready_to_run,
                                  templates_clean),
        cmocka_unit_test(bad_bodies_are_refused_and_leave_nothing),
        cmocka_unit_test_teardown(sizes_have_bounds, templates_clean),
        cmocka_unit_test_teardown(the_context_is_bounded_by_the_yaml, templates_clean),
        cmocka_unit_test_teardown(a_name_is_given_once, templates_clean),
        cmocka_unit_test(only_admins_change_templates),
        cmocka_unit_test(unknown_templates_are_not_found),
        cmocka_unit_test_teardown(each_is_made_in_its_own_way_only, templates_clean),
        cmocka_unit_test_teardown(what_is_in_use_or_in_the_yaml_stays, templates_clean),
        cmocka_unit_test_teardown(a_removed_template_leaves_the_engine_as_it_was, templates_clean),
        cmocka_unit_test_teardown(changes_leave_entries, templates_clean),
        cmocka_unit_test_teardown(a_dockerfile_in_the_yaml_is_built, templates_clean),
        cmocka_unit_test_teardown(one_by_the_id_of_an_image_works_too, templates_clean),
    };

    return cmocka_run_group_tests_name("templates", tests, NULL, NULL);
}
