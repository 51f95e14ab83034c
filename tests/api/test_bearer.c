/* Bearer tokens as they are used: a client, an nginx that asks auth.sock, and the service. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/bearer.h"
#include "tests/api/fastcgi.h"
#include "tests/api/host.h"
#include "tests/api/keyed.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 30, PARALLEL = 50, LONG_HEADER = 4 << 10, HUGE_HEADER = 12 << 10 };

static void
a_token_lets_its_user_in_and_nobody_else(void **state)
{
    char id[SECRET_SIZE], alice[BEARER_SIZE], victor[BEARER_SIZE];
    struct reply r;

    (void)state;
    bearer_make(ALICE, id, alice);
    bearer_make(VIEWER, id, victor);
    for (enum bearer_server s = TOKENS_ALONE; s < BEARER_SERVERS; s++) {
        bearer_use(s);
        assert_is(alice, ALICE);
        assert_is(victor, VIEWER);
        r = call(NULL, "POST", "/execute", "{\"command\": \"echo by token\"}", alice, NULL);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), "by token\n");
        reply_done(&r);
        r = call(NULL, "POST", "/execute", "{\"command\": \"true\"}", victor, NULL);
        assert_problem(&r, 403, "forbidden");
        reply_done(&r);
    }
    r = fetch(ADMIN, "/audit?owner=alice&limit=1");
    assert_string_equal(text_at(&r, "entries.0.command"), "echo by token");
    reply_done(&r);
}

/* The header @header, with its text from @from on replaced by @with. */
static const char *
changed(const char *header, const char *from, const char *with, char out[2 * BEARER_SIZE])
{
    const char *at = strstr(header, from);

    assert_non_null(at);
    snprintf(out, 2 * BEARER_SIZE, "%.*s%s", (int)(at - header), header, with);
    return out;
}

static void
what_is_no_token_lets_nobody_in(void **state)
{
    static const char *const bad[] = {
        "Authorization: Bearer",          "Authorization: Bearer sbx_",
        "Authorization: Bearer admin",    "Authorization: Bearer sbx_%00%00",
        "Authorization: Bearer \xff\xfe", "Authorization: Bearer ' OR 1=1 --",
    };
    static const char *const none[] = {"Authorization: Basic YWRtaW46", "Authorization: Bearerx y",
                                       "Authorization: token", "X-Sandbox-User: admin",
                                       "Remote-User: admin"};
    static char long_header[LONG_HEADER] = "Authorization: Bearer sbx_";
    char id[SECRET_SIZE], good[BEARER_SIZE], text[2 * BEARER_SIZE];
    const char *secret;

    (void)state;
    bearer_make(ADMIN, id, good);
    secret = strstr(good, "sbx_");
    bearer_use(TOKENS_ALONE);
    assert_nobody(NULL, false);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_nobody(bad[i], true);
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_nobody(none[i], false);
    assert_nobody(changed(good, secret + 32, "", text), true);
    assert_nobody(changed(good, "sbx_", secret + 4, text), true);
    assert_nobody(changed(good, "sbx_", id, text), true);
    snprintf(text, sizeof(text), "%s %s", good, secret);
    assert_nobody(text, true);
    snprintf(text, sizeof(text), "%s, Bearer %s", good, secret);
    assert_nobody(text, true);
    snprintf(text, sizeof(text), "%s0", good);
    assert_nobody(text, true);
    snprintf(text, sizeof(text), "Authorization: Bearer sbx_%064d", 0); /* never made */
    assert_nobody(text, true);
    memset(long_header + strlen(long_header), 'a', LONG_HEADER - strlen(long_header) - 1);
    assert_nobody(long_header, true);
    snprintf(text, sizeof(text), "Authorization: bearer  %s", secret); /* RFC 9110, 11.1 */
    assert_is(text, ADMIN);
}

