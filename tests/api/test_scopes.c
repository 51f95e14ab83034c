/* Which container a request gets, what containers share, and what mode and tier let run. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { ID_SIZE = 64, PARALLEL = 8, FLEETING_ROUNDS = 6 };

/* Delete a user's containers of agent @agent (NULL: all of them). */
static void
delete_containers(const char *user, const char *agent)
{
    char path[160];
    struct reply list;
    const json_t *item;
    size_t i;

    snprintf(path, sizeof(path), "/containers?limit=500%s%s", agent ? "&agent_id=" : "",
             agent ? agent : "");
    list = call(user, "GET", path, NULL, NULL);
    assert_status(&list, 200);
    json_array_foreach(at(&list, "containers"), i, item)
    {
        struct reply r;

        snprintf(path, sizeof(path), "/containers/%s",
                 json_string_value(json_object_get(item, "id")));
        r = call(user, "DELETE", path, NULL, NULL);
        assert_status(&r, 204);
        reply_done(&r);
    }
    reply_done(&list);
}

static int
delete_all(void **state)
{
    (void)state;
    delete_containers(ALICE, NULL);
    delete_containers(BOB, NULL);
    delete_containers(ADMIN, NULL);
    return 0;
}

/* Run @command as @where (JSON members without braces) says, and keep the container's id. */
static struct reply
run_at(const char *user, const char *where, const char *command, char id[ID_SIZE])
{
    json_auto_t *body = json_loads(where, 0, NULL);
    _cleanup_(freep) char *text = NULL;
    struct reply r;

    assert_non_null(body);
    json_object_set_new(body, "command", json_string(command));
    text = json_dumps(body, 0);
    r = call(user, "POST", "/execute", text, NULL);
    assert_status(&r, 200);
    if (id)
        snprintf(id, ID_SIZE, "%s", text_at(&r, "container_id"));
    return r;
}

/* Run @command, which must print @expected. */
static void
assert_prints(const char *user, const char *where, const char *command, const char *expected)
{
    struct reply r = run_at(user, where, command, NULL);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s in %s: expected \"%s\" in %s", command, where, expected, r.body);
    reply_done(&r);
}

static void
container_of(const char *user, const char *where, char id[ID_SIZE])
{
    struct reply r = run_at(user, where, "true", id);

    reply_done(&r);
}

static void
a_scope_has_one_container(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}", "{\"agent_id\":\"sc\",\"session_id\":\"1\"}",
         true},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"1\",\"scope\":\"session\"}", true},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}", "{\"agent_id\":\"sc\",\"session_id\":\"2\"}",
         false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}",
         "{\"agent_id\":\"other\",\"session_id\":\"1\"}", false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"1\",\"tier\":\"Sandbox\"}", false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\",\"tier\":\"sandbox\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"1\",\"tier\":\"SANDBOX\"}", true},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"1\",\"scope\":\"agent\"}", false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\",\"scope\":\"agent\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"2\",\"scope\":\"agent\"}", true},
        {"{\"agent_id\":\"sc\",\"scope\":\"agent\"}",
         "{\"agent_id\":\"other\",\"scope\":\"agent\"}", false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\",\"scope\":\"shared\"}",
         "{\"agent_id\":\"other\",\"session_id\":\"2\",\"scope\":\"shared\"}", true},
        {"{\"scope\":\"shared\"}", "{\"scope\":\"agent\",\"agent_id\":\"shared\"}", false},
        {"{\"agent_id\":\"sc\",\"session_id\":\"1\",\"template\":\"base\"}",
         "{\"agent_id\":\"sc\",\"session_id\":\"1\"}", true},
        {"{\"agent_id\":\"sc\"}", "{\"agent_id\":\"sc\"}", false},
        {"{\"session_id\":\"1\"}", "{\"session_id\":\"1\",\"agent_id\":\"default\"}", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char a[ID_SIZE], b[ID_SIZE];

        container_of(ALICE, cases[i].a, a);
        container_of(ALICE, cases[i].b, b);
        if ((strcmp(a, b) == 0) != cases[i].same)
            fail_msg("%s and %s: %s and %s", cases[i].a, cases[i].b, a, b);
    }
}

static void
a_one_shot_sandbox_is_gone_afterwards(void **state)
{
    char id[ID_SIZE], path[96];
    struct reply r;

    (void)state;
    container_of(ALICE, "{\"agent_id\":\"oneshot\"}", id);
    snprintf(path, sizeof(path), "/containers/%s", id);
    r = call(ALICE, "GET", path, NULL, NULL);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    assert_false(host_engine_has(id));
    r = call(ALICE, "GET", "/containers?agent_id=oneshot", NULL, NULL);
    assert_int_equal(json_array_size(at(&r, "containers")), 0);
    reply_done(&r);
}

