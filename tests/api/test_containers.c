/* The resource containers. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define FIELDS_OF_ALL                                                                              \
    "id agent_id scope status created_at cpu_percent memory_mb executions_count owner session_id " \
    "tier template network workspace_access started_at last_used_at processes limits labels"

/* What a container of alice's has to look like, wherever it is shown. */
static void
assert_container(const struct reply *r, const char *id)
{
    assert_string_equal(text_at(r, "id"), id);
    assert_string_equal(text_at(r, "agent_id"), "shape");
    assert_string_equal(text_at(r, "scope"), "session");
    assert_string_equal(text_at(r, "status"), "running");
    assert_time(text_at(r, "created_at"));
    assert_true(number_at(r, "cpu_percent") >= 0);
    assert_true(number_at(r, "memory_mb") > 0);
    assert_int_equal(int_at(r, "executions_count"), 0);
    assert_string_equal(text_at(r, "owner"), ALICE);
    assert_string_equal(text_at(r, "session_id"), "one");
    assert_string_equal(text_at(r, "tier"), "Restricted");
    assert_string_equal(text_at(r, "template"), "base");
    assert_string_equal(text_at(r, "network"), "None");
    assert_string_equal(text_at(r, "workspace_access"), "ro");
    assert_time(text_at(r, "started_at"));
    assert_time(text_at(r, "last_used_at"));
    assert_int_equal(int_at(r, "processes"), 0); /* no command runs */
    assert_members(at(r, "limits"), "cpu_cores memory_mb disk_mb max_processes timeout_seconds");
    assert_true(number_at(r, "limits.cpu_cores") == 0.5);
    assert_int_equal(int_at(r, "limits.memory_mb"), 256);
    assert_int_equal(int_at(r, "limits.disk_mb"), 1024);
    assert_int_equal(int_at(r, "limits.timeout_seconds"), 120);
    assert_members(at(r, "labels"), "purpose");
    assert_string_equal(text_at(r, "labels.purpose"), "a test");
}

static void
a_container_is_shown_with_every_field(void **state)
{
    static const char body[] =
        "{\"agent_id\": \"shape\", \"session_id\": \"one\", \"scope\": \"session\", \"tier\":"
        " \"restricted\", \"template\": \"base\", \"workspace_access\": \"ro\","
        " \"labels\": {\"purpose\": \"a test\"}}";
    struct reply made = call(ALICE, "POST", "/containers", body, NULL);
    struct reply again = call(ALICE, "POST", "/containers", body, NULL);
    struct reply one, list, item;
    const char *id;

    (void)state;
    assert_status(&made, 201);
    id = text_at(&made, "id");
    assert_memory_equal(id, "container_", 10);
    assert_members(made.json, FIELDS_OF_ALL " disk_mb");
    assert_container(&made, id);
    assert_status(&again, 200);
    assert_container(&again, id);
    one = fetch(ALICE, "/containers/%s", id);
    assert_members(one.json, FIELDS_OF_ALL " disk_mb");
    assert_true(number_at(&one, "disk_mb") >= 0);
    assert_container(&one, id);
    list = fetch(ALICE, "/containers");
    assert_members(list.json, "containers next_cursor");
    assert_int_equal(json_array_size(at(&list, "containers")), 1);
    item = (struct reply){.json = at(&list, "containers.0"), .body = list.body};
    assert_members(item.json, FIELDS_OF_ALL);
    assert_container(&item, id);
    assert_true(null_at(&list, "next_cursor"));
    reply_done(&made);
    reply_done(&again);
    reply_done(&one);
    reply_done(&list);
}

/* A figure of one container that shall grow. */
struct growth {
    const char *id, *name;
    double beyond;
    struct pending *pending; /* what makes it grow, or NULL */
};

static bool
has_grown(void *arg)
{
    const struct growth *g = arg;
    struct reply r = fetch(ALICE, "/containers/%s", g->id);
    bool grown = number_at(&r, g->name) > g->beyond;

    if (g->pending)
        pending_poll(g->pending);
    reply_done(&r);
    return grown;
}

