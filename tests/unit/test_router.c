/* fcgi/router.c, request.c, problem.c, response_json(): every check, in its order. */
#include "tests/test.h"

#include <fcntl.h>
#include <string.h>

#include "backend/cleanup.h"
#include "fcgi/problem.h"
#include "fcgi/request.h"
#include "fcgi/router.h"

struct note_body {
    const char *text;
    int64_t count;
    struct strings tags;
};

struct note_query {
    int64_t limit;
    const char *cursor;
    bool deep;
    double ratio;
};

static const struct field note_fields[] = {
    {.name = "text",
     .type = FIELD_STRING,
     .offset = offsetof(struct note_body, text),
     .required = true,
     .min = 1,
     .max = 10},
    {.name = "count",
     .type = FIELD_INT,
     .offset = offsetof(struct note_body, count),
     .min = 1,
     .max = 5},
    {.name = "tags", .type = FIELD_STRINGS, .offset = offsetof(struct note_body, tags), .max = 3},
    {0},
};

static const struct field optional_fields[] = {
    {.name = "count",
     .type = FIELD_INT,
     .offset = offsetof(struct note_body, count),
     .min = 1,
     .max = 5},
    {0},
};

static const struct field query_fields[] = {
    {.name = "limit",
     .type = FIELD_INT,
     .offset = offsetof(struct note_query, limit),
     .min = 1,
     .max = 500},
    {.name = "cursor",
     .type = FIELD_STRING,
     .offset = offsetof(struct note_query, cursor),
     .min = 1,
     .max = 64},
    {.name = "deep", .type = FIELD_BOOL, .offset = offsetof(struct note_query, deep)},
    {.name = "ratio", .type = FIELD_NUMBER, .offset = offsetof(struct note_query, ratio)},
    {0},
};

/* What a handler got, as one line to compare. */
static char seen[256];

static int
handle(const struct request *req, struct response *res, struct error *err)
{
    const struct note_body *body = req->body;
    const struct note_query *query = req->query;

    snprintf(seen, sizeof(seen),
             "%s %s %s,%s user=%s role=%d text=%s count=%d json=%s limit=%d cursor=%s deep=%d",
             req->method, req->path, req->params[0] ? req->params[0] : "-",
             req->params[1] ? req->params[1] : "-", req->user, req->role,
             body && body->text ? body->text : "-", body ? (int)body->count : 0,
             json_is_object(req->json) ? "object" : "-", query ? (int)query->limit : 0,
             query && query->cursor ? query->cursor : "-", query ? query->deep : 0);
    return response_json(res, 200, json_object(), err);
}

static int
handle_failure(const struct request *req, struct response *res, struct error *err)
{
    (void)req;
    (void)res;
    (void)err;
    return -5;
}

/* An error that was noted on the way to a success is none. */
static int
handle_recovery(const struct request *req, struct response *res, struct error *err)
{
    error_set(err, ERR_NOT_FOUND, "not at the first attempt");
    return handle(req, res, err);
}

static const struct route first_routes[] = {
    {.method = "GET",
     .path = "/notes",
     .role = ROLE_VIEWER,
     .handle = handle,
     .query = query_fields,
     .query_size = sizeof(struct note_query)},
    {.method = "POST",
     .path = "/notes",
     .role = ROLE_USER,
     .handle = handle,
     .body = note_fields,
     .body_size = sizeof(struct note_body)},
    {.method = "GET", .path = "/notes/{id}", .role = ROLE_VIEWER, .handle = handle},
    {.method = "DELETE", .path = "/notes/{id}", .role = ROLE_USER, .handle = handle},
    {.method = "POST",
     .path = "/notes/cleanup",
     .role = ROLE_ADMIN,
     .handle = handle,
     .body = optional_fields,
     .body_size = sizeof(struct note_body)},
    {0},
};

static const struct route second_routes[] = {
    {.method = "POST", .path = "/notes/{id}/pages/{page}", .role = ROLE_USER, .handle = handle},
    {.method = "PUT",
     .path = "/config",
     .role = ROLE_ADMIN,
     .handle = handle,
     .body = note_fields,
     .body_raw = true},
    {.method = "GET", .path = "/forgotten", .handle = handle},
    {.method = "GET", .path = "/failure", .role = ROLE_VIEWER, .handle = handle_failure},
    {.method = "GET", .path = "/recovery", .role = ROLE_VIEWER, .handle = handle_recovery},
    {0},
};

