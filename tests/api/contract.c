/* See contract.h. */
#include "tests/test.h"

#include "tests/api/contract.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "tests/api/jobs.h"
#include "tests/api/warm.h"
#include "tests/common/json_schema.h"

enum { PATH_SIZE = 8192 };

struct contract contract;

static void
make_things(void)
{
    struct reply r;

    make_container(ALICE, "{\"agent_id\": \"contract\", \"session_id\": \"1\"}",
                   contract.container);
    r = call(ALICE, "POST", "/execute",
             "{\"agent_id\": \"contract\", \"session_id\": \"1\", \"command\": \"echo out\"}",
             NULL);
    assert_status(&r, 200);
    snprintf(contract.entry, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/snapshots", contract.container);
    assert_status(&r, 201);
    snprintf(contract.snapshot, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    snprintf(contract.template, STEP_ID_SIZE, "contract");
    template_make("{s:s, s:s}", "name", "contract", "dockerfile", "FROM sandbox-base:latest\n");
    job_run("contract", "build", "ready");
    r = call(ADMIN, "POST", "/tokens", "{\"user\": \"nobody\"}", NULL);
    assert_status(&r, 201);
    snprintf(contract.token, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

int
contract_open(void **state)
{
    struct reply r = fetch(VIEWER, "/openapi.json");

    (void)state;
    contract.document = json_incref(r.json);
    reply_done(&r);
    make_things();
    return 0;
}

int
contract_close(void **state)
{
    struct reply r = act(ADMIN, "DELETE", "/tokens/%s", contract.token);

    reply_done(&r); /* where a test has deleted it, it is gone */
    json_decref(contract.document);
    contract.document = NULL;
    return templates_clean(state);
}

/* @json, or what it refers to. */
static const json_t *
follow(const json_t *json)
{
    const char *reference = json_string_value(json_object_get(json, "$ref"));

    return reference ? json_schema_resolve(contract.document, reference) : json;
}

/* The schema of the JSON among the media types of a body or an answer; NULL if there is none. */
static const json_t *
schema_of(const json_t *body, const char *type)
{
    const json_t *content = json_object_get(follow(body), "content");

    return json_object_get(json_object_get(content, type), "schema");
}

static struct operation
describe(const char *path, const char *method, const json_t *json)
{
    const char *role = json_string_value(json_object_get(json, "x-role"));
    struct operation op = {
        .path = path,
        .id = json_string_value(json_object_get(json, "operationId")),
        .user = role && strcmp(role, "admin") == 0 ? ADMIN : ALICE,
        .json = json,
        .request = schema_of(json_object_get(json, "requestBody"), "application/json"),
    };

    for (size_t i = 0; method[i] && i < sizeof(op.method) - 1; i++)
        op.method[i] = (char)toupper((unsigned char)method[i]);
    return op;
}

void
contract_each(void (*visit)(const struct operation *op))
{
    const char *path, *method;
    json_t *methods, *json;
    size_t count = 0;

    json_object_foreach(json_object_get(contract.document, "paths"), path, methods)
    {
        json_object_foreach(methods, method, json)
        {
            const struct operation op = describe(path, method, json);

            visit(&op);
            count++;
        }
    }
    assert_true(count > 0);
}

struct operation
contract_operation(const char *id)
{
    const char *path, *method;
    json_t *methods, *json;

    json_object_foreach(json_object_get(contract.document, "paths"), path, methods)
        json_object_foreach(
            methods, method,
            json) if (strcmp(json_string_value(json_object_get(json, "operationId")), id) ==
                      0) return describe(path, method, json);
    fail_msg("the description has no operation '%s'", id);
    return (struct operation){0};
}

/* What is there for the parameter @name of a path. */
static const char *
thing(const char *path, const char *name)
{
    static const struct {
        const char *name, *path, *value;
    } things[] = {
        {"sid", "/containers/", contract.snapshot}, {"id", "/containers/", contract.container},
        {"id", "/audit/", contract.entry},          {"id", "/templates/", contract.template},
        {"id", "/tokens/", contract.token},
    };

    for (size_t i = 0; i < ARRAY_LEN(things); i++)
        if (strcmp(things[i].name, name) == 0 &&
            strncmp(things[i].path, path, strlen(things[i].path)) == 0)
            return things[i].value;
    fail_msg("the tests have nothing to put for {%s} in %s", name, path);
    return NULL;
}

char *
contract_path(const struct operation *op, const char *name, const char *value)
{
    const char *p = op->path;
    struct buf out;

    buf_init(&out, PATH_SIZE);
    while (*p) {
        char param[32] = "";
        size_t len = strcspn(p, "{");

        assert_true(buf_append(&out, p, len) == 0);
        p += len;
        if (sscanf(p, "{%31[^}]", param) == 1) {
            bool replaced = name && strcmp(name, param) == 0;

            p += strlen(param) + 2;
            assert_true(buf_printf(&out, "%s", replaced ? value : thing(op->path, param)) == 0);
        }
    }
    return buf_take(&out);
}

/* The reply's body as JSON has it: a text is a string. */
static json_t *
body_value(const struct reply *r, const char *type)
{
    if (strstr(type, "json") && !strstr(type, "ndjson"))
        return json_incref(r->json);
    return json_stringn(r->body, r->body_len);
}

static void
check_body(const struct operation *op, const struct reply *r, const json_t *answer,
           const char *what)
{
    struct json_schema check = {.document = contract.document, .closed = true};
    json_auto_t *value = NULL;
    const json_t *schema;
    char type[80];

    snprintf(type, sizeof(type), "%s", r->content_type);
    type[strcspn(type, ";")] = '\0';
    schema = schema_of(answer, type);
    if (!schema)
        fail_msg("%s: %s: %ld does not declare '%s'", op->id, what, r->status, type);
    value = body_value(r, type);
    if (!value)
        fail_msg("%s: %s: the body of %s is none: %s", op->id, what, type, r->body);
    if (json_schema_check(&check, schema, value) != 0)
        fail_msg("%s: %s: %ld is not as declared: %s, in %s", op->id, what, r->status, check.why,
                 r->body);
}

void
contract_check(const struct operation *op, const struct reply *r, const char *what)
{
    char status[24];
    const json_t *answer;

    snprintf(status, sizeof(status), "%ld", r->status);
    answer = follow(json_object_get(json_object_get(op->json, "responses"), status));
    if (r->status >= 500)
        fail_msg("%s: %s: %s: %s", op->id, what, status, r->body);
    if (!answer)
        fail_msg("%s: %s: %s is not declared: %s", op->id, what, status, r->body);
    if (json_object_get(answer, "content"))
        check_body(op, r, answer, what);
    else if (r->body_len > 0)
        fail_msg("%s: %s: %s has a body: %s", op->id, what, status, r->body);
}

void
contract_check_refused(const struct operation *op, const struct reply *r, const char *what)
{
    if (r->status < 400 || r->status >= 500)
        fail_msg("%s: %s was not refused: %ld %s", op->id, what, r->status, r->body);
    contract_check(op, r, what);
    assert_string_equal(r->content_type, "application/problem+json");
}

/* What does not change by itself in the items of the list @name at @path. */
static json_t *
stable(const char *path, const char *name)
{
    static const char *const members[] = {"id", "status", "image", "name", "labels"};
    struct reply r = fetch(ADMIN, "%s", path);
    json_t *out = json_array();
    json_t *item;
    size_t i;

    json_array_foreach(at(&r, name), i, item)
    {
        json_t *kept = json_object();

        for (size_t k = 0; k < ARRAY_LEN(members); k++)
            json_object_set(kept, members[k], json_object_get(item, members[k]));
        json_array_append_new(out, kept);
    }
    reply_done(&r);
    return out;
}

json_t *
contract_state(void)
{
    struct reply status = fetch(ADMIN, "/status"), config = fetch(ADMIN, "/config");
    char snapshots[STEP_ID_SIZE + 64];
    json_t *json;

    snprintf(snapshots, sizeof(snapshots), "/containers/%s/snapshots?limit=500",
             contract.container);
    json = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:O}", "engine", warm_engine_ids(),
                     "containers", stable("/containers?limit=500", "containers"), "snapshots",
                     stable(snapshots, "snapshots"), "templates", stable("/templates", "templates"),
                     "tokens", stable("/tokens?limit=500", "tokens"), "running",
                     stable("/audit?status=running&limit=500", "entries"), "executions_running",
                     at(&status, "executions_running"), "config", config.json);
    assert_non_null(json);
    reply_done(&status);
    reply_done(&config);
    return json;
}

void
contract_assert_state(const json_t *before, const char *what)
{
    json_auto_t *now = contract_state();

    if (!json_equal(before, now)) {
        _cleanup_(freep) char *was = json_dumps(before, 0), *is = json_dumps(now, 0);

        fail_msg("after %s the service has\n%s\nbefore\n%s", what, is, was);
    }
}
