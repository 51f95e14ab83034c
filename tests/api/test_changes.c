/* The change entries that administrative acts leave in the audit log. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

/* How many change entries @user sees. */
static size_t
changes_of(const char *user)
{
    struct reply r = fetch(user, "/audit?kind=change&limit=500");
    size_t n = json_array_size(at(&r, "entries"));

    reply_done(&r);
    return n;
}

/* The newest change entry that @user sees. The caller frees the page. */
static struct reply
newest(const char *user)
{
    return fetch(user, "/audit?kind=change&limit=1");
}

static void
a_change_of_the_config_shows_what_differs(void **state)
{
    struct reply r, e;
    size_t count;

    (void)state;
    r = call(ADMIN, "PUT", "/config", "{\"resource_limits\": {\"memory_mb\": 300}}",
             "X-Request-Id: change.1", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    e = newest(ADMIN);
    assert_string_equal(text_at(&e, "entries.0.kind"), "change");
    assert_string_equal(text_at(&e, "entries.0.status"), "completed");
    assert_string_equal(text_at(&e, "entries.0.owner"), ADMIN);
    assert_string_equal(text_at(&e, "entries.0.command"), "PUT /config");
    assert_string_equal(text_at(&e, "entries.0.request_id"), "change.1");
    assert_int_equal(json_object_size(at(&e, "entries.0.before")), 1);
    assert_int_equal(json_object_size(at(&e, "entries.0.after.resource_limits")), 1);
    assert_int_equal(int_at(&e, "entries.0.after.resource_limits.memory_mb"), 300);
    assert_true(int_at(&e, "entries.0.before.resource_limits.memory_mb") != 300);
    reply_done(&e);

    count = changes_of(ADMIN);
    r = call(ADMIN, "PUT", "/config", "{\"resource_limits\": {\"memory_mb\": 300}}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(changes_of(ADMIN), count); /* it changed nothing */
    r = call(ADMIN, "PUT", "/config", "{\"resource_limits\": {\"memory_mb\": null}}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(changes_of(ADMIN), count + 1);
}

static void
an_act_that_is_refused_leaves_no_entry(void **state)
{
    size_t count = changes_of(ADMIN);
    struct reply r;

    (void)state;
    r = call(ADMIN, "PUT", "/config", "{\"resource_limits\": {\"memory_mb\": -1}}", NULL);
    assert_status(&r, 422);
    reply_done(&r);
    r = call(ADMIN, "PUT", "/config", "{\"mode\": \"off\"}", "If-Match: \"other\"", NULL);
    assert_problem(&r, 412, "precondition_failed");
    reply_done(&r);
    r = call(ALICE, "PUT", "/config", "{\"mode\": \"off\"}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/container_000000000000/stop");
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ALICE, "DELETE", "/containers/container_000000000000");
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = call(ALICE, "POST", "/containers", "{\"agent_id\": \"x\", \"tier\": \"Unrestricted\"}",
             NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    assert_int_equal(changes_of(ADMIN), count);
}

/* Write @action with @id for its "%s", if it has one, to @out. */
static void
name_container(const char *action, const char *id, char *out, size_t size)
{
    const char *mark = strstr(action, "%s");

    if (mark)
        snprintf(out, size, "%.*s%s%s", (int)(mark - action), action, id, mark + 2);
    else
        snprintf(out, size, "%s", action);
}

/* The newest entry is @user's of @action on the container @id, which was and is as said ("": was
 * not there). */
static void
assert_change(const char *user, const char *action, const char *id, const char *before,
              const char *after)
{
    struct reply e = newest(user);
    char command[STEP_PATH_SIZE];

    name_container(action, id, command, sizeof(command));
    assert_string_equal(text_at(&e, "entries.0.command"), command);
    assert_string_equal(text_at(&e, "entries.0.owner"), user);
    assert_string_equal(text_at(&e, "entries.0.container_id"), id);
    assert_string_equal(text_at(&e, "entries.0.template"), "base");
    if (before[0])
        assert_string_equal(text_at(&e, "entries.0.before.status"), before);
    else
        assert_true(null_at(&e, "entries.0.before"));
    if (after[0])
        assert_string_equal(text_at(&e, "entries.0.after.status"), after);
    else
        assert_true(null_at(&e, "entries.0.after"));
    reply_done(&e);
}

static void
a_container_s_life_is_told_by_its_changes(void **state)
{
    static const struct {
        const char *user, *method, *path, *before, *after; /* before NULL: nothing changes */
    } steps[] = {
        {ALICE, "POST", "/containers/%s/start", NULL, NULL},
        {ALICE, "POST", "/containers/%s/stop", "running", "stopped"},
        {ALICE, "POST", "/containers/%s/stop", NULL, NULL},
        {ALICE, "POST", "/containers/%s/start", "stopped", "running"},
        {ADMIN, "POST", "/containers/%s/restart", "running", "running"},
        {ALICE, "DELETE", "/containers/%s", "running", ""},
    };
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"life\", \"scope\": \"agent\"}", id);
    {
        struct reply e = newest(ALICE);

        assert_string_equal(text_at(&e, "entries.0.after.agent_id"), "life");
        assert_string_equal(text_at(&e, "entries.0.after.scope"), "agent");
        reply_done(&e);
    }
    r = call(ALICE, "POST", "/containers", "{\"agent_id\": \"life\", \"scope\": \"agent\"}", NULL);
    assert_status(&r, 200); /* it is there */
    reply_done(&r);
    assert_change(ALICE, "POST /containers", id, "", "running");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        size_t count = changes_of(ADMIN);
        char action[64], path[STEP_PATH_SIZE];

        print_message("%s %s\n", steps[i].method, steps[i].path);
        name_container(steps[i].path, id, path, sizeof(path));
        r = act(steps[i].user, steps[i].method, "%s", path);
        assert_true(r.status == 200 || r.status == 204);
        reply_done(&r);
        assert_int_equal(changes_of(ADMIN), count + (steps[i].before != NULL));
        snprintf(action, sizeof(action), "%s %s", steps[i].method, steps[i].path);
        if (steps[i].before)
            assert_change(steps[i].user, action, id, steps[i].before, steps[i].after);
    }
}

static void
changes_are_seen_by_who_made_them_and_by_admins(void **state)
{
    size_t bob = changes_of(BOB), alice = changes_of(ALICE), admin = changes_of(ADMIN);
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"mine\", \"scope\": \"agent\", \"tier\": \"sandbox\"}",
                   id);
    assert_int_equal(changes_of(BOB), bob);
    assert_int_equal(changes_of(ALICE), alice + 1);
    assert_int_equal(changes_of(ADMIN), admin + 1);
    r = fetch(ADMIN, "/audit?kind=change&owner=alice&container_id=%s&tier=SANDBOX", id);
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    reply_done(&r);
    r = fetch(ADMIN, "/audit?kind=change&owner=bob&container_id=%s", id);
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
    r = fetch(ALICE,
              "/audit?kind=change&status=completed&since=2020-01-01T00:00:00Z"
              "&until=2199-01-01T00:00:00Z&container_id=%s",
              id);
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    reply_done(&r);
    r = fetch(ALICE, "/audit?kind=network&container_id=%s", id);
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
    r = fetch(ALICE, "/audit?container_id=%s", id);
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
}

int
suite_changes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_config_shows_what_differs),
        cmocka_unit_test(an_act_that_is_refused_leaves_no_entry),
        cmocka_unit_test_teardown(a_container_s_life_is_told_by_its_changes, remove_containers),
        cmocka_unit_test_teardown(changes_are_seen_by_who_made_them_and_by_admins,
                                  remove_containers),
    };

    return cmocka_run_group_tests_name("api: changes", tests, NULL, NULL);
}
