/* The error table: whatever is wrong with a request is answered by a problem that says so. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "tests/api/fastcgi.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { BODY_MAX = 1 << 20 };

/* Bodies of POST execute, and what is wrong with them. */
static const struct {
    const char *body;
    size_t len; /* 0: strlen */
    long status;
    const char *code, *detail; /* what the detail has to contain */
} bodies[] = {
    {"{", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": }", 0, 400, "bad_json", "line 1, column"},
    {"{\n  \"command\": \"true\",\n}", 0, 400, "bad_json", "line 3, column 1"},
    {"{\"command\": \"true\"} x", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\"}{}", 0, 400, "bad_json", "line 1, column"},
    {"{'command': 'true'}", 0, 400, "bad_json", "line 1, column"},
    {"{command: \"true\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"a\nb\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\\x\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\\ud800\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\", \"command\": \"false\"}", 0, 400, "bad_json", "duplicate"},
    {"{\"command\": \"true\", \"comm\\u0061nd\": \"x\"}", 0, 400, "bad_json", "duplicate"},
    {"{\"command\": \"a\\u0000b\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"a\0b\"}", 18, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\"}\0", 20, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\xff\xfe\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\xc3\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\xc0\xaf\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\xed\xa0\x80\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"\xf5\x80\x80\x80\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"\xff\": 1}", 0, 400, "bad_json", "line 1, column"},
    {"\xef\xbb\xbf{\"command\": \"true\"}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\", \"timeout_seconds\": 1e999}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\", \"timeout_seconds\": 99999999999999999999}", 0, 400, "bad_json",
     "line 1, column"},
    {"{\"command\": \"true\", \"timeout_seconds\": 01}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\", \"timeout_seconds\": NaN}", 0, 400, "bad_json", "line 1, column"},
    {"{\"command\": \"true\", \"sandbox\": True}", 0, 400, "bad_json", "line 1, column"},
    {"// comment\n{}", 0, 400, "bad_json", "line 1, column"},
    {" ", 0, 400, "bad_json", "line 1, column"},
    {"[]", 0, 422, "validation_failed", "object"},
    {"null", 0, 422, "validation_failed", "object"},
    {"\"{}\"", 0, 422, "validation_failed", "object"},
    {"{\"nope\": 1}", 0, 422, "validation_failed", "/nope"},
    {"{\"comand\": \"true\"}", 0, 422, "validation_failed", "did you mean 'command'"},
};

static void
a_bad_body_is_told_where_it_is_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        size_t len = bodies[i].len ? bodies[i].len : strlen(bodies[i].body);
        struct reply r =
            call_raw(ALICE, "POST", "/execute", bodies[i].body, len, "application/json");

        if (r.status != bodies[i].status)
            fail_msg("case %zu, '%s' gave %ld %s", i, bodies[i].body, r.status, r.body);
        assert_problem(&r, bodies[i].status, bodies[i].code);
        if (!strcasestr(text_at(&r, "detail"), bodies[i].detail))
            fail_msg("case %zu, '%s' gave %s", i, bodies[i].body, r.body);
        reply_done(&r);
    }
}

/* POST execute with @depth levels of @open and @close in each other, the body's own among them. */
static struct reply
post_nested(const char *open, const char *close, size_t depth)
{
    _cleanup_(buf_done) struct buf body;

    buf_init(&body, BODY_MAX);
    assert_int_equal(buf_printf(&body, "{\"nested\": "), 0);
    for (size_t i = 1; i < depth; i++)
        assert_int_equal(buf_printf(&body, "%s", open), 0);
    assert_int_equal(buf_printf(&body, "1"), 0);
    for (size_t i = 1; i < depth; i++)
        assert_int_equal(buf_printf(&body, "%s", close), 0);
    assert_int_equal(buf_printf(&body, "}"), 0);
    return call_raw(ALICE, "POST", "/execute", body.data, body.len, "application/json");
}

static void
thirty_two_levels_are_the_deepest(void **state)
{
    static const struct {
        size_t depth;
        long status;
        const char *code;
    } cases[] = {{32, 422, "validation_failed"},
                 {33, 400, "bad_json"},
                 {2000, 400, "bad_json"},
                 {100000, 400, "bad_json"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = post_nested("[", "]", cases[i].depth);

        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
        r = post_nested("{\"a\":", "}", cases[i].depth);
        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
    }
}

/* A body for POST containers of @len bytes, filled up with blanks. */
static char *
padded_body(size_t len)
{
    static const char body[] = "{\"tier\": \"Nope\", \"scope\": \"agent\"}";
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, ' ', len);
    memcpy(text, body, sizeof(body) - 1);
    text[len] = '\0';
    return text;
}

