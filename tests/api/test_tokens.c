/* The resource `tokens`, and `sandboxd token`. */
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

enum { PATIENCE_SECONDS = 60 };

/* How many tokens there are. */
static size_t
count_tokens(void)
{
    struct reply r = fetch(ADMIN, "/tokens?limit=500");
    size_t n = json_array_size(at(&r, "tokens"));

    reply_done(&r);
    return n;
}

/* The service's word for the owner of @secret; fails the test unless that is @user, "" for nobody.
 */
static void
assert_stands_for(const char *secret, const char *user)
{
    struct fastcgi_param params[8];
    char value[BEARER_SIZE];
    size_t n = 0;
    struct reply r;

    snprintf(value, sizeof(value), "Bearer %.*s", (int)strcspn(secret, "\n"), secret);
    fastcgi_params(params, NULL, "GET", "/authenticate");
    while (params[n].name)
        n++;
    params[n] = (struct fastcgi_param){"HTTP_AUTHORIZATION", value};
    params[n + 1] = (struct fastcgi_param){0};
    r = fastcgi_call("www-data", "auth.sock", params, NULL, 0);
    assert_status(&r, user[0] ? 204 : 401);
    assert_string_equal(r.sandbox_user, user);
    reply_done(&r);
}

static void
an_admin_makes_sees_and_revokes_tokens(void **state)
{
    char id[SECRET_SIZE], secret[SECRET_SIZE];
    struct reply r = call(ADMIN, "POST", "/tokens",
                          "{\"user\": \"alice\", \"name\": \"build server\", "
                          "\"expires_in_seconds\": 3600}",
                          "X-Request-Id: token.1", NULL);

    (void)state;
    assert_status(&r, 201);
    assert_members(r.json, "id user name token created_at expires_at");
    assert_string_equal(text_at(&r, "user"), ALICE);
    assert_string_equal(text_at(&r, "name"), "build server");
    assert_time(text_at(&r, "created_at"));
    assert_time(text_at(&r, "expires_at"));
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    snprintf(secret, sizeof(secret), "%s", text_at(&r, "token"));
    reply_done(&r);
    assert_stands_for(secret, ALICE);

    r = fetch(ADMIN, "/tokens?user=alice");
    assert_int_equal(json_array_size(at(&r, "tokens")), 1);
    assert_members(at(&r, "tokens.0"), "id user name created_at expires_at last_used_at");
    assert_string_equal(text_at(&r, "tokens.0.id"), id);
    assert_string_equal(text_at(&r, "tokens.0.name"), "build server");
    assert_null(strstr(r.body, "sbx_"));
    reply_done(&r);
    r = fetch(ADMIN, "/tokens?user=bob");
    assert_int_equal(json_array_size(at(&r, "tokens")), 0);
    reply_done(&r);

    r = act(ADMIN, "DELETE", "/tokens/%s", id);
    assert_status(&r, 204);
    assert_string_equal(r.body, "");
    reply_done(&r);
    assert_stands_for(secret, "");
    r = act(ADMIN, "DELETE", "/tokens/%s", id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static void
each_change_is_told_by_the_audit_log_without_the_secret(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE], command[SECRET_SIZE + 32];
    struct reply r;

    (void)state;
    bearer_make(BOB, id, header);
    r = act(ADMIN, "DELETE", "/tokens/%s", id);
    reply_done(&r);
    r = fetch(ADMIN, "/audit?kind=change&limit=2");
    snprintf(command, sizeof(command), "DELETE /tokens/%s", id);
    assert_string_equal(text_at(&r, "entries.0.command"), command);
    assert_string_equal(text_at(&r, "entries.0.owner"), ADMIN);
    assert_string_equal(text_at(&r, "entries.0.before.token.id"), id);
    assert_string_equal(text_at(&r, "entries.0.before.token.user"), BOB);
    assert_true(null_at(&r, "entries.0.after"));
    assert_string_equal(text_at(&r, "entries.1.command"), "POST /tokens");
    assert_true(null_at(&r, "entries.1.before"));
    assert_members(at(&r, "entries.1.after.token"), "id user name expires_at");
    assert_string_equal(text_at(&r, "entries.1.after.token.id"), id);
    assert_null(strstr(r.body, "sbx_"));
    reply_done(&r);
}

static void
what_cannot_be_a_token_s_is_refused(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{}", "/user"},
        {"{\"user\": \"\"}", "/user"},
        {"{\"user\": \"no body\"}", "/user"},
        {"{\"user\": \"x\\r\\nX-Sandbox-User: admin\"}", "/user"},
        {"{\"user\": \"../admin\"}", "/user"},
        {"{\"user\": 7}", "/user"},
        {"{\"user\": \"alice\", \"name\": \"\"}", "/name"},
        {"{\"user\": \"alice\", \"name\": \"a\\u0007b\"}", "/name"},
        {"{\"user\": \"alice\", \"name\": \"a\\u0085b\"}", "/name"},
        {"{\"user\": \"alice\", \"expires_in_seconds\": 0}", "/expires_in_seconds"},
        {"{\"user\": \"alice\", \"expires_in_seconds\": -1}", "/expires_in_seconds"},
        {"{\"user\": \"alice\", \"expires_in_seconds\": 1.5}", "/expires_in_seconds"},
        {"{\"user\": \"alice\", \"expires_in_seconds\": 9223372036854775807}",
         "/expires_in_seconds"},
        {"{\"user\": \"alice\", \"token\": \"sbx_mine\"}", "/token"},
    };
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r = call(ADMIN, "POST", "/tokens", cases[i].body, NULL);
        print_message("    %s\n", cases[i].body);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    assert_int_equal(count_tokens(), 0);
}