static const struct route *const tables[] = {first_routes, second_routes, NULL};

static struct settings *
make_settings(void)
{
    static struct access_rule rules[] = {
        {.name = "ada", .role = ROLE_ADMIN},
        {.name = "uma", .role = ROLE_USER},
        {.name = "vic", .role = ROLE_VIEWER},
    };
    static struct settings s = {.users = {rules, ARRAY_LEN(rules)}};

    return &s;
}

static void
serve_bytes(const char *method, const char *path, const char *user, const char *query,
            const char *type, const void *body, size_t body_len, struct answer *a)
{
    const struct incoming in = {
        .method = method,
        .path = path,
        .user = user,
        .query_string = query,
        .content_type = type,
        .request_id = "r1",
        .body = body,
        .body_len = body_len,
        .body_too_large = body_len > BODY_MAX_BYTES,
    };
    struct backend b = {.settings = make_settings()};

    seen[0] = '\0';
    router_serve(tables, &b, &in, NULL, -1, a);
}

struct route_case {
    const char *method, *path, *user, *query, *type, *body;
    const char *code;     /* "none" for success */
    const char *sentence; /* a part of it; for a success, of what the handler saw */
};

#define JSON "application/json"

/* clang-format off */
static const struct route_case route_cases[] = {
    /* path */
    {"GET", NULL, "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/note", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/notes/", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "//notes", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/notes/a b", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/notes/a\x01", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/notes/a/pages", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/NOTES", "ada", NULL, NULL, "", "not_found", "no such path"},
    {"GET", "/notes/n_1.a-B", "vic", NULL, NULL, "", "none", "GET /notes/n_1.a-B n_1.a-B,- user=vic role=1"},
    {"POST", "/notes/n1/pages/7", "uma", NULL, NULL, "", "none", "n1,7 user=uma role=2"},
    /* method, before identity */
    {"PATCH", "/notes", NULL, NULL, NULL, "", "method_not_allowed", "GET, HEAD, POST"},
    {"get", "/notes", "ada", NULL, NULL, "", "method_not_allowed", "GET, HEAD, POST"},
    {"", "/notes", "ada", NULL, NULL, "", "method_not_allowed", "GET, HEAD, POST"},
    {"DELETE", "/notes/cleanup", "ada", NULL, NULL, "", "method_not_allowed", "this path takes POST"},
    {"PUT", "/notes/n1", "ada", NULL, NULL, "", "method_not_allowed", "GET, HEAD, DELETE"},
    {"HEAD", "/notes/n1", "vic", NULL, NULL, "", "none", "GET /notes/n1 n1,-"},
    /* identity, before role */
    {"GET", "/notes", NULL, NULL, NULL, "", "unauthenticated", "log in"},
    {"GET", "/forgotten", NULL, NULL, NULL, "", "unauthenticated", "log in"},
    /* role, before size and body */
    {"GET", "/notes", "eve", NULL, NULL, "", "forbidden", "'eve' has no access"},
    {"POST", "/notes", "vic", NULL, "text/plain", "x", "forbidden", "'viewer' may not"},
    {"POST", "/notes/cleanup", "uma", NULL, NULL, "", "forbidden", "'user' may not"},
    {"POST", "/notes/cleanup", "ada", NULL, NULL, "", "none", "count=0 json=object"},
    {"GET", "/forgotten", "ada", NULL, NULL, "", "forbidden", "'admin' may not"},
    /* media type, before JSON */
    {"POST", "/notes", "uma", NULL, "text/plain", "x", "unsupported_media_type", "application/json"},
    {"POST", "/notes", "uma", NULL, NULL, "{}", "unsupported_media_type", "application/json"},
    {"POST", "/notes", "uma", NULL, "", "{}", "unsupported_media_type", "application/json"},
    {"POST", "/notes", "uma", NULL, "application/jsonx", "{}", "unsupported_media_type", "application/json"},
    {"POST", "/notes", "uma", NULL, "application/merge-patch+json", "{}", "unsupported_media_type", "application/json"},
    {"POST", "/notes", "uma", NULL, "Application/JSON; charset=utf-8", "{\"text\":\"t\"}", "none", "text=t"},
    {"PUT", "/config", "ada", NULL, "application/merge-patch+json", "{\"x\":null}", "none", "text=- count=0 json=object"},
    /* JSON, before fields */
    {"POST", "/notes", "uma", NULL, JSON, "{", "bad_json", "line 1, column 1: "},
    {"POST", "/notes", "uma", NULL, JSON, "{\n \"text\": x}", "bad_json", "line 2, column 10: "},
    {"POST", "/notes", "uma", NULL, JSON, "{\"text\":\"a\"} x", "bad_json", "end of file"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"text\":\"a\",\"text\":\"b\"}", "bad_json", "duplicate"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"text\":\"a\\u0000b\"}", "bad_json", "\\u0000"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"text\":\"\xff\"}", "bad_json", "0xff"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"text\":\"\xed\xa0\x80\"}", "bad_json", "0xed"},
    {"POST", "/notes", "uma", NULL, JSON, "\xef\xbb\xbf{}", "bad_json", "line 1"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"count\":99999999999999999999}", "bad_json", "too big"},
    {"POST", "/notes", "uma", NULL, JSON, "{\"count\":NaN}", "bad_json", "line 1"},
    {"POST", "/notes", "uma", NULL, JSON, "  ", "bad_json", "line 1"},
    /* fields, before the query */
    {"POST", "/notes", "uma", "x=1", JSON, "[]", "validation_failed", "must be an object"},
    {"POST", "/notes", "uma", "x=1", JSON, "null", "validation_failed", "must be an object"},
    {"POST", "/notes", "uma", "x=1", NULL, "", "validation_failed", "text"},
    {"POST", "/notes", "uma", "x=1", JSON, "{\"text\":7}", "validation_failed", "/text"},
    {"POST", "/notes", "uma", "x=1", JSON, "{\"text\":null}", "validation_failed", "/text"},
    {"POST", "/notes", "uma", "x=1", JSON, "{\"text\":\"a\",\"count\":1.5}", "validation_failed", "/count"},
    {"POST", "/notes", "uma", "x=1", JSON, "{\"text\":\"a\",\"cuont\":1}", "validation_failed", "cuont"},
    {"POST", "/notes", "uma", "x=1", JSON, "{\"text\":\"a\",\"tags\":[\"b\",1]}", "validation_failed", "/tags/1"},
    {"PUT", "/config", "ada", NULL, JSON, "7", "validation_failed", "must be an object"},
    {"DELETE", "/notes/n1", "uma", NULL, NULL, "{\"a\":1}", "validation_failed", "takes none"},
    {"DELETE", "/notes/n1", "uma", NULL, NULL, "{", "validation_failed", "takes none"},
    {"DELETE", "/notes/n1", "uma", NULL, NULL, "{}}", "validation_failed", "takes none"},
    {"DELETE", "/notes/n1", "uma", NULL, NULL, " {\r\n\t} ", "none", "DELETE /notes/n1 n1,-"},
    {"DELETE", "/notes/n1", "uma", NULL, NULL, " \n", "none", "DELETE /notes/n1 n1,-"},
    {"POST", "/notes", "uma", "", JSON, "{\"text\":\"a\",\"count\":3,\"tags\":[\"b\"]}", "none", "text=a count=3"},
    /* query */
    {"GET", "/notes/n1", "uma", "limit=1", NULL, "", "bad_query", "unknown query parameter 'limit'"},
    {"GET", "/notes", "uma", "limt=1", NULL, "", "bad_query", "unknown query parameter 'limt'"},
    {"GET", "/notes", "uma", "limit=1&limit=1", NULL, "", "bad_query", "'limit' came twice"},
    {"GET", "/notes", "uma", "limit=0", NULL, "", "bad_query", "'limit'"},
    {"GET", "/notes", "uma", "limit=501", NULL, "", "bad_query", "'limit'"},
    {"GET", "/notes", "uma", "limit=", NULL, "", "bad_query", "'limit' must be an integer"},
    {"GET", "/notes", "uma", "limit", NULL, "", "bad_query", "'limit' must be an integer"},
    {"GET", "/notes", "uma", "limit=5x", NULL, "", "bad_query", "'limit' must be an integer"},
    {"GET", "/notes", "uma", "limit=+5", NULL, "", "bad_query", "'limit' must be an integer"},
    {"GET", "/notes", "uma", "limit=99999999999999999999", NULL, "", "bad_query", "'limit' must be an integer"},
    {"GET", "/notes", "uma", "deep=1", NULL, "", "bad_query", "'deep' must be true or false"},
    {"GET", "/notes", "uma", "ratio=inf", NULL, "", "bad_query", "'ratio' must be a number"},
    {"GET", "/notes", "uma", "ratio=[1]", NULL, "", "bad_query", "'ratio' must be a number"},
    {"GET", "/notes", "uma", "cursor=%f", NULL, "", "bad_query", "'cursor' is not well encoded"},
    {"GET", "/notes", "uma", "cursor=%fg", NULL, "", "bad_query", "'cursor' is not well encoded"},
    {"GET", "/notes", "uma", "cursor=a%00b", NULL, "", "bad_query", "'cursor' is not well encoded"},
    {"GET", "/notes", "uma", "cursor=%ff", NULL, "", "bad_query", "'cursor' must be valid UTF-8"},
    {"GET", "/notes", "uma", "%ff=1", NULL, "", "bad_query", "unknown query parameter"},
    {"GET", "/notes", "uma", "=1", NULL, "", "bad_query", "unknown query parameter ''"},
    {"GET", "/notes", "uma", "limit=7&cursor=a+%2b%26b&deep=true&ratio=-1.5e3", NULL, "", "none", "limit=7 cursor=a +&b deep=1"},
    {"GET", "/notes", "uma", "&&limit=7&", NULL, "", "none", "limit=7"},
    /* what handlers return */
    {"GET", "/failure", "uma", NULL, NULL, "", "internal", "an internal error"},
    {"GET", "/recovery", "uma", NULL, NULL, "", "none", "GET /recovery"},
};
/* clang-format on */

static void
test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(route_cases); i++) {
        const struct route_case *c = &route_cases[i];
        struct answer a = {0};

        serve_bytes(c->method, c->path, c->user, c->query, c->type, c->body, strlen(c->body), &a);
        if (strcmp(error_name(a.error.code), c->code) != 0 ||
            !strstr(a.error.code == ERR_NONE ? seen : a.error.msg, c->sentence))
            fail_msg("case %zu, %s %s: %s '%s', saw '%s'", i, c->method, c->path ? c->path : "-",
                     error_name(a.error.code), a.error.msg, seen);
        assert_true(a.error.code == ERR_NONE ? a.response.status == 200 : seen[0] == '\0');
        answer_done(&a);
    }
}