static void
a_mebibyte_is_the_largest_body(void **state)
{
    static const struct {
        size_t len;
        long status;
        const char *code;
    } cases[] = {{BODY_MAX, 422, "validation_failed"},
                 {BODY_MAX + 1, 413, "body_too_large"},
                 {(size_t)8 * BODY_MAX, 413, "body_too_large"}};
    struct fastcgi_param params[8];
    struct reply r;

    (void)state;
    fastcgi_params(params, ALICE, "POST", "/containers");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *body = padded_body(cases[i].len);

        r = call_raw(ALICE, "POST", "/containers", body, cases[i].len, "application/json");
        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
        r = fastcgi_call("www-data", "control.sock", params, body, cases[i].len);
        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
    }
}

static void
a_body_has_to_say_that_it_is_json(void **state)
{
    static const struct {
        const char *type;
        bool fine;
    } cases[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json;charset=UTF-8", true},
        {NULL, false},
        {"text/plain", false},
        {"text/json", false},
        {"application/jsonp", false},
        {"application/x-www-form-urlencoded", false},
        {"multipart/form-data; boundary=x", false},
        {"application/merge-patch+json", false},
        {"json", false},
    };
    static const char body[] = "{\"scope\": \"agent\", \"tier\": \"Nope\"}";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r =
            call_raw(ALICE, "POST", "/containers", body, sizeof(body) - 1, cases[i].type);

        if (cases[i].fine)
            assert_violation(&r, "/tier");
        else
            assert_problem(&r, 415, "unsupported_media_type");
        reply_done(&r);
    }
}

static void
a_route_without_a_body_refuses_one(void **state)
{
    static const struct {
        const char *method, *path, *body;
        long status;
    } cases[] = {
        {"GET", "/status", "{}", 200},
        {"GET", "/status", "{\"a\": 1}", 422},
        {"GET", "/config", "x", 422},
        {"POST", "/containers/container_000000000000/stop", "{\"force\": true}", 422},
        {"POST", "/containers/container_000000000000/stop", "{}", 404},
        {"DELETE", "/containers/container_000000000000", "[]", 422},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ALICE, cases[i].method, cases[i].path, cases[i].body, NULL);

        if (r.status != cases[i].status)
            fail_msg("%s %s gave %ld", cases[i].path, cases[i].body, r.status);
        reply_done(&r);
    }
}