static void
figures_are_measured(void **state)
{
    struct parallel busy = {
        .user = ALICE,
        .method = "POST",
        .path = "/execute",
        .body =
            "{\"agent_id\": \"measured\", \"scope\": \"agent\", \"command\":"
            " \"for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; until [ -e stop ]; do :; done;"
            " rm stop\"}",
    };
    struct growth g;
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"measured\", \"scope\": \"agent\"}", id);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "measured", "scope", "agent", "command",
                "rm -f stop; head -c 5242880 /dev/urandom >$HOME/big");
    assert_status(&r, 200);
    reply_done(&r);
    g = (struct growth){.id = id, .name = "disk_mb", .beyond = 4.9};
    wait_until(has_grown, &g, 60, "5 MB more in disk_mb");
    g = (struct growth){.id = id, .name = "cpu_percent", .beyond = 1};
    g.pending = pending_start(&busy);
    wait_until(has_grown, &g, 60, "a busy loop in cpu_percent");
    g.name = "processes";
    g.beyond = 9;
    wait_until(has_grown, &g, 60, "ten running processes");
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "measured", "scope", "agent", "command",
                "touch stop");
    assert_status(&r, 200);
    reply_done(&r);
    pending_finish(g.pending);
    assert_status(&busy.reply, 200);
    reply_done(&busy.reply);
    r = fetch(ALICE, "/containers/%s", id);
    assert_int_equal(int_at(&r, "executions_count"), 3);
    reply_done(&r);
}

static void
executions_are_counted(void **state)
{
    char id[STEP_ID_SIZE], path[STEP_ID_SIZE + 32];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"counted\", \"session_id\": \"s\"}", id);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    for (int i = 0; i < 3; i++)
        run_in(ALICE, "counted", "s", "true");
    for (int i = 0; i < 2; i++) {
        r = call(ALICE, "POST", path, "{\"command\": \"exit 1\"}", NULL);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "container_id"), id);
        reply_done(&r);
    }
    r = call(ALICE, "POST", path, "{}", NULL);
    assert_violation(&r, "/command");
    reply_done(&r);
    r = fetch(ALICE, "/containers/%s", id);
    assert_int_equal(int_at(&r, "executions_count"), 5);
    reply_done(&r);
}

static void
exec_runs_in_this_very_container(void **state)
{
    static const struct {
        const char *body, *pointer;
    } refused[] = {
        {"{\"command\": \"true\", \"agent_id\": \"x\"}", "/agent_id"},
        {"{\"command\": \"true\", \"session_id\": \"x\"}", "/session_id"},
        {"{\"command\": \"true\", \"tier\": \"Sandbox\"}", "/tier"},
        {"{\"command\": \"true\", \"timeout_seconds\": 301}", "/timeout_seconds"},
        {"{\"command\": \"true\", \"argv\": [\"true\"]}", "/argv"},
        {"{\"command\": \"true\", \"cwd\": \"x\"}", "/cwd"},
        {"[]", ""},
    };
    char id[STEP_ID_SIZE], path[STEP_ID_SIZE + 32];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"exec\", \"session_id\": \"s\"}", id);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(ALICE, "POST", path,
             "{\"command\": \"cat; echo $A; pwd; hostname\", \"stdin\": \"in \", \"env\":"
             " {\"A\": \"1\"}, \"cwd\": \"/tmp\"}",
             NULL);
    assert_status(&r, 200);
    assert_memory_equal(text_at(&r, "stdout"), "in 1\n/tmp\n", 10);
    assert_memory_equal(text_at(&r, "stdout") + 10, id, strlen(id));
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        r = call(ALICE, "POST", path, refused[i].body, NULL);
        assert_violation(&r, refused[i].pointer);
        reply_done(&r);
    }
}

static void
start_stop_and_restart_can_be_repeated(void **state)
{
    static const struct {
        const char *action, *status;
    } steps[] = {
        {"start", "running"}, {"stop", "stopped"},    {"stop", "stopped"}, {"start", "running"},
        {"start", "running"}, {"restart", "running"}, {"stop", "stopped"}, {"restart", "running"},
    };
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"steps\", \"session_id\": \"s\"}", id);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        r = act(ALICE, "POST", "/containers/%s/%s", id, steps[i].action);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "id"), id);
        assert_string_equal(text_at(&r, "status"), steps[i].status);
        assert_int_equal(number_at(&r, "memory_mb") > 0, strcmp(steps[i].status, "running") == 0);
        reply_done(&r);
    }
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    assert_int_equal(r.body_len, 0);
    reply_done(&r);
}

static void
a_removed_container_is_not_found_by_any_method(void **state)
{
    static const struct {
        const char *method, *suffix, *body;
    } ways[] = {
        {"GET", "", NULL},          {"DELETE", "", NULL},
        {"POST", "/start", NULL},   {"POST", "/stop", NULL},
        {"POST", "/restart", NULL}, {"POST", "/exec", "{\"command\": \"true\"}"},
    };
    const size_t guests = count_files("guests"), slots = count_files("slots");
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"removed\", \"session_id\": \"s\"}", id);
    run_in(ALICE, "removed", "s", "echo kept >note");
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char path[STEP_ID_SIZE + 32];

        snprintf(path, sizeof(path), "/containers/%s%s", id, ways[i].suffix);
        r = call(ALICE, ways[i].method, path, ways[i].body, NULL);
        assert_problem(&r, 404, "not_found");
        reply_done(&r);
    }
    assert_int_equal(count_files("guests"), guests);
    assert_int_equal(count_files("slots"), slots);
    run_in(ALICE, "removed", "other", "grep kept note"); /* the workspace is the agent's */
}

