/* Who somebody is, and what they may do and see. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "tests/api/fastcgi.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

#define MISSING_CONTAINER "/containers/container_000000000000"
#define MISSING_ENTRY "/audit/exec_0000000000000000"

static void
assert_unauthenticated(struct reply *r)
{
    assert_problem(r, 401, "unauthenticated");
    assert_memory_equal(r->authenticate, "Basic ", 6);
    reply_done(r);
}

static void
nobody_gets_in_without_credentials(void **state)
{
    static const char *const headers[] = {
        "X-Nothing: 1",
        "Authorization: Basic",
        "Authorization: Basic YWRtaW46",             /* admin: */
        "Authorization: Basic YWRtaW46d3Jvbmc=",     /* admin:wrong */
        "Authorization: Basic bm9ib2R5Om5vYm9keQ==", /* nobody:nobody */
        "Authorization: Basic OngK",                 /* :x */
        "Authorization: Basic YWRtaW4=",             /* admin */
        "Authorization: Basic !!!",
        "Authorization: Bearer YWRtaW46d3Jvbmc=",
        "Authorization: Digest username=\"admin\"",
    };
    static const char *const paths[] = {"/whoami", "/config", "/nope", "/", MISSING_CONTAINER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
            struct reply r = call(NULL, "GET", paths[k], NULL, headers[i], NULL);

            if (r.status != 401)
                fail_msg("%s with '%s' gave %ld", paths[k], headers[i], r.status);
            assert_unauthenticated(&r);
        }
    }
}

static void
headers_cannot_make_somebody_else_of_anybody(void **state)
{
    static const char *const headers[] = {
        "Remote-User: admin",
        "REMOTE_USER: admin",
        "Remote_User: admin",
        "X-Remote-User: admin",
        "X-Forwarded-User: admin",
        "X-User: admin",
        "HTTP_REMOTE_USER: admin",
        "X-Original-User: admin",
        "Proxy: http://localhost:9",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-HTTP-Method-Override: PUT",
        "X-Original-URL: /api/sandbox/config",
        "Cookie: REMOTE_USER=admin",
        "From: admin@localhost",
        "X-Role: admin",
        "Content-Type: REMOTE_USER",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct reply r = call(BOB, "GET", "/whoami", NULL, headers[i], NULL);

        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "user"), BOB);
        assert_string_equal(text_at(&r, "role"), "user");
        reply_done(&r);
        r = call(NULL, "GET", "/whoami", NULL, headers[i], NULL);
        assert_unauthenticated(&r);
    }
}

/* An Authorization header of @user with @secret. */
static void
authorization(const char *user, const char *secret, char out[256])
{
    char plain[128], encoded[192];

    snprintf(plain, sizeof(plain), "%s:%.*s", user, (int)strcspn(secret, "\n"), secret);
    sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *)plain, strlen(plain),
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(out, 256, "Authorization: Basic %s", encoded);
}

static void
a_second_authorization_never_changes_who_it_is(void **state)
{
    _cleanup_(freep) char *secret = state_file("test-password-bob");
    char bob[256], admin[256];

    (void)state;
    assert_non_null(secret);
    authorization(BOB, secret, bob);
    authorization(ADMIN, "wrong", admin);
    for (int i = 0; i < 2; i++) {
        struct reply r = call(NULL, "GET", "/whoami", NULL, i ? bob : admin, i ? admin : bob, NULL);

        if (r.status == 200)
            assert_string_equal(text_at(&r, "user"), BOB);
        else
            assert_true(r.status == 400 || r.status == 401);
        reply_done(&r);
    }
}

static void
only_one_well_formed_remote_user_is_believed(void **state)
{
    static const char *const bad[] = {"",        " ",        "admin ",       " admin",
                                      "admin\n", "../admin", "admin/..",     "ad min",
                                      ".admin",  "-admin",   "adm\xc3\xadn", "admin\xff"};
    struct fastcgi_param params[8];
    char long_name[200] = "a";
    size_t last = 0;
    struct reply r;

    (void)state;
    fastcgi_params(params, ALICE, "GET", "/whoami");
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "user"), ALICE);
    reply_done(&r);
    while (params[last].name)
        last++;
    params[last] = (struct fastcgi_param){"REMOTE_USER", ADMIN};
    params[last + 1] = (struct fastcgi_param){0};
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_unauthenticated(&r);
    params[last].value = ALICE; /* twice the same is twice, too */
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_unauthenticated(&r);
    fastcgi_params(params, NULL, "GET", "/whoami");
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_unauthenticated(&r);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        fastcgi_params(params, bad[i], "GET", "/whoami");
        r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
        assert_unauthenticated(&r);
    }
    memset(long_name, 'a', sizeof(long_name) - 1);
    fastcgi_params(params, long_name, "GET", "/whoami");
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_unauthenticated(&r);
}