/* Requests by path and method, and their answers. */
static const struct {
    const char *method, *path;
    long status;
    const char *code;  /* NULL: any */
    const char *allow; /* NULL: none */
} requests[] = {
    {"GET", "", 404, "not_found", NULL},
    {"GET", "/", 404, "not_found", NULL},
    {"GET", "/nope", 404, "not_found", NULL},
    {"GET", "/Config", 404, "not_found", NULL},
    {"GET", "/config/", 404, "not_found", NULL},
    {"GET", "/config/mode", 404, "not_found", NULL},
    {"GET", "/status/", 404, "not_found", NULL},
    {"GET", "/containers/", 404, "not_found", NULL},
    {"GET", "/containers/x/", 404, "not_found", NULL},
    {"GET", "/containers/x/y/z", 404, "not_found", NULL},
    {"GET", "/containers/x%20y", 404, "not_found", NULL},
    {"GET", "/containers/%C3%A9", 404, "not_found", NULL},
    {"GET", "/containers/%ff", 404, "not_found", NULL},
    {"GET", "/containers/x%0d%0aSet-Cookie:a", 404, "not_found", NULL},
    {"GET", "/containers/container_000000000000", 404, "not_found", NULL},
    {"GET", "/audit/exec_0000000000000000", 404, "not_found", NULL},
    {"GET", "/audit/x/output", 404, "not_found", NULL},
    {"GET", "/%2e%2e/config", 404, "not_found", NULL},
    {"GET", "/../../etc/passwd", 404, "not_found", NULL},
    {"GET", "/problem", 404, "not_found", NULL},
    {"GET", "/.well-known/x", 404, "not_found", NULL},
    {"POST", "/config", 405, "method_not_allowed", "GET, HEAD, PUT"},
    {"DELETE", "/config", 405, "method_not_allowed", "GET, HEAD, PUT"},
    {"PATCH", "/config", 405, "method_not_allowed", "GET, HEAD, PUT"},
    {"OPTIONS", "/config", 405, "method_not_allowed", "GET, HEAD, PUT"},
    {"POST", "/status", 405, "method_not_allowed", "GET, HEAD"},
    {"PUT", "/tiers", 405, "method_not_allowed", "GET, HEAD"},
    {"GET", "/execute", 405, "method_not_allowed", "POST"},
    {"HEAD", "/execute", 405, NULL, "POST"},
    {"PUT", "/containers", 405, "method_not_allowed", "GET, HEAD, POST"},
    {"POST", "/containers/x", 405, "method_not_allowed", "GET, HEAD, DELETE"},
    {"GET", "/containers/x/start", 405, "method_not_allowed", "POST"},
    {"DELETE", "/audit", 405, "method_not_allowed", "GET, HEAD"},
    {"get", "/config", 400, "bad_request", NULL},
    {"BREW", "/config", 405, "method_not_allowed", NULL},
    {"PROPFIND", "/config", 405, "method_not_allowed", NULL},
    {"TRACE", "/config", 405, NULL, NULL},
    {"GET", "/config?x=1", 400, "bad_query", NULL},
    {"GET", "/status?", 200, NULL, NULL},
    {"GET", "/whoami?user=admin", 400, "bad_query", NULL},
    {"GET", "/containers?limit=x", 400, "bad_query", NULL},
    {"GET", "/containers?limit=99999999999999999999", 400, "bad_query", NULL},
    {"GET", "/containers?limit=1&limit=1", 400, "bad_query", NULL},
    {"GET", "/containers?scope=all", 400, "bad_query", NULL},
    {"GET", "/containers?status=RUNNING", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id=%", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id=%4", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id=%zz", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id=%00", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id=%ff", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id[]=x", 400, "bad_query", NULL},
    {"GET", "/containers?Agent_id=x", 400, "bad_query", NULL},
    {"GET", "/containers?agent_id", 400, "bad_query", NULL},
    {"GET", "/containers?cursor=x'--", 400, "bad_query", NULL},
    {"POST", "/containers/x/stop?force=1", 400, "bad_query", NULL},
};

static void
every_path_method_and_query_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct reply r = call(ADMIN, requests[i].method, requests[i].path, NULL, NULL);

        if (r.status != requests[i].status)
            fail_msg("%s %s gave %ld %s", requests[i].method, requests[i].path, r.status, r.body);
        assert_true(r.request_id[0] != '\0');
        if (requests[i].code)
            assert_problem(&r, requests[i].status, requests[i].code);
        if (requests[i].allow)
            assert_string_equal(r.allow, requests[i].allow);
        if (r.status == 405)
            assert_true(r.allow[0] != '\0');
        reply_done(&r);
    }
}

static void
slashes_and_dots_are_resolved_before_the_path_is_looked_up(void **state)
{
    static const char *const same_as_config[] = {"//config", "/./config", "/x/../config",
                                                 "/%63onfig", "/nope/%2e%2e/config"};
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same_as_config); i++) {
        r = fetch(ALICE, "%s", same_as_config[i]);
        assert_string_equal(text_at(&r, "mode"), "selective");
        reply_done(&r);
        r = call(NULL, "GET", same_as_config[i], NULL, NULL);
        assert_problem(&r, 401, "unauthenticated");
        reply_done(&r);
    }
}

static void
what_nginx_refuses_is_a_problem_too(void **state)
{
    char header[3000], too_long[9000];
    struct reply r;

    (void)state;
    snprintf(header, sizeof(header), "X-Long: %0*d", (int)sizeof(header) - 16, 0);
    snprintf(too_long, sizeof(too_long), "X-Long: %0*d", (int)sizeof(too_long) - 16, 0);
    r = call(ALICE, "GET", "/containers/%00", NULL, NULL);
    assert_problem(&r, 400, "bad_request");
    reply_done(&r);
    r = call(ALICE, "GET", "/config", NULL, too_long, NULL);
    assert_problem(&r, 431, "bad_request");
    reply_done(&r);
    r = call(ALICE, "GET", "/config", NULL, header, header, NULL);
    assert_status(&r, 200);
    reply_done(&r);
    r = call(ALICE, "POST", "/containers", "{}", "Transfer-Encoding: gzip", NULL);
    assert_problem(&r, 501, "bad_request");
    reply_done(&r);
}

