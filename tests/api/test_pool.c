/* The warm pool as requests meet it: who gets a container of it, and what that is like. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { CALLS = 8, TEXT_MAX = 64 << 10 };

/* Run @command of @user in tier Sandbox; in a session, or as a one-shot (NULL). */
static struct reply
run(const char *user, const char *session, const char *access, const char *command)
{
    struct reply r =
        execute(user, "{s:s, s:s, s:s, s:s*, s:s*}", "agent_id", "warm", "tier", "Sandbox",
                "command", command, "session_id", session, "workspace_access", access);

    assert_status(&r, 200);
    return r;
}

static void
assert_prints(const char *user, const char *session, const char *access, const char *command,
              const char *expected)
{
    struct reply r = run(user, session, access, command);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: expected \"%s\" in %s", command, expected, r.body);
    reply_done(&r);
}

/* Whether the engine's container of our @id was there when @before was read. */
static bool
was_there(const json_t *before, const char *id)
{
    json_auto_t *now = warm_inspect(id);

    return json_object_get(before, json_string_value(json_object_get(now, "Id"))) != NULL;
}

static void
the_pool_is_the_admins_business(void **state)
{
    static const char *const others[] = {ALICE, VIEWER};
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        r = call(others[i], "GET", "/pool", NULL, NULL);
        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
        r = call(others[i], "POST", "/pool/drain", "{}", NULL);
        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
    }
    assert_int_equal(warm_figure("ready"), 2);
}

static void
bad_input_drains_nothing(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{\"template\": \"\"}", "/template"}, {"{\"tier\": 1}", "/tier"},
        {"{\"refill\": \"no\"}", "/refill"},   {"{\"refill\": null}", "/refill"},
        {"{\"count\": 1}", "/count"},
    };
    static const char *const unknown[] = {"{\"template\": \"python\"}", "{\"tier\": \"Standard\"}",
                                          "{\"template\": \"base\", \"tier\": \"none\"}"};
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i].body);
        r = call(ADMIN, "POST", "/pool/drain", cases[i].body, NULL);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        r = call(ADMIN, "POST", "/pool/drain", unknown[i], NULL);
        assert_problem(&r, 404, "not_found");
        reply_done(&r);
    }
    assert_int_equal(warm_figure("ready"), 2);
}

static void
it_is_filled_and_belongs_to_nobody(void **state)
{
    json_auto_t *ids = warm_engine_ids();
    struct reply r = fetch(ADMIN, "/pool");

    (void)state;
    assert_members(r.json, "enabled ready target pools");
    assert_members(at(&r, "pools.0"), "template tier target ready warming claimed missed");
    assert_int_equal(int_at(&r, "target"), 2);
    assert_string_equal(text_at(&r, "pools.0.template"), "base");
    assert_string_equal(text_at(&r, "pools.0.tier"), "Sandbox");
    assert_int_equal(json_object_size(ids), 2);
    reply_done(&r);
    r = fetch(ADMIN, "/containers");
    assert_int_equal(json_array_size(at(&r, "containers")), 0);
    reply_done(&r);
    r = fetch(ADMIN, "/status");
    assert_int_equal(int_at(&r, "active_containers"), 0);
    reply_done(&r);
}

static void
a_request_gets_one_and_it_is_replaced(void **state)
{
    json_auto_t *before = warm_engine_ids();
    long long claimed = warm_figure("claimed"), missed = warm_figure("missed");
    struct reply r = run(ALICE, "s", NULL, "echo warm"), again;

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "warm\n");
    assert_true(was_there(before, text_at(&r, "container_id")));
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    assert_int_equal(warm_figure("missed"), missed);
    again = run(ALICE, "s", NULL, "true"); /* its scope finds it again */
    assert_string_equal(text_at(&again, "container_id"), text_at(&r, "container_id"));
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    reply_done(&again);
    reply_done(&r);
    warm_wait(2);
}

