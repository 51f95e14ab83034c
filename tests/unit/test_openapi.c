/*
 * The API's description: every operation is described whole, what components.json says by hand
 * agrees with the code, and fields become the schemas that they mean.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "fcgi/problem.h"
#include "handlers/openapi/field_schema.h"
#include "handlers/openapi/openapi.h"

static json_t *document;

static int
setup(void **state)
{
    (void)state;
    document = openapi_document(route_tables);
    return document ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

/* The part of the document that "a b c" leads to, or NULL. */
static json_t *
part(const char *a, const char *b, const char *c)
{
    return json_object_get(json_object_get(json_object_get(document, a), b), c);
}

/* Every route says what it is and what it answers: what is missing stands in handlers/, in the
 * route that the message names. */
static void
every_route_is_described(void **state)
{
    int missing = 0;

    (void)state;
    for (size_t i = 0; route_tables[i]; i++) {
        for (const struct route *r = route_tables[i]; r->method; r++) {
            if (r->summary && r->answers)
                continue;
            print_error("%s %s: the route has no .%s\n", r->method, r->path,
                        r->summary ? "answers" : "summary");
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

/* A body's fields have a sentence each: names do not tell what is optional or counted how. */
static void
every_field_of_a_body_is_described(void **state)
{
    int missing = 0;

    (void)state;
    for (size_t i = 0; route_tables[i]; i++) {
        for (const struct route *r = route_tables[i]; r->method; r++) {
            for (const struct field *f = r->body; f && f->name && !r->body_raw; f++) {
                if (f->doc)
                    continue;
                print_error("%s %s: the body's field '%s' has no .doc\n", r->method, r->path,
                            f->name);
                missing++;
            }
        }
    }
    assert_int_equal(missing, 0);
}

/* Follow every $ref below @json. */
static void
check_references(const json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach(json, i, value) check_references(value);
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const char *target = strcmp(key, "$ref") == 0 ? json_string_value(value) : NULL;
        char kind[32], name[64];

        check_references(value);
        if (!target)
            continue;
        if (sscanf(target, "#/components/%31[a-zA-Z]/%63s", kind, name) != 2 ||
            !part("components", kind, name))
            fail_msg("%s is not in components.json", target);
    }
}

static void
every_reference_leads_somewhere(void **state)
{
    (void)state;
    check_references(document);
}

static void
every_operation_has_a_name_and_an_answer(void **state)
{
    json_auto_t *names = json_object();
    const char *path, *method;
    json_t *item, *operation;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            json_t *responses = json_object_get(operation, "responses");

            if (json_object_get(names, id))
                fail_msg("two operations are called %s", id);
            json_object_set_new(names, id, json_true());
            if (!json_object_get(responses, "200") && !json_object_get(responses, "201") &&
                !json_object_get(responses, "202") && !json_object_get(responses, "204"))
                fail_msg("%s %s has no answer of success", method, path);
        }
    }
}

static void
operation_ids_are_made_of_method_and_path(void **state)
{
    static const struct {
        struct route route;
        const char *id;
    } cases[] = {
        {{.method = "GET", .path = "/config"}, "getConfig"},
        {{.method = "POST", .path = "/containers/{id}/exec"}, "postContainersByIdExec"},
        {{.method = "DELETE", .path = "/a/{id}/b/{sid}"}, "deleteAByIdBBySid"},
        {{.method = "GET", .path = "/openapi.json"}, "getOpenapiJson"},
    };
    char id[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        openapi_operation_id(&cases[i].route, id, sizeof(id));
        assert_string_equal(id, cases[i].id);
    }
}

/* Every code that the service knows is in Problem, and its status has a response that names it;
 * the last one is nginx's own. */
static void
every_error_code_is_described(void **state)
{
    json_t *codes = json_object_get(
        json_object_get(json_object_get(part("components", "schemas", "Problem"), "properties"),
                        "code"),
        "enum");

    (void)state;
    assert_int_equal(json_array_size(codes), ERROR_CODE_COUNT);
    assert_string_equal(json_string_value(json_array_get(codes, ERROR_CODE_COUNT - 1)),
                        "bad_request");
    for (int code = ERR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        const char *name = error_name((enum error_code)code);
        char status[8], quoted[64];
        const char *text;

        snprintf(status, sizeof(status), "%d", problem_status((enum error_code)code));
        snprintf(quoted, sizeof(quoted), "`%s`", name);
        text = json_string_value(
            json_object_get(part("components", "responses", status), "description"));
        if (!text || !strstr(text, quoted))
            fail_msg("components.json: the response %s does not name %s", status, quoted);
        assert_string_equal(json_string_value(json_array_get(codes, (size_t)code - 1)), name);
    }
}