static void
a_workspace_outlives_its_containers(void **state)
{
    static const char *const write_it =
        "umask 077; echo kept > /workspace/file; id -u > /workspace/uid";
    char id[ID_SIZE], path[96];
    struct reply r;

    (void)state;
    r = run_at(ALICE, "{\"agent_id\":\"ws\",\"session_id\":\"1\"}", write_it, id);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    assert_prints(ALICE, "{\"agent_id\":\"ws\",\"session_id\":\"2\"}", "cat /workspace/file",
                  "kept\n");
    snprintf(path, sizeof(path), "/containers/%s", id);
    r = call(ALICE, "DELETE", path, NULL, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    assert_prints(ALICE, "{\"agent_id\":\"ws\"}", "cat file", "kept\n");
    assert_prints(ALICE, "{\"agent_id\":\"ws\"}",
                  "[ $(stat -c %u file) = $(cat uid) ] && [ -O file ] && echo mine", "mine\n");
    assert_prints(ALICE, "{\"agent_id\":\"ws2\"}", "ls -A /workspace", "");
}

static void
access_ro_reads_and_none_sees_nothing(void **state)
{
    struct reply r;

    (void)state;
    r = run_at(ALICE, "{\"agent_id\":\"acc\",\"workspace_access\":\"rw\"}", "echo text > file",
               NULL);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    assert_prints(ALICE, "{\"agent_id\":\"acc\",\"workspace_access\":\"ro\"}",
                  "cat file; pwd; echo x 2>/dev/null > new || echo refused",
                  "text\n/workspace\nrefused\n");
    assert_prints(ALICE, "{\"agent_id\":\"acc\",\"workspace_access\":\"none\"}",
                  "pwd; ls -A; echo x > mine && cat mine", "/workspace\nx\n");
    assert_prints(ALICE, "{\"agent_id\":\"acc\",\"workspace_access\":\"none\"}", "ls -A", "");
    assert_prints(ALICE, "{\"agent_id\":\"acc\",\"workspace_access\":\"rw\"}", "ls -A", "file\n");
}

static void
home_is_private_to_a_container_and_stays_in_it(void **state)
{
    (void)state;
    assert_prints(ALICE, "{\"agent_id\":\"home\",\"session_id\":\"1\"}",
                  "cd; pwd; echo mine > .config && ls -A", "/home/sandbox\n.config\n");
    assert_prints(ALICE, "{\"agent_id\":\"home\",\"session_id\":\"1\"}", "cat ~/.config", "mine\n");
    assert_prints(ALICE, "{\"agent_id\":\"home\",\"session_id\":\"2\"}", "ls -A ~", "");
}

static void
owners_share_nothing(void **state)
{
    static const char *const same[] = {
        "{\"agent_id\":\"own\",\"session_id\":\"1\",\"tier\":\"Sandbox\"}",
        "{\"agent_id\":\"own\",\"scope\":\"agent\",\"tier\":\"Sandbox\"}",
        "{\"scope\":\"shared\",\"tier\":\"Sandbox\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        char alices[ID_SIZE], bobs[ID_SIZE], path[96];
        struct reply a = run_at(ALICE, same[i], "echo secret > alices; id -u", alices);
        struct reply b = run_at(BOB, same[i], "ls -A /workspace >&2; id -u", bobs);

        assert_int_equal(int_at(&a, "exit_code"), 0);
        assert_string_not_equal(alices, bobs);
        assert_string_not_equal(text_at(&a, "stdout"), text_at(&b, "stdout"));
        assert_string_equal(text_at(&b, "stderr"), "");
        reply_done(&a);
        reply_done(&b);
        snprintf(path, sizeof(path), "/containers/%s", alices);
        b = call(BOB, "GET", path, NULL, NULL);
        assert_problem(&b, 404, "not_found");
        reply_done(&b);
    }
}

static void
parallel_first_executions_get_one_container(void **state)
{
    struct flight *flights[PARALLEL];
    char first[ID_SIZE] = "";
    struct reply list;

    (void)state;
    for (int i = 0; i < PARALLEL; i++)
        flights[i] = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", "rush",
                                 "session_id", "1", "command", "true");
    for (int i = 0; i < PARALLEL; i++) {
        struct reply r = flight_land(flights[i]);

        assert_status(&r, 200);
        assert_int_equal(int_at(&r, "exit_code"), 0);
        if (i == 0)
            snprintf(first, sizeof(first), "%s", text_at(&r, "container_id"));
        assert_string_equal(text_at(&r, "container_id"), first);
        reply_done(&r);
    }
    list = call(ALICE, "GET", "/containers?agent_id=rush", NULL, NULL);
    assert_int_equal(json_array_size(at(&list, "containers")), 1);
    reply_done(&list);
}