/* nginx itself refuses what the socket never sees. */
static void
two_headers_or_a_huge_one_let_nobody_in(void **state)
{
    static char huge[HUGE_HEADER] = "Authorization: Bearer ";
    char id[SECRET_SIZE], good[BEARER_SIZE];
    struct reply r;

    (void)state;
    bearer_make(ADMIN, id, good);
    memset(huge + strlen(huge), 'a', HUGE_HEADER - strlen(huge) - 1);
    for (enum bearer_server s = TOKENS_ALONE; s < BEARER_SERVERS; s++) {
        bearer_use(s);
        r = call(NULL, "GET", "/whoami", NULL, good, good, NULL);
        assert_true(r.status == 400 || r.status == 401);
        reply_done(&r);
        r = call(NULL, "GET", "/whoami", NULL, good, "Authorization: Basic YWRtaW46", NULL);
        assert_true(r.status == 400 || r.status == 401);
        reply_done(&r);
        r = call(NULL, "GET", "/whoami", NULL, huge, NULL);
        assert_true(r.status == 400 || r.status == 431);
        reply_done(&r);
    }
}

/* Ask auth.sock past nginx, with one Authorization or two. */
static struct reply
ask_socket(const char *first, const char *second)
{
    struct fastcgi_param params[8];
    size_t n = 0;

    fastcgi_params(params, ADMIN, "POST", "/tokens"); /* which mean nothing there */
    while (params[n].name)
        n++;
    params[n++] = (struct fastcgi_param){"HTTP_AUTHORIZATION", first};
    if (second)
        params[n++] = (struct fastcgi_param){"HTTP_AUTHORIZATION", second};
    params[n] = (struct fastcgi_param){0};
    return fastcgi_call("www-data", "auth.sock", params, NULL, 0);
}

static void
the_socket_says_who_it_is_and_nothing_else(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE];
    struct fastcgi_param params[8];
    const char *value = header + strlen("Authorization: ");
    size_t n = 0;
    struct reply r;

    (void)state;
    bearer_make("carol@example.org", id, header);
    r = ask_socket(value, NULL);
    assert_status(&r, 204);
    assert_string_equal(r.sandbox_user, "carol@example.org");
    assert_string_equal(r.body, "");
    reply_done(&r);
    r = ask_socket(value, value);
    assert_status(&r, 401);
    assert_string_equal(r.sandbox_user, "");
    reply_done(&r);
    r = ask_socket("Basic YWRtaW46", value);
    assert_status(&r, 401);
    reply_done(&r);
    r = ask_socket("", NULL);
    assert_status(&r, 401);
    assert_string_equal(r.authenticate, "Bearer realm=\"sandbox\"");
    reply_done(&r);

    /* And the other sockets know no tokens. */
    fastcgi_params(params, NULL, "GET", "/whoami");
    while (params[n].name)
        n++;
    params[n] = (struct fastcgi_param){"HTTP_AUTHORIZATION", value};
    params[n + 1] = (struct fastcgi_param){0};
    r = fastcgi_call("www-data", "control.sock", params, NULL, 0);
    assert_problem(&r, 401, "unauthenticated");
    reply_done(&r);
}

static bool
is_refused(void *arg)
{
    struct reply r = call(NULL, "GET", "/whoami", NULL, arg, NULL);
    bool refused = r.status == 401;

    assert_true(refused || r.status == 200);
    reply_done(&r);
    return refused;
}

static void
an_expired_token_is_refused(void **state)
{
    char header[BEARER_SIZE];
    struct reply r =
        call(ADMIN, "POST", "/tokens", "{\"user\": \"alice\", \"expires_in_seconds\": 2}", NULL);

    (void)state;
    assert_status(&r, 201);
    snprintf(header, sizeof(header), "Authorization: Bearer %s", text_at(&r, "token"));
    reply_done(&r);
    bearer_use(TOKENS_ALONE);
    wait_until(is_refused, header, PATIENCE_SECONDS, "the token to expire");
    assert_nobody(header, true);
}

static size_t
drop_body(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

/* Ask once more over the connection of @curl. */
static void
ask_kept(CURL *curl, long status, long connections)
{
    long got = 0, made = -1;

    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &made);
    assert_int_equal(got, status);
    assert_int_equal(made, connections);
}