/* GET containers with an agent_id that makes the URL's path @len bytes long: status and code. */
static long
get_long(size_t len, char code[64])
{
    static const char path[] = "/api/sandbox/containers?agent_id=";
    CURL *curl = client_handle(ALICE, "/");
    struct reply r = {0};
    _cleanup_(freep) char *target = NULL;
    FILE *body = open_memstream(&r.body, &r.body_len);
    long status;

    assert_non_null(body);
    assert_true(asprintf(&target, "%s%0*d", path, (int)(len + 1 - sizeof(path)), 0) > 0);
    curl_easy_setopt(curl, CURLOPT_REQUEST_TARGET, target);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_cleanup(curl);
    fclose(body);
    r.json = json_loads(r.body, 0, NULL);
    snprintf(code, 64, "%s", r.status == 200 ? "" : text_at(&r, "code"));
    status = r.status;
    reply_done(&r);
    return status;
}

static void
a_url_that_is_too_long_is_refused(void **state)
{
    static const struct {
        size_t len;
        long status;
        const char *code;
    } cases[] = {{80, 200, ""}, {3000, 400, "bad_query"}, {20000, 414, "bad_request"}};
    char code[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(get_long(cases[i].len, code), cases[i].status);
        assert_string_equal(code, cases[i].code);
    }
}

static void
a_request_id_is_taken_where_it_is_well_formed(void **state)
{
    static const struct {
        const char *header;
        const char *taken; /* NULL: a new one */
    } cases[] = {
        {"X-Request-Id: abc-DEF_1.2", "abc-DEF_1.2"},
        {"X-Request-Id: a", "a"},
        {"X-Request-Id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"X-Request-Id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
        {"X-Request-Id: two words", NULL},
        {"X-Request-Id: a\"b", NULL},
        {"X-Request-Id: a/b", NULL},
        {"X-Request-Id: \xc3\xa9", NULL},
        {"X-Request-Id: <script>", NULL},
        {"X-Request-Id;", NULL},
        {"X-Other: 1", NULL},
    };
    static const struct {
        const char *user, *path;
        long status;
    } answers[] = {{ALICE, "/config", 200},
                   {ALICE, "/nope", 404},
                   {ALICE, "/config?x", 400},
                   {NULL, "/config", 401}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < ARRAY_LEN(answers); k++) {
            struct reply r =
                call(answers[k].user, "GET", answers[k].path, NULL, cases[i].header, NULL);

            assert_status(&r, answers[k].status);
            if (cases[i].taken)
                assert_string_equal(r.request_id, cases[i].taken);
            else
                assert_true(strlen(r.request_id) >= 16 &&
                            strspn(r.request_id, "0123456789abcdef") == strlen(r.request_id));
            if (r.status != 200)
                assert_string_equal(text_at(&r, "request_id"), r.request_id);
            reply_done(&r);
        }
    }
}

static void
head_is_get_without_a_body(void **state)
{
    static const char *const paths[] = {"/config", "/status", "/containers", "/audit"};
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        r = call(ALICE, "HEAD", paths[i], NULL, NULL);
        assert_status(&r, 200);
        assert_int_equal(r.body_len, 0);
        assert_string_equal(r.content_type, "application/json; charset=utf-8");
        assert_int_equal(r.etag[0] != '\0', i == 0);
        reply_done(&r);
    }
    r = call(NULL, "HEAD", "/config", NULL, NULL);
    assert_status(&r, 401);
    assert_int_equal(r.body_len, 0);
    reply_done(&r);
}

