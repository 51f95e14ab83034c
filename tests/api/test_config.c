/* GET and PUT config. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static struct reply
put(const char *patch)
{
    return call(ADMIN, "PUT", "/config", patch, NULL);
}

/* Undo whatever a test has put. */
static int
reset(void **state)
{
    struct reply r = put("{\"mode\": null, \"scope_mode\": null, \"workspace_access\": null,"
                         " \"resource_limits\": null, \"network_policy\": null}");

    (void)state;
    reply_done(&r);
    return remove_containers(NULL);
}

static void
config_has_the_shape_that_was_asked_for(void **state)
{
    static const char *const readers[] = {ADMIN, ALICE, VIEWER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        struct reply r = fetch(readers[i], "/config");

        assert_members(r.json, "mode scope_mode workspace_access resource_limits network_policy");
        assert_members(at(&r, "resource_limits"),
                       "cpu_cores memory_mb disk_mb max_processes timeout_seconds");
        assert_members(at(&r, "network_policy"), "enabled allowed_domains blocked_domains");
        assert_string_equal(text_at(&r, "mode"), "selective");
        assert_string_equal(text_at(&r, "scope_mode"), "session");
        assert_string_equal(text_at(&r, "workspace_access"), "rw");
        assert_true(json_is_real(at(&r, "resource_limits.cpu_cores")));
        assert_true(number_at(&r, "resource_limits.cpu_cores") == 1.0);
        assert_int_equal(int_at(&r, "resource_limits.memory_mb"), 512);
        assert_int_equal(int_at(&r, "resource_limits.disk_mb"), 2048);
        assert_int_equal(int_at(&r, "resource_limits.max_processes"), 50);
        assert_int_equal(int_at(&r, "resource_limits.timeout_seconds"), 300);
        assert_false(bool_at(&r, "network_policy.enabled"));
        assert_int_equal(json_array_size(at(&r, "network_policy.allowed_domains")), 0);
        assert_int_equal(json_array_size(at(&r, "network_policy.blocked_domains")), 0);
        assert_true(strlen(r.etag) > 2 && r.etag[0] == '"');
        reply_done(&r);
    }
}

/* Patches that are fine, and patches that take them back. */
static const struct {
    const char *patch, *undo;
} patches[] = {
    {"{\"mode\": \"off\"}", "{\"mode\": null}"},
    {"{\"mode\": \"all\"}", "{\"mode\": null}"},
    {"{\"mode\": \"selective\"}", "{\"mode\": null}"},
    {"{\"scope_mode\": \"agent\"}", "{\"scope_mode\": null}"},
    {"{\"scope_mode\": \"shared\"}", "{\"scope_mode\": null}"},
    {"{\"workspace_access\": \"none\"}", "{\"workspace_access\": null}"},
    {"{\"workspace_access\": \"ro\"}", "{\"workspace_access\": null}"},
    {"{\"resource_limits\": {\"cpu_cores\": 0.25}}",
     "{\"resource_limits\": {\"cpu_cores\": null}}"},
    {"{\"resource_limits\": {\"memory_mb\": 64}}", "{\"resource_limits\": {\"memory_mb\": null}}"},
    {"{\"resource_limits\": {\"disk_mb\": 1}}", "{\"resource_limits\": {\"disk_mb\": null}}"},
    {"{\"resource_limits\": {\"max_processes\": 7}}", "{\"resource_limits\": null}"},
    {"{\"resource_limits\": {\"timeout_seconds\": 1}}",
     "{\"resource_limits\": {\"timeout_seconds\": null}}"},
    {"{\"resource_limits\": {\"memory_mb\": 99, \"disk_mb\": 98}}", "{\"resource_limits\": null}"},
    {"{\"network_policy\": {\"enabled\": true}}", "{\"network_policy\": {\"enabled\": null}}"},
    {"{\"network_policy\": {\"allowed_domains\": [\"api.github.com\", \"*.npmjs.org\"]}}",
     "{\"network_policy\": {\"allowed_domains\": null}}"},
    {"{\"network_policy\": {\"blocked_domains\": [\"xn--bcher-kva.example\"]}}",
     "{\"network_policy\": null}"},
    {"{\"network_policy\": {\"blocked_domains\": [\"B\u00fcCHER.example.\", \"192.0.2.7\","
     " \"[2001:db8::7]\"]}}",
     "{\"network_policy\": null}"},
    {"{\"network_policy\": {\"allowed_domains\": []}}", "{\"network_policy\": null}"},
    {"{\"mode\": \"all\", \"network_policy\": {\"enabled\": true, \"allowed_domains\":"
     " [\"api.github.com\", \"registry.npmjs.org\"]}}",
     "{\"mode\": null, \"network_policy\": null}"},
};