static void
lists_go_by_pages(void **state)
{
    char id[SECRET_SIZE], header[BEARER_SIZE], path[128];
    struct reply r, more;

    (void)state;
    for (int i = 0; i < 3; i++)
        bearer_make(i == 1 ? BOB : ALICE, id, header);
    r = fetch(ADMIN, "/tokens?limit=2");
    assert_int_equal(json_array_size(at(&r, "tokens")), 2);
    assert_string_equal(text_at(&r, "tokens.0.id"), id);
    snprintf(path, sizeof(path), "/tokens?limit=2&cursor=%s", text_at(&r, "next_cursor"));
    more = fetch(ADMIN, "%s", path);
    assert_int_equal(json_array_size(at(&more, "tokens")), 1);
    assert_true(null_at(&more, "next_cursor"));
    reply_done(&r);
    reply_done(&more);
    r = call(ADMIN, "GET", "/tokens?cursor=x", NULL, NULL);
    assert_problem(&r, 400, "bad_query");
    reply_done(&r);
}

static void
a_repeated_key_makes_no_second_token_and_shows_none_again(void **state)
{
    static const char body[] = "{\"user\": \"alice\"}";
    const char *key = key_fresh();
    struct reply r = call(ADMIN, "POST", "/tokens", body, key, NULL), again;
    char sql[256];

    (void)state;
    assert_status(&r, 201);
    assert_stands_for(text_at(&r, "token"), ALICE);
    for (int i = 0; i < 2; i++) {
        again = call(ADMIN, "POST", "/tokens", body, key, NULL);
        assert_problem(&again, 409, "conflict");
        assert_non_null(strstr(text_at(&again, "detail"), text_at(&r, "id")));
        assert_null(strstr(again.body, "sbx_"));
        reply_done(&again);
    }
    again = call(ADMIN, "POST", "/tokens", "{\"user\": \"bob\"}", key, NULL);
    assert_problem(&again, 409, "conflict");
    reply_done(&again);
    assert_int_equal(count_tokens(), 1);
    snprintf(sql, sizeof(sql),
             "SELECT COUNT(*) FROM idempotency WHERE status = 201 AND body IS NULL AND key = '%s'",
             key + strlen("Idempotency-Key: "));
    assert_int_equal(ask_database(sql), 1);
    assert_stands_for(text_at(&r, "token"), ALICE);
    reply_done(&r);
}

/* Nobody was told its secret: the request is carried on, and gives the one token a new one. */
static void
a_request_whose_worker_died_is_carried_on(void **state)
{
    static const char body[] = "{\"user\": \"alice\", \"name\": \"carried on\"}";
    const char *key = key_fresh();
    struct reply first = call(ADMIN, "POST", "/tokens", body, key, NULL), again;

    (void)state;
    assert_status(&first, 201);
    kill_workers();
    forget_answers();
    again = call(ADMIN, "POST", "/tokens", body, key, NULL);
    assert_status(&again, 201);
    assert_string_equal(text_at(&again, "id"), text_at(&first, "id"));
    assert_int_equal(count_tokens(), 1);
    assert_stands_for(text_at(&again, "token"), ALICE);
    assert_stands_for(text_at(&first, "token"), "");
    reply_done(&first);
    reply_done(&again);
    again = call(ADMIN, "POST", "/tokens", body, key, NULL);
    assert_problem(&again, 409, "conflict");
    reply_done(&again);
}

