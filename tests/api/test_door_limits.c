/* What nginx limits: requests by user and address, TLS, times and sizes; and certificates. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/doors.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/stream.h"
#include "tests/api/suite.h"

/* Small enough to be reached: a burst of 4, at a rate that gives none back. */
#define RATE "s/rate=2000r.s/rate=1r\\/m/; s/burst=4000/burst=4/"
#define CONNECTIONS "s/limit_conn sandbox_requests 1000/limit_conn sandbox_requests 2/"
#define BY_ADDRESS                                                                                 \
    "/# <address>/,/<.address>/ s/#\\([^ ]\\)/\\1/; s/rate=50r.s/rate=1r\\/m/; "                   \
    "s/burst=200/burst=4/"

enum { ALLOWED = 5, MORE = 12 };

static void
assert_limited(struct reply *r)
{
    assert_problem(r, 429, "rate_limited");
    assert_string_equal(r->retry_after, "1");
    assert_int_equal(count_headers(r, "Strict-Transport-Security"), 1);
    reply_done(r);
}

static void
assert_named(struct reply *r, const char *user)
{
    assert_status(r, 200);
    assert_string_equal(text_at(r, "user"), user);
    reply_done(r);
}

/* Requests that are not @user's, but say so by a name. */
static void
pretend(const char *user)
{
    for (int i = 0; i < MORE; i++) {
        CURL *curl = client_handle(NULL, "/whoami");
        struct reply r;

        curl_easy_setopt(curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, "wrong");
        r = client_perform(curl, NULL);
        curl_easy_cleanup(curl);
        assert_problem(&r, 401, "unauthenticated");
        reply_done(&r);
    }
}

static void
a_users_burst_is_limited_and_nobody_elses(void **state)
{
    struct reply r;

    (void)state;
    for (size_t k = 0; k < WAY_COUNT; k++) {
        site_up(&ways[k], RATE);
        pretend(ALICE);
        for (int i = 0; i < MORE; i++) {
            r = call(ALICE, "GET", i % 2 ? "/whoami" : "/templates", NULL, NULL);
            if (i < ALLOWED)
                assert_status(&r, 200);
            else
                assert_limited(&r);
            if (i < ALLOWED)
                reply_done(&r);
        }
        r = call(BOB, "GET", "/whoami", NULL, NULL);
        assert_named(&r, BOB);
        r = call(NULL, "GET", "/whoami", NULL, NULL);
        assert_problem(&r, 401, "unauthenticated");
        reply_done(&r);
        assert_int_equal(site_down(NULL), 0);
    }
}

static bool
alice_is_served(void *arg)
{
    struct reply r = call(ALICE, "GET", "/whoami", NULL, NULL);
    bool served = r.status == 200;

    (void)arg;
    reply_done(&r);
    return served;
}

static void
a_users_requests_at_one_time_are_limited_and_nobody_elses(void **state)
{
    struct streaming *open[2];
    struct reply r;

    (void)state;
    site_up(&ways[WAY_BASIC], CONNECTIONS);
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        open[i] = streaming_post(ALICE, "/execute", EVENTS, "{s:s}", "command", "echo; sleep 90");
        streaming_wait(open[i], "stdout", 1);
    }
    r = call(ALICE, "GET", "/whoami", NULL, NULL);
    assert_limited(&r);
    r = call(BOB, "GET", "/whoami", NULL, NULL);
    assert_named(&r, BOB);
    streaming_abort(open[0]);
    wait_until(alice_is_served, NULL, 30, "a place for one more request");
    streaming_abort(open[1]);
}

static void
an_address_is_limited_before_a_password_is_looked_at(void **state)
{
    struct reply r;

    (void)state;
    site_up(&ways[WAY_BASIC], BY_ADDRESS);
    for (int i = 0; i < MORE; i++) {
        r = call(NULL, "GET", "/whoami", NULL, "Authorization: Basic YWRtaW46d3Jvbmc=", NULL);
        if (i < ALLOWED)
            assert_problem(&r, 401, "unauthenticated");
        else
            assert_problem(&r, 429, "rate_limited");
        reply_done(&r);
    }
    r = call(ALICE, "GET", "/whoami", NULL, NULL); /* right, but not looked at */
    assert_limited(&r);
}

/* Whoever is quick and honest, is not stopped by the limits as they are. */
static void
a_quick_client_is_not_limited(void **state)
{
    enum { AT_ONE_TIME = 50, ROUNDS = 10 };
    struct parallel calls[AT_ONE_TIME];

    (void)state;
    for (int k = 0; k < ROUNDS; k++) {
        for (size_t i = 0; i < AT_ONE_TIME; i++)
            calls[i] = (struct parallel){.user = ALICE, .method = "GET", .path = "/whoami"};
        call_parallel(calls, AT_ONE_TIME);
        for (size_t i = 0; i < AT_ONE_TIME; i++) {
            assert_status(&calls[i].reply, 200);
            reply_done(&calls[i].reply);
        }
    }
}

