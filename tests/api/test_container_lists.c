/* Lists of containers: narrowed, and page by page. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static void
lists_can_be_narrowed(void **state)
{
    static const struct {
        const char *user, *query;
        size_t count;
    } cases[] = {
        {ALICE, "", 3},
        {ALICE, "?agent_id=narrow-a", 2},
        {ALICE, "?agent_id=narrow-b", 1},
        {ALICE, "?agent_id=narrow", 0},
        {ALICE, "?scope=agent", 2},
        {ALICE, "?scope=session", 1},
        {ALICE, "?scope=shared", 0},
        {ALICE, "?status=running", 2},
        {ALICE, "?status=stopped", 1},
        {ALICE, "?status=failed", 0},
        {ALICE, "?tier=SANDBOX", 1},
        {ALICE, "?tier=Elevated", 0},
        {ALICE, "?agent_id=narrow-a&scope=agent&status=running", 1},
        {ALICE, "?agent_id=narrow-a&scope=agent&status=stopped", 0},
        {ALICE, "?owner=alice", 3},
        {ALICE, "?owner=bob", 0},
        {BOB, "", 1},
        {BOB, "?owner=alice", 0},
        {VIEWER, "", 0},
        {ADMIN, "", 4},
        {ADMIN, "?owner=alice", 3},
        {ADMIN, "?owner=bob", 1},
        {ADMIN, "?owner=nobody", 0},
        {ADMIN, "?owner=bob&agent_id=narrow-a", 1},
        {ADMIN, "?agent%5Fid=narrow%2Da", 3},
    };
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"narrow-a\", \"scope\": \"agent\"}", id);
    make_container(
        ALICE, "{\"agent_id\": \"narrow-a\", \"session_id\": \"s\", \"tier\": \"Sandbox\"}", id);
    make_container(BOB, "{\"agent_id\": \"narrow-a\", \"scope\": \"agent\"}", id);
    make_container(ALICE, "{\"agent_id\": \"narrow-b\", \"scope\": \"agent\"}", id);
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r = fetch(cases[i].user, "/containers%s", cases[i].query);
        if (json_array_size(at(&r, "containers")) != cases[i].count)
            fail_msg("%s %s: %s", cases[i].user, cases[i].query, r.body);
        reply_done(&r);
    }
}

enum { PAGED = 7 };

static void
make_paged(void)
{
    struct parallel calls[PAGED];
    char bodies[PAGED][64];

    for (size_t i = 0; i < PAGED; i++) {
        snprintf(bodies[i], sizeof(bodies[i]), "{\"agent_id\": \"page-%zu\", \"scope\": \"agent\"}",
                 i);
        calls[i] = (struct parallel){
            .user = ALICE, .method = "POST", .path = "/containers", .body = bodies[i]};
    }
    call_parallel(calls, PAGED);
    for (size_t i = 0; i < PAGED; i++) {
        assert_status(&calls[i].reply, 201);
        reply_done(&calls[i].reply);
    }
}

static void
pages_show_everything_once_newest_first(void **state)
{
    static const int limits[] = {1, 3, 6, 7, 8, 500};
    struct reply all;

    (void)state;
    make_paged();
    all = fetch(ALICE, "/containers");
    assert_int_equal(json_array_size(at(&all, "containers")), PAGED);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        json_auto_t *seen = json_array();
        char cursor[80] = "";

        do {
            struct reply page = fetch(ALICE, "/containers?limit=%d%s", limits[i], cursor);
            json_t *next = at(&page, "next_cursor");
            size_t n = json_array_size(at(&page, "containers"));

            assert_true(n >= 1 && n <= (size_t)limits[i]);
            assert_true(n == (size_t)limits[i] || json_is_null(next));
            for (size_t k = 0; k < n; k++)
                json_array_append(
                    seen, json_object_get(json_array_get(at(&page, "containers"), k), "id"));
            cursor[0] = '\0';
            if (!json_is_null(next))
                snprintf(cursor, sizeof(cursor), "&cursor=%s", json_string_value(next));
            reply_done(&page);
        } while (cursor[0]);
        assert_int_equal(json_array_size(seen), PAGED);
        for (size_t k = 0; k < PAGED; k++)
            assert_true(
                json_equal(json_array_get(seen, k),
                           json_object_get(json_array_get(at(&all, "containers"), k), "id")));
    }
    for (size_t k = 1; k < PAGED; k++) {
        json_t *newer = json_array_get(at(&all, "containers"), k - 1);
        json_t *older = json_array_get(at(&all, "containers"), k);

        assert_true(strcmp(json_string_value(json_object_get(newer, "created_at")),
                           json_string_value(json_object_get(older, "created_at"))) >= 0);
    }
    reply_done(&all);
}

static void
a_page_does_not_shift_when_others_come_and_go(void **state)
{
    struct reply first, second;
    char ids[4][STEP_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char body[64];

        snprintf(body, sizeof(body), "{\"agent_id\": \"shift-%zu\", \"scope\": \"agent\"}", i);
        make_container(ALICE, body, ids[i]);
    }
    first = fetch(ALICE, "/containers?limit=1");
    assert_string_equal(text_at(&first, "containers.0.id"), ids[2]);
    make_container(ALICE, "{\"agent_id\": \"shift-new\", \"scope\": \"agent\"}", ids[3]);
    second = act(ALICE, "DELETE", "/containers/%s", ids[2]);
    reply_done(&second);
    second = fetch(ALICE, "/containers?limit=5&cursor=%s", text_at(&first, "next_cursor"));
    assert_int_equal(json_array_size(at(&second, "containers")), 2);
    assert_string_equal(text_at(&second, "containers.0.id"), ids[1]);
    assert_string_equal(text_at(&second, "containers.1.id"), ids[0]);
    reply_done(&first);
    reply_done(&second);
}
int
suite_container_lists(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lists_can_be_narrowed, remove_containers),
        cmocka_unit_test_teardown(pages_show_everything_once_newest_first, remove_containers),
        cmocka_unit_test_teardown(a_page_does_not_shift_when_others_come_and_go, remove_containers),
    };

    return cmocka_run_group_tests_name("api: lists of containers", tests, NULL, NULL);
}
