/*
 * The API inside an nginx that has sites of its own, its users known in every way that there is:
 * who proves to be somebody is that user, whatever else they send, and the rest of the site is as
 * before.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/doors.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/stream.h"
#include "tests/api/suite.h"

enum { TOO_LARGE = (1 << 20) + 1, TEMPLATE_SIZE = 4 << 20, TEMPLATE_TOO_LARGE = (16 << 20) + 1 };

/* What the group is about. */
static const struct way *way;

static void
assert_unauthenticated(struct reply *r)
{
    char challenge[64];

    assert_problem(r, 401, "unauthenticated");
    assert_int_equal(count_headers(r, "WWW-Authenticate"), 1);
    snprintf(challenge, sizeof(challenge), "%s realm=\"sandbox\"", way->challenge);
    assert_memory_equal(r->authenticate, challenge, strlen(challenge)); /* and perhaps why */
    assert_int_equal(count_headers(r, "Strict-Transport-Security"), 1);
    reply_done(r);
}

static void
assert_is(struct reply *r, const char *user)
{
    assert_status(r, 200);
    assert_string_equal(text_at(r, "user"), user);
    reply_done(r);
}

static void
who_proves_it_is_that_user(void **state)
{
    static const char *const users[] = {ALICE, ADMIN, BOB, VIEWER, ALICE};
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        r = call(users[i], "GET", "/whoami", NULL, NULL);
        assert_is(&r, users[i]);
    }
    r = execute(ALICE, "{s:s}", "command", "echo $((6 * 7))");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "42\n");
    reply_done(&r);
    r = call(VIEWER, "POST", "/execute", "{\"command\": \"true\"}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = call(ALICE, "PUT", "/config", "{}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = call(ADMIN, "PUT", "/config", "{}", NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

/* Paths that are the API's, whatever they look like. */
static const struct {
    const char *method, *path, *body;
} targets[] = {
    {"GET", "/whoami", NULL},         {"GET", "/", NULL},
    {"GET", "/nope.php", NULL},       {"GET", "//config", NULL},
    {"GET", "/nope/../config", NULL}, {"GET", "/templates", NULL},
    {"POST", "/templates", "{}"},     {"POST", "/execute", "{\"command\": \"true\"}"},
    {"PUT", "/config", "{}"},         {"DELETE", "/containers/container_000000000000", NULL},
};

/* As call(), with what a stranger has. */
static struct reply
call_as_stranger(size_t target, const char *what)
{
    CURL *curl = client_handle(NULL, targets[target].path);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct reply r;

    if (way->as_stranger)
        way->as_stranger(curl, what);
    else
        headers = curl_slist_append(headers, what);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, targets[target].method);
    if (targets[target].body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, targets[target].body);
    r = client_perform(curl, headers);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}

static void
who_proves_nothing_is_nobody(void **state)
{
    (void)state;
    for (const char *const *what = way->strangers; *what; what++) {
        for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
            struct reply r = call_as_stranger(i, *what);

            if (r.status != 401)
                fail_msg("%s %s with '%s' gave %ld", targets[i].method, targets[i].path, *what,
                         r.status);
            assert_unauthenticated(&r);
        }
    }
}

/* What a client says of itself where nobody asked. */
static const char *const claims[] = {
    "Remote-User: admin",
    "REMOTE_USER: admin",
    "remote_user: admin",
    "Remote_User: admin",
    "X-Remote-User: admin",
    "X_Remote_User: admin",
    "X-Sandbox-User: admin",
    "X_Sandbox_User: admin",
    "X-Auth-Request-User: admin",
    "X-Forwarded-User: admin",
    "X-Accel-Redirect: /api/sandbox/config",
    "SSL-Client-Verify: SUCCESS",
    "SSL_CLIENT_S_DN: CN=admin",
    "X-SSL-Client-S-DN-CN: admin",
    "Proxy: http://localhost:9",
    "X-Original-URI: /oauth2/auth",
    "Sandbox-User: admin",
};

/* GET whoami as @user, with the claim of being the admin twice: before and after something else. */
static struct reply
claim_twice(const char *user, const char *claim)
{
    return call(user, "GET", "/whoami", NULL, claim, "X-Between: 1", claim, NULL);
}