/* Run `sandboxd token` with these words; its standard output is the state directory's file "told",
 * what it complains of goes to "complained". Returns its exit status. */
static int
token_command(const char *words)
{
    return host_shell("\"$SANDBOXD\" token %s --state \"$SANDBOX_STATE\" >\"$SANDBOX_STATE\"/told "
                      "2>\"$SANDBOX_STATE\"/complained",
                      words);
}

/* What it said on @stream; the caller frees. */
static char *
words_of(const char *stream)
{
    char *text = state_file(stream);

    return text ? text : strdup("");
}

/* Make a token with the command: its secret is all that is on standard output. */
static void
command_adds(const char *words, char secret[SECRET_SIZE], char id[SECRET_SIZE])
{
    _cleanup_(freep) char *told = NULL, *complained = NULL;

    assert_int_equal(token_command(words), 0);
    told = words_of("told");
    complained = words_of("complained");
    assert_int_equal(strlen(told), 69);
    assert_memory_equal(told, "sbx_", 4);
    assert_int_equal(told[68], '\n');
    assert_memory_equal(complained, "token_", 6);
    assert_null(strstr(complained, "sbx_"));
    snprintf(secret, SECRET_SIZE, "%.68s", told);
    snprintf(id, SECRET_SIZE, "%.*s", (int)strcspn(complained, " "), complained);
    host_shell("rm -f \"$SANDBOX_STATE\"/told");
}

static void
the_command_works_beside_the_service(void **state)
{
    char secret[SECRET_SIZE], id[SECRET_SIZE], words[2 * SECRET_SIZE];
    _cleanup_(freep) char *told = NULL;
    struct reply r;

    (void)state;
    command_adds("add alice --name 'by hand' --expires-in 3600", secret, id);
    assert_stands_for(secret, ALICE);
    r = fetch(ADMIN, "/tokens");
    assert_string_equal(text_at(&r, "tokens.0.id"), id);
    assert_string_equal(text_at(&r, "tokens.0.name"), "by hand");
    reply_done(&r);
    assert_int_equal(token_command("list"), 0);
    told = words_of("told");
    assert_non_null(strstr(told, id));
    assert_null(strstr(told, "sbx_"));
    snprintf(words, sizeof(words), "revoke %s", id);
    assert_int_equal(token_command(words), 0);
    assert_stands_for(secret, "");
    assert_int_equal(token_command(words), 1);
    r = fetch(ADMIN, "/audit?kind=change&limit=2");
    assert_string_equal(text_at(&r, "entries.0.command"), "sandboxd token revoke");
    assert_string_equal(text_at(&r, "entries.0.owner"), "root");
    assert_string_equal(text_at(&r, "entries.1.command"), "sandboxd token add");
    assert_string_equal(text_at(&r, "entries.1.after.token.user"), ALICE);
    assert_null(strstr(r.body, "sbx_"));
    reply_done(&r);
}