/* Whatever connection, and whatever worker, has seen it work before. */
static void
a_revoked_token_is_refused_with_the_next_request(void **state)
{
    struct parallel calls[PARALLEL];
    char id[SECRET_SIZE], header[BEARER_SIZE];

    (void)state;
    for (int round = 0; round < 5; round++) {
        struct curl_slist *headers;
        struct reply r;
        CURL *kept;

        bearer_make(ALICE, id, header);
        bearer_use(TOKENS_OR_PASSWORDS);
        kept = client_handle(NULL, "/whoami");
        headers = curl_slist_append(NULL, header);
        curl_easy_setopt(kept, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(kept, CURLOPT_WRITEFUNCTION, drop_body);
        ask_kept(kept, 200, 1);
        ask_kept(kept, 200, 0);
        for (size_t i = 0; i < PARALLEL; i++)
            calls[i] = (struct parallel){NULL, "GET", "/whoami", NULL, header, {0}};
        call_parallel(calls, PARALLEL);
        for (size_t i = 0; i < PARALLEL; i++) {
            assert_status(&calls[i].reply, 200);
            reply_done(&calls[i].reply);
        }
        client_use_door(NULL);
        r = act(ADMIN, "DELETE", "/tokens/%s", id);
        assert_status(&r, 204);
        reply_done(&r);
        ask_kept(kept, 401, 0);
        bearer_use(TOKENS_OR_PASSWORDS);
        call_parallel(calls, PARALLEL);
        for (size_t i = 0; i < PARALLEL; i++) {
            assert_status(&calls[i].reply, 401);
            reply_done(&calls[i].reply);
        }
        curl_easy_cleanup(kept);
        curl_slist_free_all(headers);
    }
}

static void
many_at_once_are_each_who_they_are(void **state)
{
    static const char *const users[] = {ADMIN, ALICE, BOB, VIEWER};
    char id[SECRET_SIZE], headers[ARRAY_LEN(users)][BEARER_SIZE];
    struct parallel calls[PARALLEL];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        bearer_make(users[i], id, headers[i]);
    for (enum bearer_server s = TOKENS_ALONE; s < BEARER_SERVERS; s++) {
        bearer_use(s);
        for (size_t i = 0; i < PARALLEL; i++)
            calls[i] =
                (struct parallel){NULL, "GET", "/whoami", NULL, headers[i % ARRAY_LEN(users)], {0}};
        call_parallel(calls, PARALLEL);
        for (size_t i = 0; i < PARALLEL; i++) {
            assert_status(&calls[i].reply, 200);
            assert_string_equal(text_at(&calls[i].reply, "user"), users[i % ARRAY_LEN(users)]);
            reply_done(&calls[i].reply);
        }
    }
}

static void
passwords_go_on_beside_tokens(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE];
    struct reply r;

    (void)state;
    bearer_make(BOB, id, header);
    bearer_use(TOKENS_OR_PASSWORDS);
    assert_is(header, BOB);
    r = call(ALICE, "GET", "/whoami", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "user"), ALICE);
    reply_done(&r);
    r = call(NULL, "GET", "/whoami", NULL, "Authorization: Basic YWRtaW46d3Jvbmc=", NULL);
    assert_status(&r, 401); /* admin:wrong */
    reply_done(&r);
    r = call(NULL, "GET", "/whoami", NULL, NULL);
    assert_status(&r, 401);
    reply_done(&r);
    assert_is(header, BOB);
}

static void
whom_access_yaml_does_not_name_gets_no_service(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE];
    struct reply r;

    (void)state;
    bearer_make("mallory", id, header);
    bearer_use(TOKENS_ALONE);
    r = call(NULL, "GET", "/whoami", NULL, header, NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
}

/* When the token @arg was last used is known. */
static bool
use_is_shown(void *arg)
{
    struct reply r = fetch(ADMIN, "/tokens?limit=1");
    bool shown = !null_at(&r, "tokens.0.last_used_at");

    assert_string_equal(text_at(&r, "tokens.0.id"), arg);
    reply_done(&r);
    return shown;
}

static void
the_last_use_is_shown_soon(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE];

    (void)state;
    bearer_make(BOB, id, header);
    assert_false(use_is_shown(id));
    bearer_use(TOKENS_ALONE);
    assert_is(header, BOB);
    client_use_door(NULL);
    wait_until(use_is_shown, id, PATIENCE_SECONDS, "the use of the token to be noted");
}

/* Whether a file of the server's, its engine's left out, has @text in it. */
static bool
server_has(const char *text)
{
    int status = host_shell("grep -rqsF --binary-files=text --exclude-dir=docker -- '%s' "
                            "\"$SANDBOX_STATE\"",
                            text);

    assert_true(status == 0 || status == 1 || status == 2); /* 2: a file went away meanwhile */
    return status == 0;
}