static void
claims_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        struct reply r = call(BOB, "GET", "/whoami", NULL, claims[i], NULL);

        assert_is(&r, BOB);
        r = claim_twice(BOB, claims[i]);
        assert_is(&r, BOB);
        r = call(NULL, "GET", "/whoami", NULL, claims[i], NULL);
        assert_unauthenticated(&r);
        r = claim_twice(NULL, claims[i]);
        assert_unauthenticated(&r);
    }
}

/* Without auth_basic in force, $remote_user is whatever the client says. */
static void
a_name_without_its_password_is_no_user(void **state)
{
    static const char *const credentials[] = {"admin:wrong", "admin:", "alice:x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
        CURL *curl = client_handle(strcmp(way->name, "basic") == 0 ? NULL : BOB, "/whoami");
        struct reply r;

        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, credentials[i]);
        r = client_perform(curl, NULL);
        curl_easy_cleanup(curl);
        if (r.status == 200)
            assert_is(&r, BOB);
        else
            assert_unauthenticated(&r);
        curl = client_handle(NULL, "/whoami");
        curl_easy_setopt(curl, CURLOPT_USERPWD, credentials[i]);
        r = client_perform(curl, NULL);
        curl_easy_cleanup(curl);
        assert_unauthenticated(&r);
    }
}

static void
inner_paths_are_not_there_from_outside(void **state)
{
    static const char *const paths[] = {"/authenticate", "/problem", "/authenticate?x=1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct reply r = call(ALICE, "GET", paths[i], NULL, NULL);

        assert_problem(&r, 404, "not_found");
        reply_done(&r);
        r = call(NULL, "GET", paths[i], NULL, NULL);
        assert_true(r.status == 404 || r.status == 401);
        assert_problem(&r, r.status, r.status == 404 ? "not_found" : "unauthenticated");
        reply_done(&r);
    }
}

/* POST a body of @len bytes, an object and blanks; in chunks, it does not say its length. */
static struct reply
post_large(const char *path, size_t len, bool chunked)
{
    _cleanup_(freep) char *body = malloc(len);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = client_handle(ADMIN, path);
    struct reply r;

    assert_non_null(body);
    memset(body, ' ', len);
    body[0] = '{';
    body[1] = '}';
    headers = curl_slist_append(headers, "Expect:");
    if (chunked) { /* which HTTP/2 does not have */
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
    }
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
    r = client_perform(curl, headers);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}

