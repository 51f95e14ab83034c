/* The audit log as lines: over the API, and by the command. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define LINES "Accept: application/x-ndjson"

/* The objects of @text's lines, newest first; fails if a line is none. */
static json_t *
lines_of(const char *text)
{
    json_t *list = json_array();

    for (const char *end; *text; text = end + 1) {
        json_error_t error;
        json_t *object;

        end = strchr(text, '\n');
        assert_non_null(end);
        object = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(object))
            fail_msg("not an object: %.*s", (int)(end - text), text);
        json_array_append_new(list, object);
    }
    return list;
}

/* GET @path as lines. */
static json_t *
export_as(const char *user, const char *path)
{
    struct reply r = call(user, "GET", path, NULL, LINES, NULL);
    json_t *list;

    assert_status(&r, 200);
    assert_string_equal(r.content_type, "application/x-ndjson");
    list = lines_of(r.body);
    reply_done(&r);
    return list;
}

/* As many entries as several pages of the export, without a container. */
static void
refuse_many(const char *agent, int count)
{
    for (int i = 0; i < count; i++) {
        struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", agent, "tier",
                                 "Unrestricted", "command", "true");

        assert_status(&r, 403);
        reply_done(&r);
    }
}

static void
lines_are_the_entries_of_the_list(void **state)
{
    json_auto_t *lines = NULL;
    struct reply r;

    (void)state;
    run_in(ALICE, "lines", "s", "echo one; echo two");
    refuse_many("lines", 2);
    r = fetch(ALICE, "/audit?agent_id=lines");
    lines = export_as(ALICE, "/audit?agent_id=lines");
    assert_int_equal(json_array_size(lines), 3);
    assert_true(json_equal(lines, at(&r, "entries")));
    reply_done(&r);
}

static void
an_export_has_no_page_limit(void **state)
{
    enum { MANY = 120 };
    static const struct {
        const char *user, *path;
        size_t count;
    } cases[] = {
        {ALICE, "/audit?agent_id=many", MANY},
        {ALICE, "/audit?agent_id=many&limit=7", 7},
        {ALICE, "/audit?agent_id=many&limit=50", 50},
        {ALICE, "/audit?agent_id=many&limit=60", 60},
        {ALICE, "/audit?agent_id=many&limit=500", MANY},
        {ALICE, "/audit?agent_id=many&status=refused&tier=UNRESTRICTED", MANY},
        {ALICE, "/audit?agent_id=many&kind=change", 0},
        {ALICE, "/audit?agent_id=many&until=2020-01-01T00:00:00Z", 0},
        {BOB, "/audit?agent_id=many", 0},
        {VIEWER, "/audit?agent_id=many&owner=alice", 0},
        {ADMIN, "/audit?agent_id=many&owner=alice", MANY},
    };

    (void)state;
    refuse_many("many", MANY);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *lines = export_as(cases[i].user, cases[i].path);

        if (json_array_size(lines) != cases[i].count)
            fail_msg("%s: %zu lines", cases[i].path, json_array_size(lines));
    }
}

static void
a_bad_query_is_an_ordinary_problem(void **state)
{
    static const char *const paths[] = {"/audit?limit=0", "/audit?since=x", "/audit?nope=1",
                                        "/audit?cursor=zz"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct reply r = call(ALICE, "GET", paths[i], NULL, LINES, NULL);

        assert_problem(&r, 400, "bad_query");
        reply_done(&r);
    }
}

/* Add the ids of @page to @ids; none may be there. Returns the next cursor's query, "" at the end.
 */
static void
take_page(const struct reply *page, json_t *ids, char *cursor, size_t size)
{
    const json_t *next = at(page, "next_cursor");
    size_t i;
    json_t *e;

    json_array_foreach(at(page, "entries"), i, e)
    {
        const char *id = json_string_value(json_object_get(e, "id"));

        assert_null(json_object_get(ids, id));
        json_object_set_new(ids, id, json_true());
    }
    cursor[0] = '\0';
    if (json_is_string(next))
        snprintf(cursor, size, "&cursor=%s", json_string_value(next));
}

static void
paging_neither_repeats_nor_skips_while_entries_arrive(void **state)
{
    enum { BEFORE = 30 };
    json_auto_t *ids = json_object();
    struct flight *writer = NULL;
    char cursor[80] = "";

    (void)state;
    refuse_many("arriving", BEFORE);
    do {
        struct reply page, r;

        writer = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "arriving", "tier",
                             "Unrestricted", "command", "true");
        page = fetch(ALICE, "/audit?agent_id=arriving&limit=4%s", cursor);
        r = flight_land(writer);
        reply_done(&r);
        take_page(&page, ids, cursor, sizeof(cursor));
        reply_done(&page);
    } while (cursor[0]);
    /* The first page may hold what arrived beside it. */
    assert_in_range(json_object_size(ids), BEFORE, BEFORE + 1);
}

static void
the_command_prints_the_same_entries(void **state)
{
    _cleanup_(freep) char *text = NULL;
    json_auto_t *printed = NULL;
    json_auto_t *executions = json_array();
    json_auto_t *lines = NULL;
    size_t i;
    json_t *e;

    (void)state;
    run_in(ALICE, "printed", "s", "true");
    refuse_many("printed", 2);
    assert_int_equal(host_shell("\"$SANDBOXD\" audit export --state \"$SANDBOX_STATE\" "
                                "--since 2020-01-01T00:00:00Z >\"$SANDBOX_STATE\"/exported"),
                     0);
    text = state_file("exported");
    assert_non_null(text);
    printed = lines_of(text);
    json_array_foreach(printed, i, e)
    {
        if (strcmp(json_string_value(json_object_get(e, "kind")), "execution") == 0)
            json_array_append(executions, e);
    }
    lines = export_as(ADMIN, "/audit");
    assert_true(json_array_size(lines) >= 3);
    assert_true(json_equal(executions, lines));
    assert_int_equal(host_shell("\"$SANDBOXD\" audit export --state \"$SANDBOX_STATE\" "
                                "--until 2020-01-01T00:00:00Z | grep -q ."),
                     1);
}

int
suite_export(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines_are_the_entries_of_the_list, remove_containers),
        cmocka_unit_test(an_export_has_no_page_limit),
        cmocka_unit_test(a_bad_query_is_an_ordinary_problem),
        cmocka_unit_test(paging_neither_repeats_nor_skips_while_entries_arrive),
        cmocka_unit_test_teardown(the_command_prints_the_same_entries, remove_containers),
    };

    return cmocka_run_group_tests_name("api: export", tests, NULL, NULL);
}