static void
a_stopped_container_is_started_by_the_next_execution(void **state)
{
    static const char where[] = "{\"agent_id\":\"again\",\"session_id\":\"1\"}";
    char id[ID_SIZE], again[ID_SIZE], path[96];
    struct reply r = run_at(ALICE, where, "echo kept > ~/file", id);

    (void)state;
    reply_done(&r);
    snprintf(path, sizeof(path), "/containers/%s/stop", id);
    r = call(ALICE, "POST", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "stopped");
    reply_done(&r);
    r = run_at(ALICE, where, "cat ~/file", again);
    assert_string_equal(again, id);
    assert_string_equal(text_at(&r, "stdout"), "kept\n");
    reply_done(&r);
}

static void
a_tier_above_the_ceiling_is_forbidden(void **state)
{
    static const struct {
        const char *user, *tier;
        long status;
        const char *code;
    } cases[] = {
        {ALICE, "Unrestricted", 403, "forbidden"},     {ALICE, "unrestricted", 403, "forbidden"},
        {BOB, "Elevated", 403, "forbidden"},           {BOB, "eLEVated", 403, "forbidden"},
        {ALICE, "Nonesuch", 422, "validation_failed"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r =
            execute(cases[i].user, "{s:s, s:s}", "command", "true", "tier", cases[i].tier);

        print_message("    %s, %s\n", cases[i].user, cases[i].tier);
        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
    }
}

static void
without_a_tier_the_users_own_counts(void **state)
{
    static const struct {
        const char *user;
        const char *tier; /* NULL: none, so the config's resource_limits */
        double cpu_cores;
        long memory_mb;
    } cases[] = {{BOB, "Sandbox", 0.25, 128}, {ALICE, NULL, 1.0, 512}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(cases[i].user, "POST", "/containers",
                              "{\"agent_id\":\"owntier\",\"session_id\":\"1\"}", NULL);

        assert_status(&r, 201);
        assert_true(null_at(&r, "tier") == !cases[i].tier);
        if (cases[i].tier)
            assert_string_equal(text_at(&r, "tier"), cases[i].tier);
        assert_true(number_at(&r, "limits.cpu_cores") == cases[i].cpu_cores);
        assert_int_equal(int_at(&r, "limits.memory_mb"), cases[i].memory_mb);
        reply_done(&r);
    }
}

/* Set the mode; NULL is the YAML's. */
static void
set_mode(const char *mode)
{
    _cleanup_(freep) char *body = NULL;
    json_auto_t *json = json_pack("{s:s?}", "mode", mode);
    struct reply r;

    body = json_dumps(json, 0);
    r = call(ADMIN, "PUT", "/config", body, NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

static int
default_mode(void **state)
{
    set_mode(NULL);
    return delete_all(state);
}

/* Whether the newest audit entry of the admin's agent `mode` has this status. */
static void
assert_audited(const char *status)
{
    struct reply r = call(ADMIN, "GET", "/audit?agent_id=mode&limit=1", NULL, NULL);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "entries.0.status"), status);
    assert_string_equal(text_at(&r, "entries.0.command"), "echo told");
    reply_done(&r);
}

static void
mode_decides_what_runs(void **state)
{
    static const struct {
        const char *mode, *tier;
        bool sandbox;
        const char *refused; /* NULL: it runs */
    } cases[] = {
        {"off", NULL, false, "sandboxing_off"},
        {"off", "Sandbox", true, "sandboxing_off"},
        {"selective", NULL, false, NULL},
        {"selective", "Standard", false, NULL},
        {"selective", "Unrestricted", false, "not_selected"},
        {"selective", "unrestricted", false, "not_selected"},
        {"selective", "Unrestricted", true, NULL},
        {"all", "Unrestricted", false, NULL},
        {"all", "Sandbox", false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r;

        print_message("    %s, %s\n", cases[i].mode, cases[i].tier ? cases[i].tier : "no tier");
        set_mode(cases[i].mode);
        r = execute(ADMIN, "{s:s, s:s, s:s*, s:b}", "command", "echo told", "agent_id", "mode",
                    "tier", cases[i].tier, "sandbox", cases[i].sandbox);
        if (cases[i].refused)
            assert_problem(&r, 409, cases[i].refused);
        else
            assert_status(&r, 200);
        reply_done(&r);
        assert_audited(cases[i].refused ? "refused" : "completed");
    }
}

static bool
chosen_agent_runs(void *arg)
{
    struct reply r = execute(ADMIN, "{s:s, s:s, s:s}", "command", "true", "agent_id", "chosen",
                             "tier", "Unrestricted");
    bool runs = r.status == 200;

    if (!runs)
        assert_problem(&r, 409, "not_selected");
    reply_done(&r);
    return runs == *(const bool *)arg;
}

static void
reload(void)
{
    assert_int_equal(host_shell("kill -HUP $(cat \"$SANDBOX_STATE/run/sandboxd.pid\")"), 0);
}

static void
selective_names_agents(void **state)
{
    _cleanup_(freep) char *before = state_file("yaml/sandbox.yaml");
    bool runs = false;

    (void)state;
    assert_true(chosen_agent_runs(&runs));
    assert_int_equal(
        host_shell(
            "sed -i 's/^  agents: .*/  agents: [chosen]/' \"$SANDBOX_STATE/yaml/sandbox.yaml\""),
        0);
    reload();
    runs = true;
    wait_until(chosen_agent_runs, &runs, 30, "the agent that selective names to run");
    host_write("yaml/sandbox.yaml", before);
    reload();
    runs = false;
    wait_until(chosen_agent_runs, &runs, 30,
               "the agent that selective no longer names to be refused");
}

/*
 * While executions of a scope are on their way to its container, it is stopped and removed: each of
 * them finds it again, or another, and none answers that there is none. Those that had begun are
 * killed.
 */
static void
an_execution_finds_its_container_stopped_or_removed_and_runs(void **state)
{
    static const char body[] = "{\"agent_id\": \"fleeting\", \"session_id\": \"s\","
                               " \"command\": \"echo ran\"}";
    int ran = 0;

    (void)state;
    for (int round = 0; round < FLEETING_ROUNDS; round++) {
        struct parallel calls[PARALLEL];
        char id[ID_SIZE], stop[96], remove[96];
        struct reply r = call(ALICE, "POST", "/execute", body, NULL);

        assert_status(&r, 200);
        snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
        reply_done(&r);
        snprintf(stop, sizeof(stop), "/containers/%s/stop", id);
        snprintf(remove, sizeof(remove), "/containers/%s", id);
        for (size_t i = 0; i < PARALLEL; i++)
            calls[i] = (struct parallel){
                .user = ALICE, .method = "POST", .path = "/execute", .body = body};
        calls[1] = (struct parallel){.user = ALICE, .method = "POST", .path = stop};
        if (round % 2)
            calls[4] = (struct parallel){.user = ALICE, .method = "DELETE", .path = remove};
        call_parallel(calls, PARALLEL);
        for (size_t i = 0; i < PARALLEL; i++) {
            if (calls[i].body) {
                assert_status(&calls[i].reply, 200);
                ran += strcmp(text_at(&calls[i].reply, "stdout"), "ran\n") == 0;
            }
            reply_done(&calls[i].reply);
        }
    }
    assert_true(ran > FLEETING_ROUNDS);
}

#define scope_test(f) cmocka_unit_test_teardown(f, delete_all)

int
suite_scopes(void)
{
    const struct CMUnitTest tests[] = {
        scope_test(a_scope_has_one_container),
        scope_test(a_one_shot_sandbox_is_gone_afterwards),
        scope_test(an_execution_finds_its_container_stopped_or_removed_and_runs),
        scope_test(a_workspace_outlives_its_containers),
        scope_test(access_ro_reads_and_none_sees_nothing),
        scope_test(home_is_private_to_a_container_and_stays_in_it),
        scope_test(owners_share_nothing),
        scope_test(parallel_first_executions_get_one_container),
        scope_test(a_stopped_container_is_started_by_the_next_execution),
        scope_test(a_tier_above_the_ceiling_is_forbidden),
        scope_test(without_a_tier_the_users_own_counts),
        cmocka_unit_test_teardown(mode_decides_what_runs, default_mode),
        scope_test(selective_names_agents),
    };

    return cmocka_run_group_tests_name("api: scopes", tests, NULL, NULL);
}