static void
bodies_have_the_apis_limits(void **state)
{
    static const struct {
        const char *path;
        size_t len;
        bool chunked;
        long status;
        const char *code;
    } cases[] = {
        {"/execute", TOO_LARGE, false, 413, "body_too_large"},
        {"/execute", TOO_LARGE, true, 413, "body_too_large"},
        {"/execute", TOO_LARGE - 1, true, 422, "validation_failed"},
        {"/templates", TEMPLATE_SIZE, false, 422, "validation_failed"},
        {"/templates", TEMPLATE_SIZE, true, 422, "validation_failed"},
        {"/templates", TEMPLATE_TOO_LARGE, false, 413, "body_too_large"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = post_large(cases[i].path, cases[i].len, cases[i].chunked);

        if (r.status != cases[i].status || !r.json)
            fail_msg("case %zu gave %ld %s", i, r.status, r.body);
        assert_problem(&r, cases[i].status, cases[i].code);
        assert_int_equal(count_headers(&r, "Strict-Transport-Security"), 1);
        reply_done(&r);
    }
}

static void
events_come_as_they_happen(void **state)
{
    struct streaming *s =
        streaming_post(ALICE, "/execute", EVENTS, "{s:s}", "command", "echo one; sleep 90");

    (void)state;
    streaming_wait(s, "stdout", 1);
    assert_int_equal(streaming_count(s, "exit"), 0);
    streaming_abort(s);
}

/* What the site says on its own level would be seen in these, if it reached into the API. */
static void
the_site_does_not_reach_into_the_api(void **state)
{
    struct reply first, r;
    long long before;

    (void)state;
    first = fetch(ALICE, "/whoami");
    before = int_at(&first, "usage.executions_today");
    reply_done(&first);
    r = execute(ALICE, "{s:s}", "command", "true");
    assert_status(&r, 200);
    reply_done(&r);
    for (int i = 0; i < 40; i++) { /* more than the site's own limit */
        r = fetch(ALICE, "/whoami");
        assert_int_equal(int_at(&r, "usage.executions_today"), before + 1); /* its cache */
        assert_int_equal(count_headers(&r, "X-Site"), 0);
        assert_int_equal(count_headers(&r, "Expires"), 0);
        assert_int_equal(count_headers(&r, "Strict-Transport-Security"), 1);
        reply_done(&r);
    }
    r = call(ALICE, "GET", "/nope", NULL, NULL);
    assert_problem(&r, 404, "not_found"); /* its error page */
    reply_done(&r);
}

static void
assert_page(const char *path, const char *user_password, long status, const char *body)
{
    struct reply r = site_get(path, user_password);

    assert_status(&r, status);
    if (!strstr(r.body, body))
        fail_msg("%s gave '%s'", path, r.body);
    assert_int_equal(count_headers(&r, "X-Site"), 1);
    assert_int_equal(count_headers(&r, "Strict-Transport-Security"), 0);
    assert_int_equal(count_headers(&r, "WWW-Authenticate"), status == 401);
    if (status == 401)
        assert_string_equal(r.authenticate, "Basic realm=\"the site\"");
    reply_done(&r);
}

static void
the_site_is_as_it_was(void **state)
{
    (void)state;
    assert_page("/", "site:secret", 200, "the site");
    assert_page("/", NULL, 401, "the site is sorry");
    assert_page("/", "alice:secret", 401, "the site is sorry");
    assert_page("/open/", NULL, 200, "the site");
    assert_page("/nope", "site:secret", 404, "the site is sorry");
    assert_page("/x.php", NULL, 200, "php /x.php");
    assert_page("/api/sandboxes", NULL, 200, "the site's own API");
    assert_page("/api/sandbox.php", NULL, 200, "php /api/sandbox.php");
    assert_page("/api/", NULL, 200, "the site's own API");
}

static void
the_path_without_its_slash_is_the_apis(void **state)
{
    struct reply r = call(ALICE, "GET", "", NULL, NULL);

    (void)state;
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = call(NULL, "GET", "", NULL, NULL);
    assert_unauthenticated(&r);
}

static void
a_proxy_before_it_has_the_same_api_below_its_own_path(void **state)
{
    bool passes = strcmp(way->name, "mtls") != 0; /* a certificate ends at the proxy */
    struct reply r;

    (void)state;
    site_behind_proxy(true);
    r = call(NULL, "GET", "/whoami", NULL, "X-Request-Id: mine", NULL);
    assert_unauthenticated(&r);
    if (passes) {
        who_proves_it_is_that_user(state);
        claims_change_nothing(state);
        events_come_as_they_happen(state);
        r = fetch(ALICE, "/openapi.json");
        assert_string_equal(text_at(&r, "servers.0.url"), "/tools/sandbox");
        reply_done(&r);
        r = call(ALICE, "POST", "/containers", "{\"agent_id\": \"proxied\", \"scope\": \"agent\"}",
                 NULL);
        assert_status(&r, 201);
        assert_int_equal(count_headers(&r, "Location"), 0);
        assert_null(strstr(r.body, "/api/sandbox"));
        assert_null(strstr(r.head, "/api/sandbox"));
        reply_done(&r);
    }
    site_behind_proxy(false);
    r = passes ? fetch(ALICE, "/openapi.json") : (struct reply){0};
    if (passes)
        assert_string_equal(text_at(&r, "servers.0.url"), "/api/sandbox");
    reply_done(&r);
}

static int
open_site(void **state)
{
    (void)state;
    site_up(way, NULL);
    return 0;
}

int
suite_doors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_proves_it_is_that_user),
        cmocka_unit_test(who_proves_nothing_is_nobody),
        cmocka_unit_test(claims_change_nothing),
        cmocka_unit_test(a_name_without_its_password_is_no_user),
        cmocka_unit_test(inner_paths_are_not_there_from_outside),
        cmocka_unit_test(bodies_have_the_apis_limits),
        cmocka_unit_test(events_come_as_they_happen),
        cmocka_unit_test(the_site_does_not_reach_into_the_api),
        cmocka_unit_test(the_site_is_as_it_was),
        cmocka_unit_test(the_path_without_its_slash_is_the_apis),
        cmocka_unit_test_teardown(a_proxy_before_it_has_the_same_api_below_its_own_path,
                                  remove_containers),
    };
    int failed = 0;

    for (size_t i = 0; i < WAY_COUNT; i++) {
        char name[64];

        way = &ways[i];
        snprintf(name, sizeof(name), "api: doors, %s", way->name);
        failed += cmocka_run_group_tests_name(name, tests, open_site, site_down);
    }
    return failed;
}