static void
a_stopped_container_takes_no_exec_but_execute_starts_it(void **state)
{
    char id[STEP_ID_SIZE], path[STEP_ID_SIZE + 32];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"stopped\", \"session_id\": \"s\"}", id);
    run_in(ALICE, "stopped", "s", "echo mine >$HOME/note");
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    assert_status(&r, 200);
    reply_done(&r);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(ALICE, "POST", path, "{\"command\": \"true\"}", NULL);
    assert_problem(&r, 409, "container_not_running");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "stopped", "session_id", "s", "command",
                "cat $HOME/note");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), id);
    assert_string_equal(text_at(&r, "stdout"), "mine\n");
    reply_done(&r);
    r = fetch(ALICE, "/containers/%s", id);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
}

static void
post_starts_the_scopes_stopped_container(void **state)
{
    static const char body[] = "{\"agent_id\": \"again\", \"scope\": \"agent\"}";
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, body, id);
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    reply_done(&r);
    r = call(ALICE, "POST", "/containers", body, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "id"), id);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
}

static void
restart_keeps_the_files_of_home_and_ends_processes(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"restart\", \"session_id\": \"s\"}", id);
    run_in(ALICE, "restart", "s", "mkdir -p $HOME/.cache/deep && echo kept >$HOME/.cache/deep/f");
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    reply_done(&r);
    run_in(ALICE, "restart", "s", "grep kept $HOME/.cache/deep/f");
}

/* A command on its way, and the file that it makes. */
struct beginning {
    struct pending *pending;
    char path[STEP_PATH_SIZE];
};

static bool
has_begun(void *arg)
{
    const struct beginning *b = arg;

    pending_poll(b->pending);
    return access(b->path, F_OK) == 0;
}

static void
stop_kills_what_runs(void **state)
{
    static const char *const ends[] = {"stop", "restart", NULL}; /* NULL: DELETE */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct parallel call = {
            .user = ALICE,
            .method = "POST",
            .path = "/execute",
            .body = "{\"agent_id\": \"killed\", \"scope\": \"agent\", \"command\":"
                    " \"trap '' TERM INT HUP; touch begun; sleep 1000\"}",
        };
        struct beginning b = {0};
        char id[STEP_ID_SIZE];
        struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "killed", "scope", "agent",
                                 "command", "rm -f begun");

        assert_status(&r, 200);
        snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
        reply_done(&r);
        state_path("workspaces/alice/killed/begun", b.path);
        b.pending = pending_start(&call);
        wait_until(has_begun, &b, 60, "a command that has begun");
        r = ends[i] ? act(ALICE, "POST", "/containers/%s/%s", id, ends[i])
                    : act(ALICE, "DELETE", "/containers/%s", id);
        assert_status(&r, ends[i] ? 200 : 204);
        reply_done(&r);
        pending_finish(b.pending);
        assert_status(&call.reply, 200);
        assert_string_equal(text_at(&call.reply, "signal"), "SIGKILL");
        assert_string_equal(text_at(&call.reply, "status"), "killed");
        assert_true(null_at(&call.reply, "exit_code"));
        assert_false(bool_at(&call.reply, "timed_out"));
        reply_done(&call.reply);
    }
}

/* POST containers with these labels: @value repeated @len times under a key of @key_len. */
static struct reply
post_labels(size_t key_len, size_t len, size_t count)
{
    json_auto_t *body =
        json_pack("{s:s, s:s, s:{}}", "agent_id", "labels", "scope", "agent", "labels");
    _cleanup_(freep) char *value = calloc(1, len + 1);
    _cleanup_(freep) char *text = NULL;

    assert_non_null(value);
    memset(value, 'v', len);
    for (size_t i = 0; i < count; i++) {
        _cleanup_(freep) char *key = NULL;

        assert_true(asprintf(&key, "%0*zu", (int)key_len, i) >= 0);
        key[key_len] = '\0';
        json_object_set_new(json_object_get(body, "labels"), key, json_string(value));
    }
    text = json_dumps(body, 0);
    assert_non_null(text);
    return call(ALICE, "POST", "/containers", text, NULL);
}