static void
every_field_can_be_patched_and_null_returns_it_to_its_default(void **state)
{
    struct reply before = fetch(ADMIN, "/config");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
        json_auto_t *patch = json_loads(patches[i].patch, 0, NULL);
        json_auto_t *expected = json_deep_copy(before.json);
        struct reply changed = put(patches[i].patch);
        struct reply seen = fetch(ALICE, "/config");
        struct reply undone = put(patches[i].undo);

        assert_int_equal(json_object_update_recursive(expected, patch), 0);
        assert_status(&changed, 200);
        if (!json_equal(changed.json, expected) || !json_equal(seen.json, expected))
            fail_msg("%s gave %s", patches[i].patch, changed.body);
        assert_string_equal(changed.etag, seen.etag);
        assert_int_equal(strcmp(changed.etag, before.etag) == 0, json_equal(before.json, expected));
        assert_status(&undone, 200);
        if (!json_equal(undone.json, before.json))
            fail_msg("%s gave %s", patches[i].undo, undone.body);
        assert_string_equal(undone.etag, before.etag);
        reply_done(&changed);
        reply_done(&seen);
        reply_done(&undone);
    }
    reply_done(&before);
}

static void
patches_add_up_and_arrays_are_replaced(void **state)
{
    struct reply r;

    (void)state;
    r = put("{\"network_policy\": {\"allowed_domains\": [\"a.example\", \"b.example\"]}}");
    assert_status(&r, 200);
    reply_done(&r);
    r = put("{\"network_policy\": {\"blocked_domains\": [\"c.example\"]}}");
    assert_status(&r, 200);
    assert_int_equal(json_array_size(at(&r, "network_policy.allowed_domains")), 2);
    reply_done(&r);
    r = put("{\"network_policy\": {\"allowed_domains\": [\"d.example\"]}}");
    assert_status(&r, 200);
    assert_int_equal(json_array_size(at(&r, "network_policy.allowed_domains")), 1);
    assert_string_equal(text_at(&r, "network_policy.allowed_domains.0"), "d.example");
    assert_string_equal(text_at(&r, "network_policy.blocked_domains.0"), "c.example");
    reply_done(&r);
    r = put("{}");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "network_policy.allowed_domains.0"), "d.example");
    reply_done(&r);
}

static void
numbers_are_written_as_they_were_sent(void **state)
{
    struct reply r = put("{\"resource_limits\": {\"cpu_cores\": 0.1}}");

    (void)state;
    assert_status(&r, 200);
    assert_non_null(strstr(r.body, "\"cpu_cores\":0.1,"));
    reply_done(&r);
}

#define LIMIT(field, value)                                                                        \
    "{\"resource_limits\": {\"" field "\": " value "}}", "/resource_limits/" field
#define DOMAIN(domain)                                                                             \
    "{\"network_policy\": {\"allowed_domains\": [\"fine.example\", " domain "]}}",                 \
        "/network_policy/allowed_domains/1"

