/*
 * Tenants do not see each other: walks over the tables of routes as bob, who is told what alice has
 * and looks for it in every answer that he can get.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/outage.h"
#include "tests/api/suite.h"
#include "tests/api/tenants.h"
#include "tests/api/walk.h"

enum { PATIENCE_SECONDS = 90, VALUES_MAX = 64 };

#define MISSING_CONTAINER "container_5f1c93d2ab07"
#define MISSING_SNAPSHOT "snapshot_5f1c93d2ab07"
#define MISSING_ENTRY "exec_5f1c93d2ab07e468"
#define MISSING_CURSOR "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* What bob is told of himself, before and after alice has made all that she has. */
static const struct {
    const char *path;
    const char *except; /* a member that changes by itself; NULL: none */
} figures[] = {
    {"/status", "uptime_seconds"},
    {"/whoami", NULL},
    {"/audit", NULL},
    {"/audit?kind=change", NULL},
    {"/audit/summary", NULL},
    {"/templates", NULL},
    {"/gpu", NULL},
    {"/tiers", NULL},
    {"/config", NULL},
};

static json_t *
figures_of(const char *user)
{
    json_t *all = json_object();

    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        struct reply r = fetch(user, "%s", figures[i].path);

        if (figures[i].except)
            json_object_del(r.json, figures[i].except);
        json_object_set(all, figures[i].path, r.json);
        reply_done(&r);
    }
    return all;
}

static json_t *bob_before;

static int
tenants_open(void **state)
{
    (void)state;
    tenant_make_bob();
    bob_before = figures_of(BOB);
    tenant_make_alice();
    return 0;
}

static int
tenants_close(void **state)
{
    json_decref(bob_before);
    return remove_containers(state);
}

static void
nothing_that_alice_does_changes_bobs_figures(void **state)
{
    json_auto_t *now = figures_of(BOB);
    const char *path;
    json_t *value;

    (void)state;
    json_object_foreach(now, path, value)
    {
        _cleanup_(freep) char *is = json_dumps(value, 0);

        if (!json_equal(value, json_object_get(bob_before, path)))
            fail_msg("%s of bob's has changed: %s", path, is);
    }
}

/* Ids that stand in a path, and those of nothing that take their place. */
struct swap {
    const char *first, *second;
    const char *missing_first, *missing_second;
};

/* Ask for both as @user, and fail the test unless the answers are one. @status 0: any. */
static void
assert_same(const char *user, const struct step *step, const struct swap *s, const char *accept,
            long status)
{
    const char *key = strcmp(step->method, "POST") == 0 ? "Idempotency-Key: walked" : NULL;
    _cleanup_(freep) char *path = walk_path(step, s->first, s->second);
    _cleanup_(freep) char *nowhere = walk_path(step, s->missing_first, s->missing_second);
    struct raw there = tenant_ask(user, step->method, path, step->body, accept, key);
    struct raw missing = tenant_ask(user, step->method, nowhere, step->body, accept,
                                    key ? "Idempotency-Key: walked-too" : NULL);

    if (there.status != missing.status || strcmp(there.text, missing.text) != 0)
        fail_msg("%s %s is not as a missing one:\n%s\n%s", step->method, path, there.text,
                 missing.text);
    if (status && there.status != status)
        fail_msg("%s %s: %ld: %s", step->method, path, there.status, there.text);
    free(there.text);
    free(missing.text);
}

static void
try_swap(const struct step *step, struct swap s)
{
    assert_same(BOB, step, &s, NULL, step->role > ROLE_USER ? 403 : 404);
    assert_same(BOB, step, &s, "Accept: text/event-stream", step->role > ROLE_USER ? 403 : 404);
    assert_same(VIEWER, step, &s, NULL, step->role > ROLE_VIEWER ? 403 : 404);
}

static void
try_snapshots(const struct step *step)
{
    const struct tenant *a = &tenant_alice, *b = &tenant_bob;

    try_swap(step,
             (struct swap){a->containers[0], a->snapshot, MISSING_CONTAINER, MISSING_SNAPSHOT});
    try_swap(step,
             (struct swap){b->containers[0], a->snapshot, b->containers[0], MISSING_SNAPSHOT});
    try_swap(step, (struct swap){a->containers[0], b->snapshot, MISSING_CONTAINER, b->snapshot});
    try_swap(step, (struct swap){a->containers[0], MISSING_SNAPSHOT, MISSING_CONTAINER,
                                 MISSING_SNAPSHOT});
}

static void
try_ids(const struct route *route, const struct step *step)
{
    const struct tenant *a = &tenant_alice;

    if (strchr(route->path, '{'))
        print_message("    %s %s\n", route->method, route->path);
    switch (step->ids) {
    case WALK_CONTAINER:
        for (size_t i = 0; i < TENANT_CONTAINERS; i++)
            try_swap(step, (struct swap){a->containers[i], NULL, MISSING_CONTAINER, NULL});
        break;
    case WALK_SNAPSHOT:
        try_snapshots(step);
        break;
    case WALK_ENTRY:
        for (size_t i = 0; i < TENANT_ENTRIES; i++)
            try_swap(step, (struct swap){a->entries[i], NULL, MISSING_ENTRY, NULL});
        break;
    case WALK_NONE:
    case WALK_SHARED:
        assert_true(step->ids == WALK_SHARED || !strchr(route->path, '{'));
        break;
    }
}

