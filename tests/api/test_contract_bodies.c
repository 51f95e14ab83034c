/*
 * The contract, with bodies that nobody should send: each field of each operation's body is given
 * every value of a list in turn. What the request's schema does not allow has to be refused;
 * whatever happens is declared, never a failure of the service's, and leaves nothing behind.
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

enum { HUGE_STRING = 100 << 10, HUGE_BODY = 2 << 20, WHAT_SIZE = 300 };

/* A body that is right, to be spoiled. */
static const struct base {
    const char *operation, *body;
    bool schema_only; /* send nothing that the schema allows: it would run, or make a container */
} bases[] = {
    /* clang-format off */
    {"putConfig", "{}", false},
    {"postExecute", "{\"command\": \"true\"}", true},
    {"postExplain", "{\"command\": \"true\"}", false},
    {"postContainers", "{}", true},
    {"postContainersByIdExec", "{\"command\": \"true\"}", true},
    {"postContainersCleanup", "{\"dry_run\": true}", false},
    {"postContainersByIdSnapshots", "{}", false},
    {"postPoolDrain", "{}", false},
    {"postAuditCleanup", "{\"older_than_days\": 3650}", false},
    {"postTemplates", "{\"name\": \"contract-mutant\", \"image\": \"localhost:1/none:latest\"}",
     false},
    {"postTemplates", "{\"name\": \"contract-mutant\", \"dockerfile\": \"FROM scratch\"}", false},
    {"postTokens", "{\"user\": \"nobody\"}", false},
    /* clang-format on */
};

/* What stands in for a field's value. */
static const char *const values[] = {
    /* clang-format off */
    "null", "true", "0", "1", "-1", "1.5", "1e308", "9223372036854775807", "-9223372036854775808",
    "[]", "{}", "[1]", "[null]", "[\"\"]", "[[]]", "[\"../x\"]", "[\"\\u0000\"]",
    "{\"x\": 1}", "{\"\": \"x\"}", "{\"../x\": \"y\"}", "{\"/etc/x\": \"y\"}", "{\"a=b\": \"c\"}",
    "\"\"", "\" \"", "\"x\"", "\"../x\"", "\"/etc/passwd\"", "\"a/../../b\"", "\"..\"", "\"-x\"",
    "\"\\u00e9\\u4e2d\\ud83d\\ude00\"", "\"\\u202e\\ufeff\\u0001\"", "\"a\\u0000b\"", "\"a\\nb\"",
    "\"%s%n\"", "\"' OR 1=1 --\"", "\"$(id)\"", "\"true\"", "\"1\"",
    /* clang-format on */
};

static size_t sent;

/* A string of @len letters. */
static json_t *
long_string(size_t len)
{
    _cleanup_(freep) char *text = malloc(len);

    assert_non_null(text);
    memset(text, 'x', len);
    return json_stringn(text, len);
}

/* Take back what a body that was accepted has made or changed. */
static void
undo(const struct operation *op, const char *path, const struct reply *r)
{
    struct reply undone;

    if (r->status == 201) {
        undone = act(op->user, "DELETE", "%s/%s", path, text_at(r, "id"));
        assert_status(&undone, 204);
    } else if (strcmp(op->id, "putConfig") == 0 && r->status == 200) {
        undone = call(ADMIN, "PUT", "/config",
                      "{\"mode\": null, \"scope_mode\": null, \"workspace_access\": null,"
                      " \"resource_limits\": null, \"network_policy\": null}",
                      NULL);
        assert_status(&undone, 200);
    } else {
        return;
    }
    reply_done(&undone);
}

/* Send @body, of which @what tells what is odd, unless that is left out. */
static void
send_body(const struct operation *op, const struct base *base, const json_t *body, const char *what)
{
    struct json_schema check = {.document = contract.document};
    int fits = json_schema_check(&check, op->request, body);
    _cleanup_(freep) char *text = NULL, *path = NULL;
    struct reply r;

    if (fits == -ENOTSUP)
        fail_msg("%s: the request's schema: %s", op->id, check.why);
    if (fits == 0 && base->schema_only)
        return;
    text = json_dumps(body, 0);
    path = contract_path(op, NULL, NULL);
    assert_non_null(text);
    r = call(op->user, op->method, path, text, NULL);
    sent++;
    if (fits < 0)
        contract_check_refused(op, &r, what);
    else
        contract_check(op, &r, what);
    undo(op, path, &r);
    reply_done(&r);
}

