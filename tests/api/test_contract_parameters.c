/*
 * The contract, with paths, queries, headers and callers that an operation does not expect: each
 * operation of the description is tried with each of them, and changes nothing.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/contract.h"
#include "tests/api/suite.h"
#include "tests/common/json_schema.h"

enum { LONG_VALUE = 3000, SEGMENT_OVER = 129, NUMBER_BASE = 10 };

/* The letters of long values; filled by open_with_letters(). */
static char letters[LONG_VALUE + 1], segment[SEGMENT_OVER + 1],
    key_over[] =
        "Idempotency-Key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static int
open_with_letters(void **state)
{
    memset(letters, 'x', LONG_VALUE);
    memset(segment, 'x', SEGMENT_OVER);
    return contract_open(state);
}

/* A body with which @op, were nothing else amiss, would do something; NULL if it takes none. */
static const char *
body_for(const struct operation *op)
{
    if (!op->request)
        return NULL;
    return json_object_get(json_object_get(op->request, "properties"), "command")
               ? "{\"command\": \"true\"}"
               : "{}";
}

/* Fail the test unless the reply is a problem of the contract's, with a 4xx of any kind: a path
 * may be another one once its dots are resolved. */
static void
assert_refused(const struct operation *op, const struct reply *r, const char *what)
{
    struct json_schema check = {.document = contract.document, .closed = true};
    const json_t *problem = json_schema_resolve(contract.document, "#/components/schemas/Problem");

    if (r->status < 400 || r->status >= 500)
        fail_msg("%s: %s was not refused: %ld %s", op->id, what, r->status, r->body);
    assert_string_equal(r->content_type, "application/problem+json");
    if (json_schema_check(&check, problem, r->json) != 0)
        fail_msg("%s: %s: %s, in %s", op->id, what, check.why, r->body);
}

/* Each declared parameter of @op that is in @where ("path", "query"). */
static void
each_parameter(const struct operation *op, const char *where,
               void (*visit)(const struct operation *op, const char *name, const json_t *schema))
{
    json_t *parameter;
    size_t i;

    json_array_foreach(json_object_get(op->json, "parameters"), i, parameter)
    {
        const char *in = json_string_value(json_object_get(parameter, "in"));

        if (in && strcmp(in, where) == 0)
            visit(op, json_string_value(json_object_get(parameter, "name")),
                  json_object_get(parameter, "schema"));
    }
}

static void
try_segments(const struct operation *op, const char *name, const json_t *schema)
{
    const char *const values[] = {
        "..%2fx",
        "%2e%2e",
        "..",
        ".",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%C3%A9",
        "%ff",
        "x%20y",
        "x%0d%0ay",
        "%25s%25n",
        "%27",
        "x%3By",
        "-1",
        "none",
        "container_000000000000",
        "exec_0000000000000000",
        "snapshot_000000000000",
        segment,
        letters,
    };

    (void)schema;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        _cleanup_(freep) char *path = contract_path(op, name, values[i]);
        struct reply r = call(op->user, op->method, path, body_for(op), NULL);

        assert_refused(op, &r, path);
        reply_done(&r);
    }
}

static void
try_path(const struct operation *op)
{
    each_parameter(op, "path", try_segments);
}

static void
a_path_to_nothing_is_refused(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_path);
    contract_assert_state(before, "paths");
}

/* The text of a query's parameter as its schema sees it. */
static json_t *
as_json(const char *text, const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    char *end = NULL;
    long long number;

    errno = 0;
    number = strtoll(text, &end, NUMBER_BASE);
    if (type && strcmp(type, "integer") == 0 && end != text && !*end && errno == 0)
        return json_integer(number);
    return json_string(text);
}

/* @query as it is, for a value that means @value (NULL: what no value is to be read from). */
static void
send_query(const struct operation *op, const char *query, const char *value, const json_t *schema)
{
    struct json_schema check = {.document = contract.document};
    json_auto_t *json = value ? as_json(value, schema) : NULL;
    int fits = json ? json_schema_check(&check, schema, json) : -EINVAL;
    _cleanup_(freep) char *path = contract_path(op, NULL, NULL), *url = NULL;
    struct reply r;

    assert_int_not_equal(fits, -ENOTSUP);
    assert_true(asprintf(&url, "%s?%s", path, query) > 0);
    r = call(op->user, op->method, url, body_for(op), NULL);
    if (fits == 0) {
        contract_check(op, &r, query);
    } else {
        contract_check_refused(op, &r, query);
        if (r.status != 422) /* of the body, which comes first */
            assert_problem(&r, 400, "bad_query");
    }
    reply_done(&r);
}