static void
each_id_of_alices_is_a_missing_one_to_bob(void **state)
{
    json_auto_t *before = tenant_state(), *after = NULL;

    (void)state;
    walk(try_ids);
    after = tenant_state();
    assert_true(json_equal(before, after));
}

/* A parameter with a value of alice's, and with one of nobody's. */
struct pair {
    char text[160], nobodys[160];
};

static char alices_cursor[160];

/* What @f can be in a query, in @out; returns how many. */
static size_t
values_of(const struct field *f, struct pair out[VALUES_MAX])
{
    static const char *const known[][3] = {
        {"agent_id", NEEDLE "-a", "nobodys-a"},
        {"session_id", NEEDLE "-s", "nobodys-s"},
        {"container_id", tenant_alice.containers[0], MISSING_CONTAINER},
        {"owner", ALICE, "nobody"},
        {"user", ALICE, "nobody"},
        {"cursor", alices_cursor, MISSING_CURSOR},
        {"tier", "Standard", "Standard"},
        {"since", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"},
        {"until", "2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"},
    };
    size_t count = 0;

    if (f->type == FIELD_INT)
        for (size_t i = 0; i < 2; i++)
            snprintf(out[count++].text, sizeof(out->text), "%s=%lld", f->name,
                     (long long)(i ? f->max : f->min));
    for (size_t i = 0; f->type == FIELD_ENUM && f->values[i]; i++)
        snprintf(out[count++].text, sizeof(out->text), "%s=%s", f->name, f->values[i]);
    for (size_t i = 0; i < count; i++)
        snprintf(out[i].nobodys, sizeof(out->nobodys), "%s", out[i].text);
    for (size_t i = 0; count == 0 && i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i][0], f->name) != 0)
            continue;
        snprintf(out[0].text, sizeof(out->text), "%s=%s", f->name, known[i][1]);
        snprintf(out[0].nobodys, sizeof(out->nobodys), "%s=%s", f->name, known[i][2]);
        count = 1;
    }
    if (count == 0)
        fail_msg("the test has no value for the parameter '%s'", f->name);
    return count;
}

/* What bob gets holds nothing of alice's, whatever he accepts. */
static void
look(const char *path, const char *query)
{
    static const char *const accepts[] = {NULL, "Accept: application/x-ndjson",
                                          "Accept: text/event-stream"};
    char url[1024];

    snprintf(url, sizeof(url), "%s%s%s", path, query[0] ? "?" : "", query);
    for (size_t i = 0; i < ARRAY_LEN(accepts); i++) {
        struct raw r = tenant_ask(BOB, "GET", url, NULL, accepts[i], NULL);

        tenant_assert_clean(&r, url);
        free(r.text);
    }
}

/* A question for what is alice's is answered as one for what nobody has. */
static void
compare(const char *path, const char *query, const char *nobodys)
{
    char url[1024], other[1024];
    struct raw r, missing;

    snprintf(url, sizeof(url), "%s?%s", path, query);
    snprintf(other, sizeof(other), "%s?%s", path, nobodys);
    r = tenant_ask(BOB, "GET", url, NULL, NULL, NULL);
    missing = tenant_ask(BOB, "GET", other, NULL, NULL, NULL);
    if (strcmp(r.text, missing.text) != 0)
        fail_msg("%s is not as %s:\n%s\n%s", url, other, r.text, missing.text);
    free(r.text);
    free(missing.text);
}

static void
look_with(const char *path, const struct pair *a, const struct pair *b)
{
    char query[512], nobodys[512];

    snprintf(query, sizeof(query), "%s%s%s", a->text, b ? "&" : "", b ? b->text : "");
    snprintf(nobodys, sizeof(nobodys), "%s%s%s", a->nobodys, b ? "&" : "", b ? b->nobodys : "");
    look(path, query);
    if (strcmp(query, nobodys) != 0)
        compare(path, query, nobodys);
}

/* Every parameter of @route with each of its values, alone and with each value of each other. */
static void
look_at_parameters(const struct route *route, const char *path)
{
    static struct pair mine[VALUES_MAX], others[VALUES_MAX];

    for (const struct field *f = route->query; f && f->name; f++) {
        size_t count = values_of(f, mine);

        for (size_t i = 0; i < count; i++) {
            look_with(path, &mine[i], NULL);
            for (const struct field *g = f + 1; g->name; g++) {
                size_t more = values_of(g, others);

                for (size_t k = 0; k < more; k++)
                    look_with(path, &mine[i], &others[k]);
            }
        }
    }
}