static void
labels_have_limits(void **state)
{
    static const struct {
        size_t key_len, value_len, count;
        bool fine;
    } cases[] = {
        {0, 1, 1, false},  {65, 1, 1, false},   {3, 257, 1, false},
        {3, 1, 33, false}, {64, 256, 32, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = post_labels(cases[i].key_len, cases[i].value_len, cases[i].count);

        if (cases[i].fine) {
            assert_status(&r, 201);
            assert_int_equal(json_object_size(at(&r, "labels")), cases[i].count);
        } else {
            assert_violation(&r, "/labels");
        }
        reply_done(&r);
    }
}

static void
labels_are_any_text_and_stay_as_they_were_made(void **state)
{
    static const char body[] =
        "{\"agent_id\": \"words\", \"scope\": \"agent\", \"labels\":"
        " {\"caf\\u00e9 \\\"/\\\\\": \"\\u20ac\\n\", \"sandbox.id\": \"x\"}}";
    json_auto_t *sent = json_loads(body, 0, NULL);
    struct reply r = call(ALICE, "POST", "/containers", body, NULL), again;

    (void)state;
    assert_status(&r, 201);
    assert_true(json_equal(at(&r, "labels"), json_object_get(sent, "labels")));
    again =
        call(ALICE, "POST", "/containers",
             "{\"agent_id\": \"words\", \"scope\": \"agent\", \"labels\": {\"b\": \"2\"}}", NULL);
    assert_status(&again, 200);
    assert_true(json_equal(at(&again, "labels"), at(&r, "labels")));
    reply_done(&again);
    reply_done(&r);
}

static void
a_refused_body_is_pointed_at(void **state)
{
    static const struct {
        const char *body, *pointer;
    } refused[] = {
        {"{}", "/session_id"},
        {"{\"scope\": \"session\"}", "/session_id"},
        {"{\"agent_id\": \"../x\", \"session_id\": \"s\"}", "/agent_id"},
        {"{\"session_id\": \"\"}", "/session_id"},
        {"{\"session_id\": 5}", "/session_id"},
        {"{\"session_id\": \"s\", \"scope\": \"all\"}", "/scope"},
        {"{\"session_id\": \"s\", \"tier\": \"Nope\"}", "/tier"},
        {"{\"session_id\": \"s\", \"template\": \"nope\"}", "/template"},
        {"{\"session_id\": \"s\", \"workspace_access\": \"all\"}", "/workspace_access"},
        {"{\"session_id\": \"s\", \"labels\": []}", "/labels"},
        {"{\"session_id\": \"s\", \"labels\": {\"a\": 1}}", "/labels/a"},
        {"{\"session_id\": \"s\", \"labels\": {\"a\": {}}}", "/labels/a"},
        {"{\"session_id\": \"s\", \"command\": \"true\"}", "/command"},
        {"{\"session_id\": \"s\", \"image\": \"alpine\"}", "/image"},
        {"{\"session_id\": \"s\", \"id\": \"container_000000000000\"}", "/id"},
        {"[{}]", ""},
    };
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        r = call(ALICE, "POST", "/containers", refused[i].body, NULL);
        if (r.status != 422)
            fail_msg("%s gave %ld", refused[i].body, r.status);
        assert_violation(&r, refused[i].pointer);
        reply_done(&r);
    }
    r = call(ALICE, "POST", "/containers", "{\"session_id\": \"s\", \"template\": \"python\"}",
             NULL);
    assert_problem(&r, 409, "template_not_ready");
    reply_done(&r);
    r = fetch(ALICE, "/containers");
    assert_int_equal(json_array_size(at(&r, "containers")), 0);
    reply_done(&r);
}

static void
of_several_that_ask_at_one_time_one_makes_it(void **state)
{
    struct parallel calls[6];
    const char *id = NULL;
    int made = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        calls[i] = (struct parallel){.user = ALICE,
                                     .method = "POST",
                                     .path = "/containers",
                                     .body = "{\"agent_id\": \"race\", \"session_id\": \"s\"}"};
    call_parallel(calls, ARRAY_LEN(calls));
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_true(calls[i].reply.status == 200 || calls[i].reply.status == 201);
        made += calls[i].reply.status == 201;
        id = id ? id : text_at(&calls[i].reply, "id");
        assert_string_equal(text_at(&calls[i].reply, "id"), id);
    }
    assert_int_equal(made, 1);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        reply_done(&calls[i].reply);
}