static void
what_the_command_does_not_know_it_says(void **state)
{
    static const struct {
        const char *words, *complaint;
        int status;
    } cases[] = {
        {"", "usage", 2},
        {"add", "usage", 2},
        {"add alice bob", "usage", 2},
        {"add alice --expires-in 0", "usage", 2},
        {"add alice --expires-in 1h", "usage", 2},
        {"add alice --no-such", "usage", 2},
        {"list alice", "usage", 2},
        {"revoke", "usage", 2},
        {"revoke token_000000000000 --name x", "usage", 2},
        {"add 'al ice'", "/user", 1},
        {"add alice --name ''", "/name", 1},
        {"add alice --expires-in 99999999999", "/expires_in_seconds", 1},
        {"revoke token_000000000000", "no such token", 1},
        {"list --state /no/such", "ever started", 1},
        {"list --state /tmp", "ever started", 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *told = NULL, *complained = NULL;
        int status = strstr(cases[i].words, "--state")
                         ? host_shell("\"$SANDBOXD\" token %s >\"$SANDBOX_STATE\"/told "
                                      "2>\"$SANDBOX_STATE\"/complained",
                                      cases[i].words)
                         : token_command(cases[i].words);

        told = words_of("told");
        complained = words_of("complained");
        if (status != cases[i].status || !strstr(complained, cases[i].complaint) || told[0])
            fail_msg("'%s': %d, %s%s", cases[i].words, status, complained, told);
    }
    assert_int_equal(count_tokens(), 0);
}

static bool
service_answers(void *arg)
{
    struct reply r = call(ADMIN, "GET", "/status", NULL, NULL);
    bool answers = r.status == 200;

    (void)arg;
    reply_done(&r);
    return answers;
}

/* Stop the service as an admin would, do @meanwhile, and start it as it was started. */
static void
while_it_is_stopped(void (*meanwhile)(void))
{
    pid_t manager = host_pid_file("run/sandboxd.pid");

    assert_true(manager > 0);
    assert_int_equal(host_shell("cp /proc/%d/cmdline \"$SANDBOX_STATE/cmdline\"", (int)manager), 0);
    assert_int_equal(kill(manager, SIGTERM), 0);
    while (host_runs(manager))
        usleep(10000);
    meanwhile();
    assert_int_equal(host_shell("cd / && xargs -0 -a \"$SANDBOX_STATE/cmdline\" setsid --fork "
                                "</dev/null >>\"$SANDBOX_STATE/log/sandboxd.log\" 2>&1"),
                     0);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
}

static struct {
    char before[SECRET_SIZE], meanwhile[SECRET_SIZE], before_id[SECRET_SIZE], id[SECRET_SIZE];
} stopped;

static void
change_tokens(void)
{
    char words[2 * SECRET_SIZE];

    command_adds("add bob", stopped.meanwhile, stopped.id);
    snprintf(words, sizeof(words), "revoke %s", stopped.before_id);
    assert_int_equal(token_command(words), 0);
    assert_int_equal(token_command("list"), 0);
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE\" && [ ! -e run/shared ] &&"
                   " [ \"$(stat -c %%U sandbox.db token-key | sort -u)\" = sandboxd ] &&"
                   " [ ! -s sandbox.db-wal ]"),
        0);
    /* Several at one time wait for each other. */
    assert_int_equal(host_shell("for i in 1 2 3 4 5 6 7 8; do \"$SANDBOXD\" token add carol"
                                " --state \"$SANDBOX_STATE\" >/dev/null 2>&1 & done; wait"),
                     0);
}

static void
the_command_works_without_the_service(void **state)
{
    struct reply r;

    (void)state;
    command_adds("add alice", stopped.before, stopped.before_id);
    assert_stands_for(stopped.before, ALICE);
    while_it_is_stopped(change_tokens);
    assert_stands_for(stopped.meanwhile, BOB);
    assert_stands_for(stopped.before, "");
    r = fetch(ADMIN, "/tokens?user=carol");
    assert_int_equal(json_array_size(at(&r, "tokens")), 8);
    reply_done(&r);
    assert_int_equal(host_shell("\"$SANDBOXD\" audit verify --state \"$SANDBOX_STATE\" >/dev/null"),
                     0);
}

static int
clean(void **state)
{
    host_shell("cd \"$SANDBOX_STATE\" && rm -f told complained cmdline");
    return bearer_clean(state);
}

int
suite_tokens(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_admin_makes_sees_and_revokes_tokens, clean),
        cmocka_unit_test_teardown(each_change_is_told_by_the_audit_log_without_the_secret, clean),
        cmocka_unit_test_teardown(what_cannot_be_a_token_s_is_refused, clean),
        cmocka_unit_test_teardown(lists_go_by_pages, clean),
        cmocka_unit_test_teardown(a_repeated_key_makes_no_second_token_and_shows_none_again, clean),
        cmocka_unit_test_teardown(a_request_whose_worker_died_is_carried_on, clean),
        cmocka_unit_test_teardown(the_command_works_beside_the_service, clean),
        cmocka_unit_test_teardown(what_the_command_does_not_know_it_says, clean),
        cmocka_unit_test_teardown(the_command_works_without_the_service, clean),
    };

    return cmocka_run_group_tests_name("api: tokens", tests, NULL, NULL);
}