/* A value of every type, and what its schema says; "%p" stands for a patch. */
static const char *const colours[] = {"red", "green", NULL};
static const struct field inner[] = {{.name = "a", .type = FIELD_BOOL, .required = true}, {0}};
static const struct {
    struct field field;
    bool patch;
    const char *schema;
} field_cases[] = {
    {{.type = FIELD_STRING, .min = 1, .max = 64, .doc = "text"},
     false,
     "{'type':'string','minLength':1,'maxLength':64,'description':'text'}"},
    {{.type = FIELD_STRING}, false, "{'type':'string'}"},
    {{.type = FIELD_IDENT, .min = 1, .max = 64},
     false,
     "{'type':'string','minLength':1,'maxLength':64,'pattern':'^[A-Za-z0-9][A-Za-z0-9._-]*$'}"},
    {{.type = FIELD_ENUM, .values = colours}, false, "{'type':'string','enum':['red','green']}"},
    {{.type = FIELD_ENUM, .values = colours},
     true,
     "{'type':['string','null'],'enum':['red','green',null]}"},
    {{.type = FIELD_BOOL}, false, "{'type':'boolean'}"},
    {{.type = FIELD_INT, .min = 1}, false, "{'type':'integer','minimum':1}"},
    {{.type = FIELD_INT, .min = -5}, false, "{'type':'integer','minimum':-5,'maximum':0}"},
    {{.type = FIELD_NUMBER, .above_min = true, .max = 2.5},
     false,
     "{'type':'number','exclusiveMinimum':0.0,'maximum':2.5}"},
    {{.type = FIELD_STRINGS, .min = 1, .max = 3, .item_max = 9},
     false,
     "{'type':'array','items':{'type':'string','minLength':1,'maxLength':9},'minItems':1,"
     "'maxItems':3}"},
    {{.type = FIELD_INTS, .max = 3, .item_max = 65535},
     false,
     "{'type':'array','items':{'type':'integer','minimum':1,'maximum':65535},'minItems':0,"
     "'maxItems':3}"},
    {{.type = FIELD_MAP, .max = 2},
     false,
     "{'type':'object','additionalProperties':{'type':'string'},'minProperties':0,"
     "'maxProperties':2}"},
    {{.type = FIELD_OBJECT, .fields = inner},
     false,
     "{'type':'object','additionalProperties':false,'properties':{'a':{'type':'boolean'}},"
     "'required':['a']}"},
    {{.type = FIELD_OBJECT, .fields = inner},
     true,
     "{'type':['object','null'],'additionalProperties':false,"
     "'properties':{'a':{'type':['boolean','null']}}}"},
};

static void
fields_become_the_schemas_that_they_mean(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(field_cases); i++) {
        json_auto_t *schema = field_schema(&field_cases[i].field, field_cases[i].patch);
        _cleanup_(freep) char *expected = strdup(field_cases[i].schema);
        _cleanup_(freep) char *text = json_dumps(schema, JSON_COMPACT);
        json_auto_t *wanted = NULL;

        for (char *p = expected; *p; p++)
            if (*p == '\'')
                *p = '"';
        wanted = json_loads(expected, 0, NULL);
        assert_non_null(wanted);
        if (!json_equal(schema, wanted))
            fail_msg("case %zu: %s, not %s", i, text, expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_field_of_a_body_is_described),
        cmocka_unit_test(every_reference_leads_somewhere),
        cmocka_unit_test(every_operation_has_a_name_and_an_answer),
        cmocka_unit_test(operation_ids_are_made_of_method_and_path),
        cmocka_unit_test(every_error_code_is_described),
        cmocka_unit_test(fields_become_the_schemas_that_they_mean),
    };

    return cmocka_run_group_tests_name("openapi", tests, setup, teardown);
}