/* What breaks parsers, terminals, shells, queries and formats. */
static const char *const naughty[] = {
    "undefined",
    "null",
    "' OR 1=1 --",
    "'; DROP TABLE audit; --",
    "\" OR \"\"=\"",
    "`id`",
    "$(touch /tmp/naughty)",
    "; reboot",
    "| cat /etc/passwd",
    "%s%s%s%n%n%n",
    "%d%x%p",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/dev/null; echo",
    "<script>alert(1)</script>",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>",
    "{{7*7}}",
    "${jndi:ldap://localhost/a}",
    "\r\nX-Injected: yes\r\n\r\n",
    "\x1b[2J\x1b]0;title\x07",
    "\x7f\x01\x02\x03",
    "\xe2\x80\xae reversed \xe2\x80\xac",
    "\xef\xbb\xbf bom",
    "\xe2\x80\x8b",
    "\xf0\x9f\x92\xa9\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa",
    "Z\xcc\x80\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86\xcc\x87\xcc\x88\xcc\x89\xcc\x8a",
    "\xef\xb7\xbd\xef\xbf\xbf",
    "9223372036854775808",
    "-0",
    "1e400",
    "0x41",
    "true",
    "[]",
    "{\"$ne\": null}",
    "CON",
    "..",
    "*",
    "~root",
    "-rf",
    " leading and trailing ",
    "\xff\xfe not utf-8 \xc0\x80",
};

static void
assert_refused(const struct reply *r, const char *what)
{
    if (r->status < 400 || r->status >= 500)
        fail_msg("'%s' gave %ld %s", what, r->status, r->body);
    assert_problem(r, r->status, text_at(r, "code"));
}

/* Every string field of POST containers with @text; "CON", "null" and the like are fine ids. */
static void
post_naughty(const char *text)
{
    static const char *const fields[] = {"scope", "tier", "template", "workspace_access", "nope"};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        json_auto_t *body = json_pack("{s:s}", "session_id", "s");
        _cleanup_(freep) char *json = NULL;
        struct reply r;

        if (json_object_set_new(body, fields[i], json_string(text)) < 0)
            return; /* not UTF-8: sent as a raw body below */
        json = json_dumps(body, 0);
        r = call(ALICE, "POST", "/containers", json, NULL);
        assert_refused(&r, text);
        reply_done(&r);
    }
}

static void
naughty_strings_are_refused_quickly_and_politely(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(naughty); i++) {
        _cleanup_(freep) char *escaped = curl_easy_escape(NULL, naughty[i], 0);
        struct reply r;

        assert_non_null(escaped);
        r = call_raw(ALICE, "POST", "/execute", naughty[i], strlen(naughty[i]), "application/json");
        assert_refused(&r, naughty[i]);
        reply_done(&r);
        r = act(ALICE, "GET", "/containers?scope=%s", escaped);
        assert_refused(&r, naughty[i]);
        reply_done(&r);
        r = act(ALICE, "GET", "/containers?%s=1", escaped);
        assert_refused(&r, naughty[i]);
        reply_done(&r);
        r = act(ALICE, "GET", "/audit?since=%s", escaped);
        assert_refused(&r, naughty[i]);
        reply_done(&r);
        r = act(ALICE, "GET", "/containers/x%s", escaped);
        assert_refused(&r, naughty[i]);
        reply_done(&r);
        post_naughty(naughty[i]);
    }
}

static void
naughty_strings_pass_through_a_command_unchanged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(naughty); i++) {
        struct reply r;

        if (strncmp(naughty[i], "\xff", 1) == 0)
            continue; /* no JSON string */
        r = execute(ALICE, "{s:s, s:s, s:[s, s, s], s:{s:s}}", "agent_id", "naughty", "session_id",
                    "s", "argv", "printf", "%s", naughty[i], "env", "N", naughty[i]);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), naughty[i]);
        reply_done(&r);
    }
}

int
suite_errors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_body_is_told_where_it_is_bad),
        cmocka_unit_test(thirty_two_levels_are_the_deepest),
        cmocka_unit_test(a_mebibyte_is_the_largest_body),
        cmocka_unit_test(a_body_has_to_say_that_it_is_json),
        cmocka_unit_test(a_route_without_a_body_refuses_one),
        cmocka_unit_test(every_path_method_and_query_has_its_answer),
        cmocka_unit_test(slashes_and_dots_are_resolved_before_the_path_is_looked_up),
        cmocka_unit_test(what_nginx_refuses_is_a_problem_too),
        cmocka_unit_test(a_url_that_is_too_long_is_refused),
        cmocka_unit_test(a_request_id_is_taken_where_it_is_well_formed),
        cmocka_unit_test(head_is_get_without_a_body),
        cmocka_unit_test(naughty_strings_are_refused_quickly_and_politely),
        cmocka_unit_test_teardown(naughty_strings_pass_through_a_command_unchanged,
                                  remove_containers),
    };

    return cmocka_run_group_tests_name("api: errors", tests, NULL, NULL);
}