static void
other_names_of_the_parameter_are_not_believed(void **state)
{
    static const char *const names[] = {"HTTP_REMOTE_USER", "Remote_User", "remote_user",
                                        "REMOTE_USER_",     "REMOTE_USE",  "USER"};
    struct fastcgi_param params[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct reply r;
        size_t last = 0;

        fastcgi_params(params, NULL, "GET", "/whoami");
        while (params[last].name)
            last++;
        params[last] = (struct fastcgi_param){names[i], ADMIN};
        params[last + 1] = (struct fastcgi_param){0};
        r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
        assert_unauthenticated(&r);
    }
}

static void
only_nginxs_account_may_speak_to_the_sockets(void **state)
{
    static const char *const accounts[] = {"nobody", "nobody:www-data", "sandboxd", "root"};
    static const char *const sockets[] = {"control.sock", "exec.sock", "auth.sock"};
    struct fastcgi_param params[8];

    (void)state;
    fastcgi_params(params, ADMIN, "GET", "/whoami");
    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        for (size_t k = 0; k < ARRAY_LEN(sockets); k++) {
            struct reply r = fastcgi_call(accounts[i], sockets[k], params, NULL, 0);

            if (r.status != 0)
                fail_msg("%s got %ld from %s", accounts[i], r.status, sockets[k]);
        }
    }
}

static void
whom_access_yaml_does_not_name_gets_no_service(void **state)
{
    static const char *const paths[] = {"/whoami", "/config", "/containers", MISSING_CONTAINER};
    struct fastcgi_param params[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct reply r;

        fastcgi_params(params, "mallory", "GET", paths[i]);
        r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
    }
}

/* Every route, with what nobody, a viewer, a user and an admin get. */
static const struct {
    const char *method, *path, *body;
    long none, viewer, user, admin;
} routes[] = {
    {"GET", "/config", NULL, 401, 200, 200, 200},
    {"PUT", "/config", "{}", 401, 403, 403, 200},
    {"GET", "/status", NULL, 401, 200, 200, 200},
    {"GET", "/tiers", NULL, 401, 200, 200, 200},
    {"GET", "/whoami", NULL, 401, 200, 200, 200},
    {"POST", "/execute", "{}", 401, 403, 422, 422},
    {"GET", "/containers", NULL, 401, 200, 200, 200},
    {"POST", "/containers", "{\"scope\": 1}", 401, 403, 422, 422},
    {"GET", MISSING_CONTAINER, NULL, 401, 404, 404, 404},
    {"DELETE", MISSING_CONTAINER, NULL, 401, 403, 404, 404},
    {"POST", MISSING_CONTAINER "/start", NULL, 401, 403, 404, 404},
    {"POST", MISSING_CONTAINER "/stop", NULL, 401, 403, 404, 404},
    {"POST", MISSING_CONTAINER "/restart", NULL, 401, 403, 404, 404},
    {"POST", MISSING_CONTAINER "/exec", "{\"command\": \"true\"}", 401, 403, 404, 404},
    {"GET", "/audit", NULL, 401, 200, 200, 200},
    {"GET", MISSING_ENTRY, NULL, 401, 404, 404, 404},
    {"GET", MISSING_ENTRY "/output", NULL, 401, 404, 404, 404},
    {"GET", "/tokens", NULL, 401, 403, 403, 200},
    {"POST", "/tokens", "{}", 401, 403, 403, 422},
    {"DELETE", "/tokens/token_000000000000", NULL, 401, 403, 403, 404},
};

static void
roles_may_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct {
            const char *user;
            long status;
        } callers[] = {{NULL, routes[i].none},
                       {VIEWER, routes[i].viewer},
                       {ALICE, routes[i].user},
                       {ADMIN, routes[i].admin}};

        for (size_t k = 0; k < ARRAY_LEN(callers); k++) {
            struct reply r =
                call(callers[k].user, routes[i].method, routes[i].path, routes[i].body, NULL);

            if (r.status != callers[k].status)
                fail_msg("%s %s as %s gave %ld %s", routes[i].method, routes[i].path,
                         callers[k].user ? callers[k].user : "nobody", r.status, r.body);
            if (r.status >= 400)
                assert_problem(&r, r.status, text_at(&r, "code"));
            reply_done(&r);
        }
    }
}

/* Every way to name a container or an entry: %s is the id. */
static const struct {
    const char *method, *prefix, *suffix, *body;
    bool container;
} ways[] = {
    {"GET", "/containers/", "", NULL, true},
    {"DELETE", "/containers/", "", NULL, true},
    {"POST", "/containers/", "/start", NULL, true},
    {"POST", "/containers/", "/stop", NULL, true},
    {"POST", "/containers/", "/restart", NULL, true},
    {"POST", "/containers/", "/exec", "{\"command\": \"id\"}", true},
    {"POST", "/containers/", "/exec", "{\"argv\": [\"no-such-program\"]}", true},
    {"POST", "/containers/", "/exec", "{\"command\": \"id\", \"timeout_seconds\": 9999}", true},
    {"GET", "/audit/", "", NULL, false},
    {"GET", "/audit/", "/output", NULL, false},
    {"POST", "/audit/", "/kill", NULL, false},
};