/* What follows a parameter's name in a query. */
static const struct {
    const char *text;
    const char *value; /* that it means; NULL: it means none */
    bool twice;
} queries[] = {
    /* clang-format off */
    {"=", "", false}, {"=x", "x", false}, {"=-1", "-1", false}, {"=0", "0", false},
    {"=1.5", "1.5", false}, {"=1e3", "1e3", false}, {"=true", "true", false},
    {"=null", "null", false}, {"=../x", "../x", false},
    {"=99999999999999999999", "99999999999999999999", false},
    {"=9223372036854775807", "9223372036854775807", false},
    {"=%20", " ", false}, {"=%C3%A9", "\xc3\xa9", false}, {"=%0a", "\n", false},
    {"=%27--", "'--", false}, {"=running", "running", false},
    {"=2026-13-45T00:00:00Z", "2026-13-45T00:00:00Z", false},
    {"=2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", false},
    {"=%00", NULL, false}, {"=%ff", NULL, false}, {"=%zz", NULL, false}, {"=%", NULL, false},
    {"", NULL, false}, {"[]=x", NULL, false}, {"=1", NULL, true}, {"=running", NULL, true},
    /* clang-format on */
};

static void
try_values(const struct operation *op, const char *name, const json_t *schema)
{
    _cleanup_(freep) char *huge = NULL;

    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        const char *text = queries[i].text;
        _cleanup_(freep) char *query = NULL;

        assert_true(asprintf(&query, "%s%s%s%s%s", name, text, queries[i].twice ? "&" : "",
                             queries[i].twice ? name : "", queries[i].twice ? text : "") > 0);
        send_query(op, query, queries[i].value, schema);
    }
    assert_true(asprintf(&huge, "%s=%s", name, letters) > 0);
    send_query(op, huge, letters, schema);
}

static void
try_query(const struct operation *op)
{
    send_query(op, "no_such_parameter=1", NULL, NULL);
    each_parameter(op, "query", try_values);
}

static void
each_value_of_each_query_parameter_has_a_declared_answer(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_query);
    contract_assert_state(before, "queries");
}

static void
try_header(const struct operation *op, const char *header)
{
    _cleanup_(freep) char *path = contract_path(op, NULL, NULL);
    struct reply r = call(op->user, op->method, path, body_for(op), header, NULL);

    contract_check_refused(op, &r, header);
    reply_done(&r);
}

static void
try_headers(const struct operation *op)
{
    static const char *const keys[] = {"Idempotency-Key: a b", "Idempotency-Key: ../x",
                                       "Idempotency-Key: \xc3\xa9"};

    if (strcmp(op->id, "putConfig") == 0)
        try_header(op, "If-Match: \"no such\"");
    if (strcmp(op->method, "POST") != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        try_header(op, keys[i]);
    try_header(op, key_over);
}

static void
a_bad_header_is_refused(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_headers);
    contract_assert_state(before, "headers");
}

/* @op as @user, who may not do it. */
static void
try_user(const struct operation *op, const char *user, long status, const char *code)
{
    _cleanup_(freep) char *path = contract_path(op, NULL, NULL);
    struct reply r = call(user, op->method, path, body_for(op), NULL);

    contract_check_refused(op, &r, user ? user : "nobody");
    if (r.status != status)
        fail_msg("%s by %s: %ld, not %ld: %s", op->id, user ? user : "nobody", r.status, status,
                 r.body);
    assert_problem(&r, status, code);
    reply_done(&r);
}

static void
try_others(const struct operation *op)
{
    const char *role = json_string_value(json_object_get(op->json, "x-role"));

    try_user(op, NULL, 401, "unauthenticated");
    if (strcmp(role, "viewer") != 0)
        try_user(op, VIEWER, 403, "forbidden");
    if (strcmp(role, "admin") == 0)
        try_user(op, ALICE, 403, "forbidden");
    else if (strchr(op->path, '{') && strncmp(op->path, "/templates", 10) != 0)
        try_user(op, BOB, 404, "not_found");
}

static void
who_may_not_is_refused_and_strangers_find_nothing(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_others);
    contract_assert_state(before, "other users");
}

int
suite_contract_parameters(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_to_nothing_is_refused),
        cmocka_unit_test(each_value_of_each_query_parameter_has_a_declared_answer),
        cmocka_unit_test(a_bad_header_is_refused),
        cmocka_unit_test(who_may_not_is_refused_and_strangers_find_nothing),
    };

    return cmocka_run_group_tests_name("contract-parameters", tests, open_with_letters,
                                       contract_close);
}