/* Patches that are refused, and where the answer has to point. */
static const struct {
    const char *patch, *pointer;
} refused[] = {
    {"{\"mode\": \"on\"}", "/mode"},
    {"{\"mode\": \"ALL\"}", "/mode"},
    {"{\"mode\": \"\"}", "/mode"},
    {"{\"mode\": true}", "/mode"},
    {"{\"mode\": [\"all\"]}", "/mode"},
    {"{\"mode\": {\"all\": null}}", "/mode"},
    {"{\"scope_mode\": \"everyone\"}", "/scope_mode"},
    {"{\"workspace_access\": \"rwx\"}", "/workspace_access"},
    {"{\"resource_limits\": []}", "/resource_limits"},
    {"{\"resource_limits\": 5}", "/resource_limits"},
    {LIMIT("cpu_cores", "0")},
    {LIMIT("cpu_cores", "-1")},
    {LIMIT("cpu_cores", "\"1\"")},
    {LIMIT("cpu_cores", "1e9")},
    {LIMIT("cpu_cores", "true")},
    {LIMIT("memory_mb", "15")},
    {LIMIT("memory_mb", "512.0")},
    {LIMIT("memory_mb", "-512")},
    {LIMIT("memory_mb", "9223372036854775807")},
    {LIMIT("disk_mb", "0")},
    {LIMIT("disk_mb", "\"2048\"")},
    {LIMIT("max_processes", "0")},
    {LIMIT("max_processes", "{}")},
    {LIMIT("timeout_seconds", "0")},
    {LIMIT("timeout_seconds", "86401")},
    {LIMIT("gpus", "1")},
    {LIMIT("gpus", "null")},
    {"{\"network_policy\": null, \"network_polics\": null}", "/network_polics"},
    {"{\"network_policy\": {\"enabled\": \"true\"}}", "/network_policy/enabled"},
    {"{\"network_policy\": {\"enabled\": 1}}", "/network_policy/enabled"},
    {"{\"network_policy\": {\"allowed_domains\": \"a.example\"}}",
     "/network_policy/allowed_domains"},
    {"{\"network_policy\": {\"blocked_domains\": {\"0\": \"a.example\"}}}",
     "/network_policy/blocked_domains"},
    {DOMAIN("7")},
    {DOMAIN("null")},
    {DOMAIN("\"\"")},
    {DOMAIN("\"*\"")},
    {DOMAIN("\"*.*.example\"")},
    {DOMAIN("\"a*.example\"")},
    {DOMAIN("\"a..example\"")},
    {DOMAIN("\".example\"")},
    {DOMAIN("\"-a.example\"")},
    {DOMAIN("\"a.example-\"")},
    {DOMAIN("\"two words.example\"")},
    {DOMAIN("\"https://a.example\"")},
    {DOMAIN("\"a.example/path\"")},
    {DOMAIN("\"a.example:443\"")},
    {DOMAIN("\"user@b\\u00fccher.example\"")},
    {DOMAIN("\"b\\u00fccher\\uff0fa.example\"")},
    {DOMAIN("\"xn--a.example\"")},
    {DOMAIN("\"192.0.2.256\"")},
    {DOMAIN("\"192.0.2.0/24\"")},
    {DOMAIN("\"*.192.0.2.7\"")},
    {DOMAIN("\"[2001:db8::7\"")},
    {DOMAIN("\"2001:db8::7%eth0\"")},
    {DOMAIN("\"a.example\\n\"")},
    {DOMAIN(
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example\"")},
    {"{\"modes\": \"all\"}", "/modes"},
    {"{\"\": 1}", "/"},
    {"{\"a/b~c\": 1}", "/a~1b~0c"},
    {"{\"selective\": {\"untiered\": false}}", "/selective"},
    {"{\"service\": {\"workers\": 8}}", "/service"},
    {"[]", ""},
    {"\"off\"", ""},
    {"null", ""},
    {"5", ""},
};

static void
a_patch_with_a_bad_value_is_refused_as_a_whole(void **state)
{
    struct reply before = fetch(ADMIN, "/config");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        _cleanup_(freep) char *with_good = NULL;
        struct reply r = put(refused[i].patch), after;

        if (r.status != 422)
            fail_msg("%s gave %ld %s", refused[i].patch, r.status, r.body);
        assert_violation(&r, refused[i].pointer);
        reply_done(&r);
        if (refused[i].patch[0] == '{') {
            assert_true(
                asprintf(&with_good, "{\"scope_mode\": \"shared\", %s", refused[i].patch + 1) > 0);
            r = call(ADMIN, "PUT", "/config", with_good, NULL);
            assert_true(r.status == 422 || r.status == 400); /* 400: scope_mode is there twice */
            reply_done(&r);
        }
        after = fetch(ADMIN, "/config");
        assert_true(json_equal(after.json, before.json));
        assert_string_equal(after.etag, before.etag);
        reply_done(&after);
    }
    reply_done(&before);
}