static void
other_requests_do_not(void **state)
{
    static const char *const bodies[] = {
        "{\"agent_id\": \"o\", \"session_id\": \"1\", \"tier\": \"Restricted\"}",
        "{\"agent_id\": \"o\", \"session_id\": \"2\"}",
        "{\"agent_id\": \"o\", \"session_id\": \"3\", \"tier\": \"Sandbox\","
        " \"workspace_access\": \"none\"}",
    };
    json_auto_t *before = warm_engine_ids();
    long long claimed = warm_figure("claimed"), missed = warm_figure("missed");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        char id[STEP_ID_SIZE];

        make_container(ALICE, bodies[i], id);
        assert_false(was_there(before, id));
    }
    assert_int_equal(warm_figure("claimed"), claimed);
    assert_int_equal(warm_figure("missed"), missed);
}

static void
an_empty_pool_is_missed_and_the_request_served(void **state)
{
    long long missed = warm_figure("missed");
    struct reply r;

    (void)state;
    r = call(ADMIN, "POST", "/pool/drain", "{\"refill\": false}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    assert_prints(ALICE, "s", NULL, "echo cold", "cold\n");
    assert_int_equal(warm_figure("missed"), missed + 1);
}

static void
what_is_inside_is_the_owners(void **state)
{
    static const char look[] =
        "id -u; id -g; id -un; echo $HOME; pwd; stat -c '%u %g %a' /workspace /home/sandbox;"
        " cd && echo own > file && cat file; awk '/^Cap|NoNewPrivs/ {print $2}' /proc/self/status";
    struct reply warm = run(ALICE, "s", NULL, look), cold;

    (void)state;
    cold = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "warm", "session_id", "s", "tier",
                   "Restricted", "command", look);
    assert_status(&cold, 200);
    assert_int_equal(int_at(&warm, "exit_code"), 0);
    assert_string_equal(text_at(&warm, "stdout"), text_at(&cold, "stdout"));
    assert_non_null(strstr(text_at(&warm, "stdout"), "\nsandbox\n/home/sandbox\n/workspace\n"));
    reply_done(&warm);
    reply_done(&cold);
}

static void
the_workspace_appears_with_the_access_asked_for(void **state)
{
    (void)state;
    assert_prints(ALICE, "rw", "rw", "echo text > file; cat file", "text\n");
    warm_wait(2);
    assert_prints(ALICE, "ro", "ro", "cat file; touch more 2>&1", /* the same agent's */
                  "text\ntouch: more: Read-only file system\n");
    assert_prints(ALICE, "ro", "ro", "grep -c ' /workspace .*[ ,]ro,nosuid,nodev' /proc/mounts",
                  "1\n");
    assert_prints(ALICE, "rw", "rw",
                  "grep ' /workspace ' /proc/mounts | grep -vc nosuid,nodev; rm file", "0\n");
}

/* The container's HostConfig as text, with "ID" for its own id; the caller frees. */
static char *
posture(const char *id)
{
    json_auto_t *inspected = warm_inspect(id);
    _cleanup_(freep) char *text =
        json_dumps(json_object_get(inspected, "HostConfig"), JSON_SORT_KEYS | JSON_INDENT(1));
    const char *from = text;
    struct buf out;

    buf_init(&out, TEXT_MAX);
    for (const char *p = strstr(from, id); p; p = strstr(from, id)) {
        assert_int_equal(buf_append(&out, from, (size_t)(p - from)), 0);
        assert_int_equal(buf_append(&out, "ID", 2), 0);
        from = p + strlen(id);
    }
    assert_int_equal(buf_append(&out, from, strlen(from)), 0);
    return buf_take(&out);
}

static void
its_posture_is_that_of_a_cold_one(void **state)
{
    _cleanup_(freep) char *warm = NULL, *cold = NULL;
    json_auto_t *before = warm_engine_ids();
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"p\", \"session_id\": \"w\", \"tier\": \"Sandbox\"}",
                   id);
    assert_true(was_there(before, id));
    warm = posture(id);
    r = call(ADMIN, "POST", "/pool/drain", "{\"refill\": false}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
    make_container(ALICE, "{\"agent_id\": \"p\", \"session_id\": \"c\", \"tier\": \"Sandbox\"}",
                   id);
    cold = posture(id);
    assert_string_equal(warm, cold);
}