/* A handshake with no later version of TLS than @max, and before 1.3 with these @ciphers. */
static CURLcode
handshake(long max, const char *ciphers)
{
    CURL *curl = client_handle(ALICE, "/whoami");
    FILE *sink = fopen("/dev/null", "we");
    CURLcode rc;

    assert_non_null(sink);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_0 | max);
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, ciphers);
    rc = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    fclose(sink);
    return rc;
}

static void
tls_is_1_2_or_later_with_ciphers_that_are_sound(void **state)
{
    static const struct {
        long max;
        const char *ciphers;
        bool fine;
    } cases[] = {
        {CURL_SSLVERSION_MAX_TLSv1_3, "DEFAULT", true},
        {CURL_SSLVERSION_MAX_TLSv1_2, "DEFAULT", true},
        {CURL_SSLVERSION_MAX_TLSv1_2, "ECDHE-ECDSA-AES128-SHA", false},
        {CURL_SSLVERSION_MAX_TLSv1_1, "DEFAULT@SECLEVEL=0", false},
        {CURL_SSLVERSION_MAX_TLSv1_0, "DEFAULT@SECLEVEL=0", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(handshake(cases[i].max, cases[i].ciphers),
                         cases[i].fine ? CURLE_OK : CURLE_SSL_CONNECT_ERROR);
    /* This client would have spoken those. */
    site_up(&ways[WAY_BASIC],
            "$ a ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;");
    for (size_t i = 1; i < ARRAY_LEN(cases); i++)
        assert_int_equal(handshake(cases[i].max, cases[i].ciphers), CURLE_OK);
}

static void
every_answer_has_hsts_and_one_identity(void **state)
{
    static const struct {
        const char *user, *path;
        long status;
    } cases[] = {{ALICE, "/whoami", 200}, {ALICE, "/nope", 404},    {ALICE, "/config?x", 400},
                 {NULL, "/whoami", 401},  {ALICE, "/problem", 404}, {ALICE, "/execute", 405}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(cases[i].user, "GET", cases[i].path, NULL, NULL);

        assert_status(&r, cases[i].status);
        assert_int_equal(count_headers(&r, "Strict-Transport-Security"), 1);
        assert_int_equal(count_headers(&r, "X-Request-Id"), 1);
        assert_int_equal(count_headers(&r, "WWW-Authenticate"), cases[i].status == 401);
        assert_int_equal(count_headers(&r, "Server"), 1);
        assert_null(strstr(r.head, "nginx/")); /* server_tokens */
        reply_done(&r);
    }
}

/* The largest of the numbers that follow @key and blanks in @text. */
static long
largest_after(const char *text, const char *key)
{
    long largest = 0;

    for (const char *at = strstr(text, key); at; at = strstr(at, key)) {
        long n;

        at += strlen(key);
        n = strtol(at, NULL, 10);
        largest = n > largest ? n : largest;
    }
    return largest;
}

static char *
read_text(const char *path)
{
    _cleanup_(fclosep) FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    assert_non_null(f);
    assert_true(getdelim(&text, &size, '\0', f) > 0);
    return text;
}

static void
nginx_waits_a_minute_longer_than_the_longest_tier(void **state)
{
    _cleanup_(freep) char *tiers = read_text("yaml/tiers.yaml");
    _cleanup_(freep) char *conf = read_text("nginx/sandbox-api.conf");
    _cleanup_(freep) char *readme = read_text("README.md");
    long longest = largest_after(tiers, " timeout_seconds:");

    (void)state;
    assert_true(longest > 0);
    assert_int_equal(largest_after(conf, "    fastcgi_read_timeout "), longest + 60);
    assert_int_equal(largest_after(readme, "    proxy_read_timeout "), longest + 60);
}

/* Refused before the path is known, whatever the certificate says. */
static void
certificates_of_others_revoked_and_expired_ones_are_refused(void **state)
{
    static const char *const names[] = {"foreign", "revoked", "expired", "self"};
    struct reply r;

    (void)state;
    site_up(&ways[WAY_MTLS], NULL);
    r = call("comma", "GET", "/whoami", NULL, NULL);
    assert_named(&r, ALICE);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        r = call(names[i], "GET", "/whoami", NULL, NULL);
        if (r.status != 400)
            fail_msg("%s gave %ld %s", names[i], r.status, r.body);
        reply_done(&r);
    }
    r = call(ALICE, "GET", "/whoami", NULL, NULL);
    assert_named(&r, ALICE);
}

/* A line of an admin's own. */
static void
a_certificate_can_be_given_a_user(void **state)
{
    struct reply r;

    (void)state;
    site_up(&ways[WAY_MTLS], "/map .*sandbox_certificate_user/ a \"SUCCESS CN=admin alice\" bob;");
    r = call("blank", "GET", "/whoami", NULL, NULL);
    assert_named(&r, BOB);
    r = call("two", "GET", "/whoami", NULL, NULL);
    assert_problem(&r, 401, "unauthenticated");
    reply_done(&r);
}

/* Before the path is known, too, the API's own server speaks JSON. */
static void
a_server_of_its_own_refuses_certificates_by_problems(void **state)
{
    struct reply r;

    (void)state;
    site_up_alone(&ways[WAY_MTLS]);
    r = call("revoked", "GET", "/whoami", NULL, NULL);
    assert_problem(&r, 401, "unauthenticated");
    assert_string_equal(r.authenticate, "ClientCertificate realm=\"sandbox\"");
    reply_done(&r);
    r = call(ALICE, "GET", "/whoami", NULL, NULL);
    assert_named(&r, ALICE);
}

/* An endpoint that is not there: nobody is let in, and it is not the client's fault. */
static void
without_an_answer_to_who_it_is_there_is_no_service(void **state)
{
    struct reply r;

    (void)state;
    site_up(&ways[WAY_SSO], "s|oauth2/auth;|nowhere;|");
    r = call(ALICE, "GET", "/whoami", NULL, NULL);
    assert_problem(&r, 503, "overloaded");
    assert_string_equal(r.retry_after, "1");
    reply_done(&r);
}

/* A name that no user can have, and one that access.yaml does not have. */
static void
a_name_that_is_no_users_is_nobody(void **state)
{
    char name[200];
    struct reply r;

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    site_up(&ways[WAY_SSO], NULL);
    r = call(name, "GET", "/whoami", NULL, NULL);
    assert_problem(&r, 401, "unauthenticated");
    assert_int_equal(count_headers(&r, "WWW-Authenticate"), 1);
    assert_string_equal(r.authenticate, "SSO realm=\"sandbox\"");
    reply_done(&r);
    r = call("mallory", "GET", "/whoami", NULL, NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    assert_int_equal(site_down(NULL), 0);
    /* The endpoint says yes, and no name. */
    site_up(&ways[WAY_SSO], "s/upstream_http_x_auth_request_user/upstream_http_x_nothing/");
    r = call(ALICE, "GET", "/whoami", NULL, "X-Nothing: admin", NULL);
    assert_problem(&r, 401, "unauthenticated");
    reply_done(&r);
}

/* A site that lets addresses in without more does so with its own pages alone. */
static void
an_address_that_the_site_lets_in_is_nobody_yet(void **state)
{
    struct reply r;

    (void)state;
    for (size_t i = 0; i < WAY_COUNT; i++) {
        site_up(&ways[i], "$ a satisfy any; allow 127.0.0.1;");
        r = call(NULL, "GET", "/whoami", NULL, "Authorization: Basic YWRtaW46d3Jvbmc=", NULL);
        assert_problem(&r, 401, "unauthenticated");
        reply_done(&r);
        r = call(BOB, "GET", "/whoami", NULL, NULL);
        assert_named(&r, BOB);
        assert_int_equal(site_down(NULL), 0);
    }
}

int
suite_door_limits(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_users_burst_is_limited_and_nobody_elses, site_down),
        cmocka_unit_test_teardown(a_users_requests_at_one_time_are_limited_and_nobody_elses,
                                  site_down),
        cmocka_unit_test_teardown(an_address_is_limited_before_a_password_is_looked_at, site_down),
        cmocka_unit_test(a_quick_client_is_not_limited),
        cmocka_unit_test_teardown(tls_is_1_2_or_later_with_ciphers_that_are_sound, site_down),
        cmocka_unit_test(every_answer_has_hsts_and_one_identity),
        cmocka_unit_test(nginx_waits_a_minute_longer_than_the_longest_tier),
        cmocka_unit_test_teardown(certificates_of_others_revoked_and_expired_ones_are_refused,
                                  site_down),
        cmocka_unit_test_teardown(a_certificate_can_be_given_a_user, site_down),
        cmocka_unit_test_teardown(a_server_of_its_own_refuses_certificates_by_problems, site_down),
        cmocka_unit_test_teardown(a_name_that_is_no_users_is_nobody, site_down),
        cmocka_unit_test_teardown(an_address_that_the_site_lets_in_is_nobody_yet, site_down),
        cmocka_unit_test_teardown(without_an_answer_to_who_it_is_there_is_no_service, site_down),
    };

    return cmocka_run_group_tests_name("api: door limits", tests, NULL, NULL);
}