static void
every_bad_value_is_named(void **state)
{
    struct reply r = put("{\"mode\": \"on\", \"scope\": 1, \"resource_limits\": {\"cpu_cores\": 0,"
                         " \"memory_mb\": 1}, \"workspace_access\": \"ro\"}");

    (void)state;
    assert_violation(&r, "/mode");
    assert_violation(&r, "/scope");
    assert_violation(&r, "/resource_limits/cpu_cores");
    assert_violation(&r, "/resource_limits/memory_mb");
    assert_int_equal(json_array_size(at(&r, "errors")), 4);
    reply_done(&r);
}

static struct reply
put_if(const char *patch, const char *tag)
{
    char header[256];

    snprintf(header, sizeof(header), "If-Match: %s", tag);
    return call(ADMIN, "PUT", "/config", patch, header, NULL);
}

static void
if_match_guards_against_lost_updates(void **state)
{
    struct reply before = fetch(ADMIN, "/config");
    struct reply first, r;
    char list[200];

    (void)state;
    first = put_if("{\"mode\": \"all\"}", before.etag);
    assert_status(&first, 200);
    r = put_if("{\"mode\": \"off\"}", before.etag);
    assert_problem(&r, 412, "precondition_failed");
    reply_done(&r);
    r = put_if("{\"mode\": \"off\"}", "unquoted");
    assert_problem(&r, 412, "precondition_failed");
    reply_done(&r);
    snprintf(list, sizeof(list), "W/%s", first.etag);
    r = put_if("{\"mode\": \"off\"}", list); /* RFC 9110: a weak tag never matches here */
    assert_problem(&r, 412, "precondition_failed");
    reply_done(&r);
    r = fetch(ADMIN, "/config");
    assert_string_equal(text_at(&r, "mode"), "all");
    reply_done(&r);
    snprintf(list, sizeof(list), "%s, %s", before.etag, first.etag);
    r = put_if("{\"scope_mode\": \"agent\"}", list);
    assert_status(&r, 200);
    reply_done(&r);
    r = put_if("{\"mode\": null, \"scope_mode\": null}", "*");
    assert_status(&r, 200);
    assert_string_equal(r.etag, before.etag);
    reply_done(&r);
    reply_done(&first);
    reply_done(&before);
}

static void
of_several_writers_with_one_tag_one_wins(void **state)
{
    struct reply before = fetch(ADMIN, "/config");
    struct parallel calls[8];
    char header[128], bodies[ARRAY_LEN(calls)][64];
    int won = 0;

    (void)state;
    snprintf(header, sizeof(header), "If-Match: %s", before.etag);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        snprintf(bodies[i], sizeof(bodies[i]), "{\"resource_limits\": {\"max_processes\": %zu}}",
                 i + 10);
        calls[i] = (struct parallel){
            .user = ADMIN, .method = "PUT", .path = "/config", .body = bodies[i], .header = header};
    }
    call_parallel(calls, ARRAY_LEN(calls));
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_true(calls[i].reply.status == 200 || calls[i].reply.status == 412);
        won += calls[i].reply.status == 200;
        reply_done(&calls[i].reply);
    }
    assert_int_equal(won, 1);
    reply_done(&before);
}

static void
a_change_is_in_force_at_once_in_every_process(void **state)
{
    static const char *const modes[] = {"off", "all", "off", "selective"};
    struct parallel calls[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char patch[64];
        struct reply r;

        snprintf(patch, sizeof(patch), "{\"mode\": \"%s\"}", modes[i]);
        r = put(patch);
        assert_status(&r, 200);
        reply_done(&r);
        for (size_t k = 0; k < ARRAY_LEN(calls); k++)
            calls[k] = (struct parallel){
                .user = ALICE, .method = "GET", .path = k % 2 ? "/config" : "/status"};
        call_parallel(calls, ARRAY_LEN(calls));
        for (size_t k = 0; k < ARRAY_LEN(calls); k++) {
            assert_string_equal(text_at(&calls[k].reply, "mode"), modes[i]);
            reply_done(&calls[k].reply);
        }
    }
}

