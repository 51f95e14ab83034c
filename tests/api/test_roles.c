/*
 * Roles: a walk over the tables of routes. Each role gets what the contract (walk.c) says of each
 * route, and the refusal comes before anything else is looked at; a viewer changes nothing.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/walk.h"

static const struct {
    const char *user;
    int role;
} people[] = {{VIEWER, ROLE_VIEWER}, {BOB, ROLE_USER}, {ADMIN, ROLE_ADMIN}};

/* Alice's, with a snapshot and an execution. */
static struct {
    char container[STEP_ID_SIZE], snapshot[STEP_ID_SIZE], entry[STEP_ID_SIZE];
} things;

static int
things_open(void **state)
{
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"roles\", \"session_id\": \"1\"}", things.container);
    r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", "roles", "session_id", "1", "command",
                "sleep 300", "background", 1);
    assert_status(&r, 202);
    snprintf(things.entry, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/snapshots", things.container);
    assert_status(&r, 201);
    snprintf(things.snapshot, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    return 0;
}

static char *
path_of(const struct step *step)
{
    switch (step->ids) {
    case WALK_ENTRY:
        return walk_path(step, things.entry, NULL);
    case WALK_SHARED:
        return walk_path(step, "base", NULL);
    case WALK_NONE:
    case WALK_CONTAINER:
    case WALK_SNAPSHOT:
        break;
    }
    return walk_path(step, things.container, things.snapshot);
}

/*
 * A body of no kind that any route takes: a route says so (415, 422), but only to those who may use
 * it, and then does nothing.
 */
static struct reply
knock(const char *user, const struct step *step)
{
    static const char body[] = "no JSON";
    _cleanup_(freep) char *path = path_of(step);

    return call_raw(user, step->method, path, body, sizeof(body) - 1, "text/plain");
}

static void
each_role_at(const struct route *route, const struct step *step)
{
    struct reply r = knock(NULL, step);

    print_message("    %s %s\n", step->method, step->path);
    assert_int_equal(route->role, step->role);
    assert_problem(&r, 401, "unauthenticated");
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(people); i++) {
        r = knock(people[i].user, step);
        if (people[i].role < step->role)
            assert_problem(&r, 403, "forbidden");
        else if (r.status != 415 && r.status != 422)
            fail_msg("%s: %ld: %s", people[i].user, r.status, r.body);
        reply_done(&r);
    }
}

static void
each_role_gets_what_the_table_of_routes_says(void **state)
{
    (void)state;
    walk_check_steps();
    walk(each_role_at);
}

/* All that a viewer could have changed. */
static json_t *
all_there_is(void)
{
    static const char *const members[] = {"id", "status", "executions_count", "labels"};
    struct reply config = fetch(ADMIN, "/config"), templates = fetch(ADMIN, "/templates");
    struct reply ran = fetch(ADMIN, "/audit?limit=500"), did = fetch(ADMIN, "/audit?kind=change");
    struct reply kept = act(ALICE, "GET", "/containers/%s/snapshots", things.container);
    struct reply list = fetch(ADMIN, "/containers?limit=500");
    json_t *containers = json_array(), *item, *all;
    size_t i;

    json_array_foreach(at(&list, "containers"), i, item)
    {
        json_t *stable = json_object();

        for (size_t k = 0; k < ARRAY_LEN(members); k++)
            json_object_set(stable, members[k], json_object_get(item, members[k]));
        json_array_append_new(containers, stable);
    }
    all = json_pack("{s:O, s:O, s:O, s:O, s:O, s:o}", "config", config.json, "templates",
                    at(&templates, "templates"), "ran", at(&ran, "entries"), "did",
                    at(&did, "entries"), "kept", at(&kept, "snapshots"), "containers", containers);
    assert_non_null(all);
    reply_done(&config);
    reply_done(&templates);
    reply_done(&ran);
    reply_done(&did);
    reply_done(&kept);
    reply_done(&list);
    return all;
}

/* All that is not a GET, with the ids of what is there and a body that would do. */
static void
a_viewer_at(const struct route *route, const struct step *step)
{
    _cleanup_(freep) char *path = path_of(step);
    struct reply r;

    if (strcmp(route->method, "GET") == 0)
        return;
    r = call(VIEWER, step->method, path, step->body, "Idempotency-Key: viewer", NULL);
    if (strcmp(step->path, "/explain") == 0) /* which changes nothing, for nobody */
        assert_status(&r, 200);
    else
        assert_problem(&r, 403, "forbidden");
    reply_done(&r);
}

static void
a_viewer_changes_nothing(void **state)
{
    json_auto_t *before = all_there_is(), *after = NULL;

    (void)state;
    walk(a_viewer_at);
    after = all_there_is();
    assert_true(json_equal(before, after));
}

int
suite_roles(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_gets_what_the_table_of_routes_says),
        cmocka_unit_test(a_viewer_changes_nothing),
    };

    return cmocka_run_group_tests_name("api: roles", tests, things_open, remove_containers);
}
