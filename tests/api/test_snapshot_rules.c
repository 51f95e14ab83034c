/* The resource snapshots: what is refused, and to whom. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"

enum { SNAPSHOTS_MAX = 10 };

static void
a_list_comes_in_pages(void **state)
{
    char ids[3][STEP_ID_SIZE];
    struct reply first, second, bad;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        snap_make("same name", ids[i]);
    first = fetch(ALICE, "%s?limit=2", snap.list);
    assert_int_equal(json_array_size(at(&first, "snapshots")), 2);
    assert_string_equal(text_at(&first, "snapshots.0.id"), ids[2]);
    assert_string_equal(text_at(&first, "snapshots.1.id"), ids[1]);
    second = fetch(ALICE, "%s?limit=2&cursor=%s", snap.list, text_at(&first, "next_cursor"));
    assert_int_equal(json_array_size(at(&second, "snapshots")), 1);
    assert_string_equal(text_at(&second, "snapshots.0.id"), ids[0]);
    assert_true(null_at(&second, "next_cursor"));
    bad = act(ALICE, "GET", "%s?cursor=zebra", snap.list);
    assert_problem(&bad, 400, "bad_query");
    reply_done(&first);
    reply_done(&second);
    reply_done(&bad);
}

static void
a_container_has_a_limited_number(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    for (int i = 0; i < SNAPSHOTS_MAX; i++)
        snap_make(NULL, id);
    r = call(ALICE, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 429, "quota_exceeded");
    reply_done(&r);
    assert_int_equal(snap_count(), SNAPSHOTS_MAX);
    assert_int_equal(snap_images(), SNAPSHOTS_MAX);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_status(&r, 204);
    reply_done(&r);
    snap_make(NULL, id);
}

static void
names_and_bodies_are_checked(void **state)
{
    char huge[32 + 128];
    const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{\"name\": \"\"}", "/name"},
        {"{\"name\": 7}", "/name"},
        {"{\"name\": null}", "/name"},
        {"{\"name\": [\"a\"]}", "/name"},
        {"{\"name\": \"a\\nb\"}", "/name"},
        {"{\"name\": \"\\u001b[31m\"}", "/name"},
        {"{\"name\": \"\\u007f\"}", "/name"},
        {"{\"name\": \"\\u0085\"}", "/name"},
        {huge, "/name"},
        {"{\"nmae\": \"a\"}", "/nmae"},
        {"{\"name\": \"a\", \"image\": \"b\"}", "/image"},
    };
    struct reply r;

    (void)state;
    snprintf(huge, sizeof(huge), "{\"name\": \"%065d\"}", 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].body);
        r = call(ALICE, "POST", snap.list, cases[i].body, NULL);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    r = call(ALICE, "POST", snap.list, "[]", NULL);
    assert_status(&r, 422);
    reply_done(&r);
    r = call(ALICE, "POST", snap.list, "{\"name\": \"a\\u0000\"}", NULL);
    assert_problem(&r, 400, "bad_json");
    reply_done(&r);
    assert_int_equal(snap_count(), 0);
    assert_int_equal(snap_images(), 0);
}

/* Every operation on a snapshot that is not the caller's to see. */
static void
assert_nothing_there(const char *user, const char *container, const char *snapshot)
{
    const struct {
        const char *method, *tail;
    } cases[] = {{"POST", "/rollback"}, {"DELETE", ""}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = act(user, cases[i].method, "/containers/%s/snapshots/%s%s", container,
                             snapshot, cases[i].tail);
        struct reply never =
            act(user, cases[i].method, "/containers/%s/snapshots/snapshot_000000000000%s",
                container, cases[i].tail);

        print_message("%s %s: %s %s%s\n", user, container, cases[i].method, snapshot,
                      cases[i].tail);
        assert_problem(&r, 404, "not_found");
        assert_same_problem(&r, &never);
        reply_done(&r);
        reply_done(&never);
    }
}

static void
what_is_not_ones_own_is_not_there(void **state)
{
    char other[STEP_ID_SIZE], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_prints("echo mine > ~/file", "");
    snap_make(NULL, id);
    make_container(BOB, "{\"agent_id\": \"snap\", \"session_id\": \"1\"}", other);
    assert_nothing_there(BOB, snap.id, id);                       /* another's container */
    assert_nothing_there(BOB, other, id);                         /* another's snapshot */
    assert_nothing_there(ADMIN, other, id);                       /* another container's */
    assert_nothing_there(ALICE, snap.id, "snapshot_00000000000"); /* no id at all */
    assert_nothing_there(ALICE, snap.id, "snapshot_0123456789ab..");
    assert_nothing_there(ALICE, "container_000000000000", id);
    r = call(BOB, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(BOB, "GET", "%s", snap.list);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ALICE, "DELETE", "%s/..%%2f..%%2fx", snap.list);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ADMIN, "GET", "%s", snap.list);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(snap_count(), 1);
    snap_prints("cat ~/file", "mine\n");
    r = act(BOB, "DELETE", "/containers/%s", other);
    reply_done(&r);
}

static void
a_viewer_may_only_list(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_make(NULL, id);
    r = call(VIEWER, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "POST", "%s/%s/rollback", snap.list, id);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "DELETE", "%s/%s", snap.list, id);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "GET", "%s", snap.list); /* may, and has none of its own */
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static void
each_act_leaves_a_change_entry(void **state)
{
    char id[STEP_ID_SIZE], expected[256];
    struct reply r;

    (void)state;
    snap_make("noted", id);
    snap_roll_back(id);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_status(&r, 204);
    reply_done(&r);
    r = fetch(ALICE, "/audit?kind=change&container_id=%s&limit=3", snap.id);
    snprintf(expected, sizeof(expected), "DELETE %s/%s", snap.list, id);
    assert_string_equal(text_at(&r, "entries.0.command"), expected);
    assert_string_equal(text_at(&r, "entries.0.before.snapshot.name"), "noted");
    assert_true(null_at(&r, "entries.0.after"));
    snprintf(expected, sizeof(expected), "POST %s/%s/rollback", snap.list, id);
    assert_string_equal(text_at(&r, "entries.1.command"), expected);
    snprintf(expected, sizeof(expected), "POST %s", snap.list);
    assert_string_equal(text_at(&r, "entries.2.command"), expected);
    assert_string_equal(text_at(&r, "entries.2.after.snapshot.id"), id);
    assert_string_equal(text_at(&r, "entries.2.owner"), ALICE);
    reply_done(&r);
}

#define snap_test(f) cmocka_unit_test_setup_teardown(f, snap_open, snap_close)

int
suite_snapshot_rules(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(a_list_comes_in_pages),        snap_test(a_container_has_a_limited_number),
        snap_test(names_and_bodies_are_checked), snap_test(what_is_not_ones_own_is_not_there),
        snap_test(a_viewer_may_only_list),       snap_test(each_act_leaves_a_change_entry),
    };

    return cmocka_run_group_tests_name("snapshot-rules", tests, NULL, remove_containers);
}