static void
mode_off_refuses_the_next_execution(void **state)
{
    struct reply r = put("{\"mode\": \"off\"}");

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    r = execute(ALICE, "{s:s}", "command", "true");
    assert_problem(&r, 409, "sandboxing_off");
    reply_done(&r);
    r = put("{\"mode\": null}");
    reply_done(&r);
    r = execute(ALICE, "{s:s}", "command", "true");
    assert_status(&r, 200);
    reply_done(&r);
}

static void
only_an_admin_may_change_it(void **state)
{
    static const struct {
        const char *user;
        long status;
        const char *code;
    } cases[] = {{ALICE, 403, "forbidden"},
                 {BOB, 403, "forbidden"},
                 {VIEWER, 403, "forbidden"},
                 {NULL, 401, "unauthenticated"}};
    struct reply before = fetch(ADMIN, "/config"), after;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(cases[i].user, "PUT", "/config", "{\"mode\": \"off\"}", NULL);

        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
        r = call(cases[i].user, "PUT", "/config", "{\"nonsense\": 1}", NULL);
        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
    }
    after = fetch(ADMIN, "/config");
    assert_true(json_equal(before.json, after.json));
    reply_done(&before);
    reply_done(&after);
}

/* Write @text to the server's sandbox.yaml, with what a reader may see half-written avoided. */
static void
write_yaml(const char *text)
{
    char path[STEP_PATH_SIZE], fresh[STEP_PATH_SIZE];
    FILE *f;

    state_path("yaml/sandbox.yaml", path);
    state_path("yaml/sandbox.yaml.new", fresh);
    f = fopen(fresh, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void
what_was_put_lies_over_the_yaml_and_survives_a_reload(void **state)
{
    _cleanup_(freep) char *yaml = state_file("yaml/sandbox.yaml");
    _cleanup_(freep) char *edited = NULL;
    const char *line = yaml ? strstr(yaml, "disk_mb: 2048") : NULL;
    struct reply r;

    (void)state;
    assert_non_null(line);
    assert_true(asprintf(&edited, "%.*sdisk_mb: 3072%s", (int)(line - yaml), yaml,
                         line + strlen("disk_mb: 2048")) > 0);
    r = put("{\"resource_limits\": {\"memory_mb\": 100}}");
    assert_status(&r, 200);
    reply_done(&r);
    write_yaml(edited);
    reload_until("/config", "resource_limits.disk_mb", "3072");
    r = fetch(ADMIN, "/config");
    assert_int_equal(int_at(&r, "resource_limits.memory_mb"), 100);
    reply_done(&r);
    r = put("{\"resource_limits\": {\"disk_mb\": 1000}}");
    assert_int_equal(int_at(&r, "resource_limits.disk_mb"), 1000);
    reply_done(&r);
    r = put("{\"resource_limits\": {\"disk_mb\": null}}");
    assert_int_equal(int_at(&r, "resource_limits.disk_mb"), 3072);
    assert_int_equal(int_at(&r, "resource_limits.memory_mb"), 100);
    reply_done(&r);
    write_yaml(yaml);
    reload_until("/config", "resource_limits.disk_mb", "2048");
}

int
suite_config(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(config_has_the_shape_that_was_asked_for, reset),
        cmocka_unit_test_teardown(every_field_can_be_patched_and_null_returns_it_to_its_default,
                                  reset),
        cmocka_unit_test_teardown(patches_add_up_and_arrays_are_replaced, reset),
        cmocka_unit_test_teardown(numbers_are_written_as_they_were_sent, reset),
        cmocka_unit_test_teardown(a_patch_with_a_bad_value_is_refused_as_a_whole, reset),
        cmocka_unit_test_teardown(every_bad_value_is_named, reset),
        cmocka_unit_test_teardown(if_match_guards_against_lost_updates, reset),
        cmocka_unit_test_teardown(of_several_writers_with_one_tag_one_wins, reset),
        cmocka_unit_test_teardown(a_change_is_in_force_at_once_in_every_process, reset),
        cmocka_unit_test_teardown(mode_off_refuses_the_next_execution, reset),
        cmocka_unit_test_teardown(only_an_admin_may_change_it, reset),
        cmocka_unit_test_teardown(what_was_put_lies_over_the_yaml_and_survives_a_reload, reset),
    };

    return cmocka_run_group_tests_name("api: config", tests, NULL, NULL);
}