static void
none_is_ever_given_to_two(void **state)
{
    static const char body[] =
        "{\"tier\": \"Sandbox\", \"agent_id\": \"two\", \"command\": "
        "\"id -u; ls -A /home/sandbox | wc -l; echo x > /home/sandbox/x; sleep 0.2; id -u\"}";
    struct parallel calls[CALLS];
    json_auto_t *seen = json_object();
    char *uids[2] = {NULL, NULL};

    (void)state;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (struct parallel){
            .user = i % 2 ? ALICE : BOB, .method = "POST", .path = "/execute", .body = body};
    call_parallel(calls, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        struct reply *r = &calls[i].reply;
        char uid[16] = "", rest[16] = "";

        assert_int_equal(r->status, 200);
        assert_int_equal(json_object_set_new(seen, text_at(r, "container_id"), json_true()), 0);
        assert_int_equal(sscanf(text_at(r, "stdout"), "%15s 0 %15s", uid, rest), 2);
        assert_string_equal(uid, rest);
        if (!uids[i % 2])
            uids[i % 2] = strdup(uid);
        assert_string_equal(uid, uids[i % 2]);
        reply_done(r);
    }
    assert_int_equal(json_object_size(seen), CALLS);
    assert_string_not_equal(uids[0], uids[1]);
    free(uids[0]);
    free(uids[1]);
}

static void
a_one_shot_leaves_nothing(void **state)
{
    long long claimed = warm_figure("claimed");
    struct reply r = run(ALICE, NULL, NULL, "echo once > /workspace/once");

    (void)state;
    assert_int_equal(int_at(&r, "exit_code"), 0);
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    assert_false(host_engine_has(text_at(&r, "container_id")));
    reply_done(&r);
    warm_wait(2);
    assert_prints(ALICE, NULL, NULL, "cat once; rm once", "once\n");
}

static void
it_lives_on_as_any_other(void **state)
{
    static const char *const acts[] = {"stop", "start", "restart"};
    struct reply r =
        run(ALICE, "s", NULL, "echo kept > /home/sandbox/file; echo w > shared; id -u");
    _cleanup_(freep) char *id = strdup(text_at(&r, "container_id"));
    _cleanup_(freep) char *uid = strdup(text_at(&r, "stdout"));

    (void)state;
    reply_done(&r);
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        r = act(ALICE, "POST", "/containers/%s/%s", id, acts[i]);
        assert_status(&r, 200);
        reply_done(&r);
    }
    assert_prints(ALICE, "s", NULL, "id -u", uid);
    assert_prints(ALICE, "s", NULL, "cat /home/sandbox/file /workspace/shared; id -un",
                  "kept\nw\nsandbox\n");
    assert_prints(ALICE, "s", NULL, "echo more > ~/more && stat -c %U ~ /workspace; rm shared",
                  "sandbox\nsandbox\n");
}

#define pool_test(f) cmocka_unit_test_setup_teardown(f, warm_open, warm_close)

int
suite_pool(void)
{
    const struct CMUnitTest tests[] = {
        pool_test(the_pool_is_the_admins_business),
        pool_test(bad_input_drains_nothing),
        pool_test(it_is_filled_and_belongs_to_nobody),
        pool_test(a_request_gets_one_and_it_is_replaced),
        pool_test(other_requests_do_not),
        pool_test(an_empty_pool_is_missed_and_the_request_served),
        pool_test(what_is_inside_is_the_owners),
        pool_test(the_workspace_appears_with_the_access_asked_for),
        pool_test(its_posture_is_that_of_a_cold_one),
        pool_test(none_is_ever_given_to_two),
        pool_test(a_one_shot_leaves_nothing),
        pool_test(it_lives_on_as_any_other),
    };

    return cmocka_run_group_tests_name("api: pool", tests, NULL, NULL);
}