/* Give the member @name of @object, which is in @body, every value. */
static void
try_values(const struct operation *op, const struct base *base, json_t *body, json_t *object,
           const char *name)
{
    json_auto_t *kept = json_incref(json_object_get(object, name));
    char what[WHAT_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        json_t *value = json_loads(values[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

        assert_non_null(value);
        snprintf(what, sizeof(what), "'%s': %s", name, values[i]);
        json_object_set_new(object, name, value);
        send_body(op, base, body, what);
    }
    snprintf(what, sizeof(what), "'%s' of %d bytes", name, HUGE_STRING);
    json_object_set_new(object, name, long_string(HUGE_STRING));
    send_body(op, base, body, what);
    json_object_del(object, name);
    if (kept)
        json_object_set(object, name, kept);
}

/* Spoil the members of @object, which is in @body and as @schema says. */
static void
try_members(const struct operation *op, const struct base *base, const json_t *schema, json_t *body,
            json_t *object)
{
    const char *name;
    json_t *member;

    json_object_set_new(object, "no_such_field", json_true());
    send_body(op, base, body, "an unknown field");
    json_object_del(object, "no_such_field");
    json_object_foreach(json_object_get(schema, "properties"), name, member)
    {
        try_values(op, base, body, object, name);
        if (json_object_get(member, "properties")) {
            json_t *inner = json_object();

            json_object_set_new(object, name, inner);
            try_members(op, base, member, body, inner);
            json_object_del(object, name);
        }
    }
}

static void
try_without_required(const struct operation *op, const struct base *base, json_t *body)
{
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(op->request, "required"), i, name)
    {
        json_auto_t *less = json_copy(body);
        char what[WHAT_SIZE];

        snprintf(what, sizeof(what), "no '%s'", json_string_value(name));
        assert_int_equal(json_object_del(less, json_string_value(name)), 0);
        send_body(op, base, less, what);
    }
}

static void
each_value_of_each_field_has_a_declared_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        const struct operation op = contract_operation(bases[i].operation);
        json_auto_t *before = contract_state();
        json_auto_t *body = json_loads(bases[i].body, 0, NULL);
        size_t already = sent;

        assert_non_null(body);
        try_members(&op, &bases[i], op.request, body, body);
        try_without_required(&op, &bases[i], body);
        print_message("    %s %s: %zu bodies\n", op.id, bases[i].body, sent - already);
        assert_true(sent > already);
        contract_assert_state(before, op.id);
    }
}

static void
check_is_tried(const struct operation *op)
{
    if (!op->request)
        return;
    for (size_t i = 0; i < ARRAY_LEN(bases); i++)
        if (strcmp(bases[i].operation, op->id) == 0)
            return;
    fail_msg("%s has a body, and none is tried here", op->id);
}

static void
no_operation_with_a_body_is_left_out(void **state)
{
    (void)state;
    contract_each(check_is_tried);
}

/* Bodies that are wrong for every operation that has one. */
static const struct {
    const char *text, *type;
} broken[] = {
    /* clang-format off */
    {"[]", "application/json"},
    {"\"x\"", "application/json"},
    {"1", "application/json"},
    {"null", "application/json"},
    {"true", "application/json"},
    {"[{}]", "application/json"},
    {"{", "application/json"},
    {" ", "application/json"},
    {"{\"a\":}", "application/json"},
    {"{\"a\": 1e999}", "application/json"},
    {"{\"a\": 1, \"a\": 1}", "application/json"},
    {"{'a': 1}", "application/json"},
    {"{\"a\": NaN}", "application/json"},
    {"{\"a\": \"\xff\"}", "application/json"},
    {"{\"a\": \"\\ud800\"}", "application/json"},
    {"{\"\\u0000\": 1}", "application/json"},
    {"{} {}", "application/json"},
    {"{}", "text/plain"},
    {"{}", "application/jsonx"},
    {"{}", NULL},
    {"a=b", "application/x-www-form-urlencoded"},
    /* clang-format on */
};

static void
send_raw(const struct operation *op, const char *text, const char *type, const char *what)
{
    _cleanup_(freep) char *path = contract_path(op, NULL, NULL);
    struct reply r = call_raw(op->user, op->method, path, text, strlen(text), type);

    contract_check_refused(op, &r, what);
    reply_done(&r);
}

/* A body of @len times the same letter. */
static void
send_many(const struct operation *op, int letter, size_t len, const char *what)
{
    _cleanup_(freep) char *text = calloc(1, len + 1);

    assert_non_null(text);
    memset(text, letter, len);
    send_raw(op, text, "application/json", what);
}

static void
try_broken(const struct operation *op)
{
    if (!op->request)
        return;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        send_raw(op, broken[i].text, broken[i].type, broken[i].text);
    send_many(op, '[', HUGE_STRING, "a body of brackets");
    send_many(op, ' ', HUGE_BODY, "a body of blanks");
}

static void
what_is_no_json_object_is_refused(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_broken);
    contract_assert_state(before, "broken bodies");
}

static void
try_uncalled_for(const struct operation *op)
{
    static const char *const bodies[] = {"{\"force\": true}", "[]", "x"};

    for (size_t i = 0; !op->request && i < ARRAY_LEN(bodies); i++)
        send_raw(op, bodies[i], "application/json", bodies[i]);
}

static void
a_body_where_none_is_due_is_refused(void **state)
{
    json_auto_t *before = contract_state();

    (void)state;
    contract_each(try_uncalled_for);
    contract_assert_state(before, "bodies that were not called for");
}

int
suite_contract_bodies(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operation_with_a_body_is_left_out),
        cmocka_unit_test(each_value_of_each_field_has_a_declared_answer),
        cmocka_unit_test(what_is_no_json_object_is_refused),
        cmocka_unit_test(a_body_where_none_is_due_is_refused),
    };

    return cmocka_run_group_tests_name("contract-bodies", tests, contract_open, contract_close);
}