/* Bodies that are too long to write down, of `count` times `unit` between two ends. */
static void
test_large_bodies(void **state)
{
    static const struct {
        const char *head, *unit, *tail;
        size_t count;
        const char *code, *sentence;
    } cases[] = {
        {"{\"x\":", "[", "", 31, "bad_json", "line 1"},
        {"{\"x\":", "[", "", 32, "bad_json", "deeper than 32"},
        {"", "{\"x\":", "", 200000, "bad_json", "deeper than 32"},
        {"{\"x\":\"", "[", "\"}", 1000, "validation_failed", "x"},
        {"{\"x\":\"", "\\\"[", "\"}", 1000, "validation_failed", "x"},
        {"{\"x\":[0", ",0", "]}", 65000, "validation_failed", "x"},
        {"{\"x\":[0", ",0", "]}", 66000, "bad_json", "65536"},
        {"{\"text\":\"", "a", "\"}", BODY_MAX_BYTES - 11, "validation_failed", "/text"},
        {"{\"text\":\"", "a", "\"}", BODY_MAX_BYTES - 10, "body_too_large", "1048576"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        struct answer a = {0};

        buf_init(&b, 4U << 20);
        buf_printf(&b, "%s", cases[i].head);
        for (size_t n = 0; n < cases[i].count; n++)
            assert_int_equal(buf_append(&b, cases[i].unit, strlen(cases[i].unit)), 0);
        buf_printf(&b, "%s", cases[i].tail);
        serve_bytes("POST", "/notes", "uma", NULL, JSON, b.data, b.len, &a);
        print_message("case %zu: %s\n", i, a.error.msg);
        assert_string_equal(error_name(a.error.code), cases[i].code);
        assert_non_null(strstr(a.error.msg, cases[i].sentence));
        buf_done(&b);
        answer_done(&a);
    }
}

static void
test_nul_in_body(void **state)
{
    static const char body[] = "{\"text\":\"a\0b\"}";
    struct answer a = {0};

    (void)state;
    serve_bytes("POST", "/notes", "uma", NULL, JSON, body, sizeof(body) - 1, &a);
    assert_string_equal(error_name(a.error.code), "bad_json");
    answer_done(&a);
}

/* The parameters: what becomes of them, or what is wrong with them. */
static void
test_params(void **state)
{
    static const struct {
        const char *envp[6];
        const char *path, *user, *code;
    } cases[] = {
        {{"DOCUMENT_URI=/api/sandbox/status", "REMOTE_USER=ada"}, "/status", "ada", "none"},
        {{"SCRIPT_NAME=/api/sandbox/status", "REMOTE_USER=a@b.example+c"},
         "/status",
         "a@b.example+c",
         "none"},
        {{"DOCUMENT_URI=/api/sandbox", "SCRIPT_NAME=/api/sandbox/x"}, "", NULL, "none"},
        {{"DOCUMENT_URI=/api/sandboxes", "REMOTE_USER="}, NULL, NULL, "none"},
        {{"DOCUMENT_URI=/api", "REMOTE_USER=.ada"}, NULL, NULL, "none"},
        {{"REMOTE_USER=ada", "REMOTE_USER=ada"}, NULL, NULL, "none"},
        {{"REMOTE_USER=ada", "REMOTE_USER=eve", "REMOTE_USER=ada"}, NULL, NULL, "none"},
        {{"REMOTE_USER=ada\n"}, NULL, NULL, "none"},
        {{"REMOTE_USER=a b"}, NULL, NULL, "none"},
        {{"REMOTE_USER=a\xc3\xa9"}, NULL, NULL, "none"},
        {{"HTTP_REMOTE_USER=ada", "REMOTE_USERS=ada", "REMOTE_USE=ada"}, NULL, NULL, "none"},
        {{"DOCUMENT_URI=/api/sandbox/a", "DOCUMENT_URI=/api/sandbox/b"}, "/b", NULL, "bad_query"},
        {{"HTTP_IF_MATCH=\"1\"", "HTTP_IF_MATCH=\"2\""}, NULL, NULL, "bad_query"},
        {{"CONTENT_LENGTH=-1"}, NULL, NULL, "bad_query"},
        {{"CONTENT_LENGTH=1x"}, NULL, NULL, "bad_query"},
        {{"CONTENT_LENGTH=1000000000000000"}, NULL, NULL, "bad_query"},
        {{"CONTENT_LENGTH="}, NULL, NULL, "none"},
        {{"nothing", "=", ""}, NULL, NULL, "none"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *envp[7] = {0};
        struct incoming in;
        struct error err = {0};

        for (size_t n = 0; cases[i].envp[n]; n++)
            assert_non_null(envp[n] = strdup(cases[i].envp[n]));
        request_params(envp, &in, &err);
        print_message("case %zu: %s\n", i, err.msg);
        assert_string_equal(error_name(err.code), cases[i].code);
        assert_string_equal(in.path ? in.path : "-", cases[i].path ? cases[i].path : "-");
        assert_string_equal(in.user ? in.user : "-", cases[i].user ? cases[i].user : "-");
        for (size_t n = 0; envp[n]; n++)
            free(envp[n]);
    }
}

static void
test_user_length(void **state)
{
    static const struct {
        size_t len;
        bool accepted;
    } cases[] = {{1, true}, {128, true}, {129, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char param[160];
        char *envp[] = {param, NULL};
        struct incoming in;

        snprintf(param, sizeof(param), "REMOTE_USER=%.*s", (int)cases[i].len,
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_int_equal(request_params(envp, &in, NULL), 0);
        assert_int_equal(in.user != NULL, cases[i].accepted);
    }
}

static void
test_request_id(void **state)
{
    static const struct {
        const char *theirs, *nginx, *chosen; /* chosen NULL: a new one of 16 digits */
    } cases[] = {
        {"abc.D_1-2", "0123456789abcdef0123456789abcdef", "abc.D_1-2"},
        {"a b", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"},
        {"", "n1", "n1"},
        {"a\r\nSet-Cookie: x", "", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char theirs[128], nginx[128];
        char *envp[] = {theirs, nginx, NULL};
        struct incoming in;

        snprintf(theirs, sizeof(theirs), "HTTP_X_REQUEST_ID=%s", cases[i].theirs);
        snprintf(nginx, sizeof(nginx), "REQUEST_ID=%s", cases[i].nginx);
        assert_int_equal(request_params(envp, &in, NULL), 0);
        if (cases[i].chosen)
            assert_string_equal(in.request_id, cases[i].chosen);
        else
            assert_int_equal(strspn(in.request_id, "0123456789abcdef"), 16);
    }
}

/* Every code has a status with a title, and a problem that says it. */
static void
test_problems(void **state)
{
    static const struct {
        enum error_code code;
        int status, retry_after;
    } cases[] = {
        {ERR_BAD_JSON, 400, 0},
        {ERR_UNAUTHENTICATED, 401, 0},
        {ERR_METHOD_NOT_ALLOWED, 405, 0},
        {ERR_SANDBOXING_OFF, 409, 0},
        {ERR_VALIDATION, 422, 0},
        {ERR_QUOTA_EXCEEDED, 429, 0},
        {ERR_DOCKER, 502, 0},
        {ERR_DOCKER_DOWN, 503, 1},
        {ERR_OVERLOADED, 503, 1},
        {ERR_PRECONDITION_FAILED, 412, 0},
        {ERR_INTERNAL, 500, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct error e = {.code = cases[i].code};

        assert_int_equal(problem_status(cases[i].code), cases[i].status);
        assert_int_equal(problem_retry_after(&e), cases[i].retry_after);
    }
    for (int code = ERR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        const struct error e = {.code = (enum error_code)code, .msg = "why", .detail = "secret"};
        json_auto_t *json = problem_json(&e, "r1");
        const char *title = json_string_value(json_object_get(json, "title"));

        assert_non_null(title);
        assert_true(title[0] != '\0');
        assert_string_equal(json_string_value(json_object_get(json, "code")),
                            error_name((enum error_code)code));
        assert_string_equal(json_string_value(json_object_get(json, "request_id")), "r1");
        assert_string_equal(json_string_value(json_object_get(json, "detail")),
                            code == ERR_INTERNAL ? "an internal error; its request id is r1"
                                                 : "why");
        assert_null(json_object_get(json, "errors"));
    }
}

/* A sentence that quotes bytes which are not UTF-8 still makes a document. */
static void
test_problem_of_bad_bytes(void **state)
{
    struct error e = {0};
    json_auto_t *json = NULL;

    (void)state;
    error_violation(&e, "/a\xff", "not \xc3");
    json = problem_json(&e, "r1");
    assert_string_equal(json_string_value(json_object_get(json, "detail")), "/a?: not ?");
    json = (json_decref(json), problem_json(&e, "r1"));
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(json, "errors"), 0), "pointer")),
                        "/a?");
}

static void
test_response_json(void **state)
{
    struct response res = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(response_json(&res, 201, json_integer(1), &err), 0);
    assert_int_equal(response_json(&res, 200, json_integer(2), &err), 0);
    assert_int_equal(res.status, 200);
    assert_int_equal(json_integer_value(res.json), 2);
    assert_true(response_json(&res, 200, NULL, &err) < 0);
    assert_int_equal(err.code, ERR_INTERNAL);
    json_decref(res.json);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_nul_in_body),   cmocka_unit_test(test_params),
        cmocka_unit_test(test_user_length),   cmocka_unit_test(test_request_id),
        cmocka_unit_test(test_problems),      cmocka_unit_test(test_problem_of_bad_bytes),
        cmocka_unit_test(test_response_json),
    };

    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