static void
a_foreign_id_answers_exactly_as_a_missing_one(void **state)
{
    static const char *const actions[] = {"start", "stop"}; /* the states it is in meanwhile */
    char container[STEP_ID_SIZE], entry[STEP_ID_SIZE];
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "private", "scope", "agent",
                             "command", "echo secret");

    (void)state;
    assert_status(&r, 200);
    snprintf(container, sizeof(container), "%s", text_at(&r, "container_id"));
    snprintf(entry, sizeof(entry), "%s", text_at(&r, "id"));
    reply_done(&r);
    for (size_t k = 0; k < ARRAY_LEN(actions); k++) {
        r = act(ALICE, "POST", "/containers/%s/%s", container, actions[k]);
        assert_status(&r, 200);
        reply_done(&r);
        for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
            char path[128];
            struct reply foreign, missing;

            snprintf(path, sizeof(path), "%s%s%s", ways[i].prefix,
                     ways[i].container ? container : entry, ways[i].suffix);
            foreign = call(BOB, ways[i].method, path, ways[i].body, NULL);
            snprintf(path, sizeof(path), "%s%s%s", ways[i].prefix,
                     ways[i].container ? "container_000000000000" : "exec_0000000000000000",
                     ways[i].suffix);
            missing = call(BOB, ways[i].method, path, ways[i].body, NULL);
            assert_problem(&foreign, 404, "not_found");
            assert_same_problem(&foreign, &missing);
            reply_done(&foreign);
            reply_done(&missing);
        }
    }
    r = fetch(ALICE, "/containers/%s", container);
    assert_string_equal(text_at(&r, "status"), "stopped");
    assert_int_equal(int_at(&r, "executions_count"), 1);
    reply_done(&r);
}

static void
one_users_lists_and_counts_show_nothing_of_anothers(void **state)
{
    static const char *const paths[] = {"/containers?limit=500", "/audit?limit=500"};
    struct reply before = fetch(ALICE, "/status"), after;

    (void)state;
    run_in(BOB, "mine-alone", "s", "true");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct reply r = fetch(ALICE, "%s", paths[i]);

        assert_null(strstr(r.body, "mine-alone"));
        assert_null(strstr(r.body, "\"bob\""));
        reply_done(&r);
        r = fetch(ADMIN, "%s", paths[i]);
        assert_non_null(strstr(r.body, "mine-alone"));
        reply_done(&r);
    }
    after = fetch(ALICE, "/status");
    assert_int_equal(int_at(&before, "active_containers"), int_at(&after, "active_containers"));
    assert_int_equal(int_at(&before, "total_executions_today"),
                     int_at(&after, "total_executions_today"));
    reply_done(&before);
    reply_done(&after);
}

static void
equal_names_of_different_users_are_different_sandboxes(void **state)
{
    struct reply r;

    (void)state;
    run_in(ALICE, "same", "same", "echo hers >note; echo hers >$HOME/note");
    r = execute(BOB, "{s:s, s:s, s:s}", "agent_id", "same", "session_id", "same", "command",
                "ls /workspace $HOME; id -u");
    assert_status(&r, 200);
    assert_null(strstr(text_at(&r, "stdout"), "note"));
    reply_done(&r);
}

static void
an_admin_sees_and_ends_what_is_others(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"seen\", \"scope\": \"agent\"}", id);
    r = fetch(ADMIN, "/containers/%s", id);
    assert_string_equal(text_at(&r, "owner"), ALICE);
    reply_done(&r);
    r = act(ADMIN, "POST", "/containers/%s/stop", id);
    assert_status(&r, 200);
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
}

int
suite_identity(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_gets_in_without_credentials),
        cmocka_unit_test(headers_cannot_make_somebody_else_of_anybody),
        cmocka_unit_test(a_second_authorization_never_changes_who_it_is),
        cmocka_unit_test(only_one_well_formed_remote_user_is_believed),
        cmocka_unit_test(other_names_of_the_parameter_are_not_believed),
        cmocka_unit_test(only_nginxs_account_may_speak_to_the_sockets),
        cmocka_unit_test(whom_access_yaml_does_not_name_gets_no_service),
        cmocka_unit_test(roles_may_what_the_table_says),
        cmocka_unit_test_teardown(a_foreign_id_answers_exactly_as_a_missing_one, remove_containers),
        cmocka_unit_test_teardown(one_users_lists_and_counts_show_nothing_of_anothers,
                                  remove_containers),
        cmocka_unit_test_teardown(equal_names_of_different_users_are_different_sandboxes,
                                  remove_containers),
        cmocka_unit_test_teardown(an_admin_sees_and_ends_what_is_others, remove_containers),
    };

    return cmocka_run_group_tests_name("api: identity", tests, NULL, NULL);
}