static void
look_at(const struct route *route, const struct step *step)
{
    _cleanup_(freep) char *path = NULL;

    if (strcmp(route->method, "GET") != 0)
        return;
    print_message("    %s\n", route->path);
    if (step->ids == WALK_ENTRY)
        path = walk_path(step, tenant_bob.entries[0], NULL);
    else if (step->ids == WALK_SHARED)
        path = walk_path(step, "base", NULL);
    else
        path = walk_path(step, tenant_bob.containers[0], tenant_bob.snapshot);
    look(path, "");
    look_at_parameters(route, path);
}

static void
no_answer_of_bobs_holds_anything_of_alices(void **state)
{
    struct reply r = fetch(ALICE, "/audit?limit=1");

    (void)state;
    snprintf(alices_cursor, sizeof(alices_cursor), "%s", text_at(&r, "next_cursor"));
    reply_done(&r);
    walk(look_at);
}

/* A cursor tells no number, and goes on only with the list, and for the one, that it is of. */
static void
a_cursor_is_its_readers_and_its_lists(void **state)
{
    struct reply first = fetch(ALICE, "/audit?limit=1&agent_id=" NEEDLE "-a");
    struct reply again = fetch(ALICE, "/audit?limit=1&agent_id=" NEEDLE "-a");
    const char *cursor = text_at(&first, "next_cursor");
    const struct {
        const char *user, *query;
        long status;
    } cases[] = {
        {ALICE, "/audit?agent_id=" NEEDLE "-a", 200},
        {ALICE, "/audit?agent_id=" NEEDLE "-a&limit=7", 200},
        {BOB, "/audit?agent_id=" NEEDLE "-a", 400},
        {ADMIN, "/audit?agent_id=" NEEDLE "-a", 400},
        {ALICE, "/audit?agent_id=other", 400},
        {ALICE, "/audit?agent_id=" NEEDLE "-a&kind=change", 400},
        {ALICE, "/audit?kind=execution", 400},
        {ALICE, "/containers?agent_id=" NEEDLE "-a", 400},
    };

    (void)state;
    assert_string_not_equal(cursor, text_at(&again, "next_cursor"));
    assert_int_equal(strlen(cursor), strlen(MISSING_CURSOR));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = act(cases[i].user, "GET", "%s&cursor=%s", cases[i].query, cursor);

        print_message("    %s: %s\n", cases[i].user, cases[i].query);
        if (cases[i].status == 200)
            assert_status(&r, 200);
        else
            assert_problem(&r, cases[i].status, "bad_query");
        reply_done(&r);
    }
    reply_done(&first);
    reply_done(&again);
}

/* Bob uses alice's names and keys as if they were his: he gets things of his own. */
static void
names_and_keys_of_alices_are_free_to_bob(void **state)
{
    static const char key[] = "Idempotency-Key: " NEEDLE,
                      body[] = "{\"agent_id\": \"twice\", \"session_id\": \"twice\"}",
                      run[] = "{\"agent_id\": \"twice\", \"session_id\": \"twice\","
                              " \"command\": \"echo \\\"$0\\\"; ls -A /workspace\"}";
    struct reply hers = call(ALICE, "POST", "/containers", body, key, NULL);
    struct reply his = call(BOB, "POST", "/containers", body, key, NULL), r;

    (void)state;
    assert_status(&hers, 201);
    assert_status(&his, 201);
    assert_string_equal(his.replayed, "");
    assert_string_not_equal(text_at(&hers, "id"), text_at(&his, "id"));
    r = call(ALICE, "POST", "/execute", run, "Idempotency-Key: " NEEDLE "-2", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    /* another body with alice's key, which is a 409 to her */
    r = call(ALICE, "POST", "/execute", "{\"command\": \"true\"}", "Idempotency-Key: " NEEDLE "-2",
             NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    r = call(BOB, "POST", "/execute", "{\"command\": \"true\"}", "Idempotency-Key: " NEEDLE "-2",
             NULL);
    assert_status(&r, 200);
    assert_string_equal(r.replayed, "");
    reply_done(&r);
    reply_done(&hers);
    reply_done(&his);
}

/* Nothing is asked of the engine before it is known whose the id is. */
static void
ids_are_judged_without_the_engine(void **state)
{
    (void)state;
    outage_begin();
    walk(try_ids);
}

static int
engine_back(void **state)
{
    (void)state;
    outage_end();
    wait_until(outage_is_over, NULL, PATIENCE_SECONDS, "docker_available");
    return 0;
}

int
suite_isolation(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_alice_does_changes_bobs_figures),
        cmocka_unit_test(each_id_of_alices_is_a_missing_one_to_bob),
        cmocka_unit_test(no_answer_of_bobs_holds_anything_of_alices),
        cmocka_unit_test(a_cursor_is_its_readers_and_its_lists),
        cmocka_unit_test(names_and_keys_of_alices_are_free_to_bob),
        cmocka_unit_test_teardown(ids_are_judged_without_the_engine, engine_back),
    };

    return cmocka_run_group_tests_name("api: isolation", tests, tenants_open, tenants_close);
}