static void
contradicting_requests_leave_a_consistent_state(void **state)
{
    static const char *const suffixes[] = {"/start", "/stop", "/restart", "/stop", "/start", ""};
    char id[STEP_ID_SIZE], paths[ARRAY_LEN(suffixes)][STEP_ID_SIZE + 32];
    const size_t guests = count_files("guests"), slots = count_files("slots");
    struct parallel calls[ARRAY_LEN(suffixes)];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"chaos\", \"session_id\": \"s\"}", id);
    /* Without the DELETE first, then with it. */
    for (size_t n = ARRAY_LEN(calls) - 1; n <= ARRAY_LEN(calls); n++) {
        for (size_t i = 0; i < n; i++) {
            snprintf(paths[i], sizeof(paths[i]), "/containers/%s%s", id, suffixes[i]);
            calls[i] = (struct parallel){
                .user = ALICE, .method = suffixes[i][0] ? "POST" : "DELETE", .path = paths[i]};
        }
        call_parallel(calls, n);
        for (size_t i = 0; i < n; i++) {
            long status = calls[i].reply.status;

            if (suffixes[i][0] ? status != 200 && (n < ARRAY_LEN(calls) || status != 404)
                               : status != 204)
                fail_msg("%s gave %ld %s", paths[i], status, calls[i].reply.body);
            reply_done(&calls[i].reply);
        }
        if (n < ARRAY_LEN(calls))
            run_in(ALICE, "chaos", "s", "true");
    }
    r = act(ALICE, "GET", "/containers/%s", id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    assert_int_equal(count_files("guests"), guests);
    assert_int_equal(count_files("slots"), slots);
    run_in(ALICE, "chaos", "s", "true");
}

static void
several_that_remove_it_all_succeed_or_find_nothing(void **state)
{
    char id[STEP_ID_SIZE], path[STEP_ID_SIZE + 32];
    struct parallel calls[4];
    int removed = 0;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"removal\", \"session_id\": \"s\"}", id);
    snprintf(path, sizeof(path), "/containers/%s", id);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        calls[i] = (struct parallel){.user = ALICE, .method = "DELETE", .path = path};
    call_parallel(calls, ARRAY_LEN(calls));
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        long status = calls[i].reply.status;

        if (status != 204 && status != 404)
            fail_msg("%ld %s", status, calls[i].reply.body);
        removed += status == 204;
        reply_done(&calls[i].reply);
    }
    assert_true(removed >= 1);
}

static void
a_viewer_looks_but_makes_nothing(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r = fetch(VIEWER, "/containers");

    (void)state;
    assert_int_equal(json_array_size(at(&r, "containers")), 0);
    reply_done(&r);
    r = call(VIEWER, "POST", "/containers", "{\"session_id\": \"s\"}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    make_container(ALICE, "{\"agent_id\": \"viewed\", \"scope\": \"agent\"}", id);
    r = act(VIEWER, "GET", "/containers/%s", id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

int
suite_containers(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_container_is_shown_with_every_field, remove_containers),
        cmocka_unit_test_teardown(figures_are_measured, remove_containers),
        cmocka_unit_test_teardown(executions_are_counted, remove_containers),
        cmocka_unit_test_teardown(exec_runs_in_this_very_container, remove_containers),
        cmocka_unit_test_teardown(start_stop_and_restart_can_be_repeated, remove_containers),
        cmocka_unit_test_teardown(a_removed_container_is_not_found_by_any_method,
                                  remove_containers),
        cmocka_unit_test_teardown(a_stopped_container_takes_no_exec_but_execute_starts_it,
                                  remove_containers),
        cmocka_unit_test_teardown(post_starts_the_scopes_stopped_container, remove_containers),
        cmocka_unit_test_teardown(restart_keeps_the_files_of_home_and_ends_processes,
                                  remove_containers),
        cmocka_unit_test_teardown(stop_kills_what_runs, remove_containers),
        cmocka_unit_test_teardown(labels_have_limits, remove_containers),
        cmocka_unit_test_teardown(labels_are_any_text_and_stay_as_they_were_made,
                                  remove_containers),
        cmocka_unit_test_teardown(a_refused_body_is_pointed_at, remove_containers),
        cmocka_unit_test_teardown(of_several_that_ask_at_one_time_one_makes_it, remove_containers),
        cmocka_unit_test_teardown(contradicting_requests_leave_a_consistent_state,
                                  remove_containers),
        cmocka_unit_test_teardown(several_that_remove_it_all_succeed_or_find_nothing,
                                  remove_containers),
        cmocka_unit_test_teardown(a_viewer_looks_but_makes_nothing, remove_containers),
    };

    return cmocka_run_group_tests_name("api: containers", tests, NULL, NULL);
}