static void
a_token_is_in_no_file_of_the_server_s(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE], half[33] = "";
    struct reply r =
        call(ADMIN, "POST", "/tokens", "{\"user\": \"alice\", \"name\": \"seen-name\"}",
             key_fresh(), "X-Request-Id: seen-request", NULL);

    (void)state;
    assert_status(&r, 201);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    snprintf(header, sizeof(header), "Authorization: Bearer %s", text_at(&r, "token"));
    memcpy(half, text_at(&r, "token") + 4, sizeof(half) - 1);
    reply_done(&r);
    bearer_use(TOKENS_ALONE);
    assert_is(header, ALICE);
    r = call(NULL, "POST", "/execute", "{\"command\": \"env; id\"}", header, NULL);
    assert_status(&r, 200);
    assert_null(strstr(r.body, half));
    reply_done(&r);
    r = call(NULL, "GET", "/tokens", NULL, header, NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(NULL, "GET", "/tokens");
    reply_done(&r);
    client_use_door(NULL);
    r = fetch(ADMIN, "/tokens");
    assert_null(strstr(r.body, half));
    reply_done(&r);
    r = fetch(ADMIN, "/audit?kind=change&limit=10");
    assert_non_null(strstr(r.body, "seen-name"));
    assert_null(strstr(r.body, half));
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/tokens/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    bearer_use(TOKENS_ALONE);
    assert_nobody(header, true);
    assert_true(server_has("seen-name")); /* where it would be seen */
    assert_false(server_has(half));
}

/* Every token that anybody was told of works, however many workers die. */
static void
no_token_is_lost_with_a_worker(void **state)
{
    enum { COUNT = 20 };
    struct parallel calls[COUNT];
    struct pending *pending[COUNT];
    struct pids workers = host_role("worker");
    char id[SECRET_SIZE], header[BEARER_SIZE];
    size_t made = 0, done = 0;

    (void)state;
    bearer_make(BOB, id, header);
    for (size_t i = 0; i < COUNT; i++) {
        calls[i] = (struct parallel){ADMIN, "POST", "/tokens", "{\"user\": \"alice\"}", NULL, {0}};
        pending[i] = pending_start(&calls[i]);
    }
    while (done == 0) {
        for (size_t i = 0; i < COUNT; i++)
            done += pending_poll(pending[i]);
        usleep(100);
    }
    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], SIGKILL), 0);
    for (size_t i = 0; i < COUNT; i++)
        pending_finish(pending[i]);
    for (size_t i = 0; i < workers.count; i++)
        host_wait_role("worker", workers.count, workers.list[i]);
    kill_workers(); /* and those that took their place */
    bearer_use(TOKENS_ALONE);
    assert_is(header, BOB);
    for (size_t i = 0; i < COUNT; i++) {
        if (calls[i].reply.status == 201) {
            snprintf(header, sizeof(header), "Authorization: Bearer %s",
                     text_at(&calls[i].reply, "token"));
            assert_is(header, ALICE);
            made++;
        }
        reply_done(&calls[i].reply);
    }
    print_message("    %zu of %d were made\n", made, COUNT);
    assert_true(made > 0);
}

int
suite_bearer(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_token_lets_its_user_in_and_nobody_else, bearer_clean),
        cmocka_unit_test_teardown(what_is_no_token_lets_nobody_in, bearer_clean),
        cmocka_unit_test_teardown(two_headers_or_a_huge_one_let_nobody_in, bearer_clean),
        cmocka_unit_test_teardown(the_socket_says_who_it_is_and_nothing_else, bearer_clean),
        cmocka_unit_test_teardown(an_expired_token_is_refused, bearer_clean),
        cmocka_unit_test_teardown(a_revoked_token_is_refused_with_the_next_request, bearer_clean),
        cmocka_unit_test_teardown(many_at_once_are_each_who_they_are, bearer_clean),
        cmocka_unit_test_teardown(passwords_go_on_beside_tokens, bearer_clean),
        cmocka_unit_test_teardown(whom_access_yaml_does_not_name_gets_no_service, bearer_clean),
        cmocka_unit_test_teardown(the_last_use_is_shown_soon, bearer_clean),
        cmocka_unit_test_teardown(a_token_is_in_no_file_of_the_server_s, bearer_clean),
        cmocka_unit_test_teardown(no_token_is_lost_with_a_worker, bearer_clean),
    };

    return cmocka_run_group_tests_name("api: bearer", tests, bearer_open, bearer_close);
}
