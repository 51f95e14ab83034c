/* The validator that the contract's tests use: what fits, what does not, what it cannot judge. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "handlers/openapi/openapi.h"
#include "tests/common/json_schema.h"

/* Each a schema, a value and what comes of it, in JSON with ' for ". */
static const struct {
    const char *schema, *value;
    int result;
    const char *why; /* a part of it; NULL where all is well */
} cases[] = {
    /* clang-format off */
    {"{}", "null", 0, NULL},
    {"true", "[1]", 0, NULL},
    {"false", "1", -EINVAL, "may not be there"},
    {"{'type':'string'}", "'x'", 0, NULL},
    {"{'type':'string'}", "null", -EINVAL, "the type is not \"string\""},
    {"{'type':['string','null']}", "null", 0, NULL},
    {"{'type':['string','null']}", "1", -EINVAL, "the type is not"},
    {"{'type':'object'}", "[]", -EINVAL, "the type is not"},
    {"{'type':'array'}", "{}", -EINVAL, "the type is not"},
    {"{'type':'boolean'}", "false", 0, NULL},
    {"{'type':'boolean'}", "0", -EINVAL, "the type is not"},
    {"{'type':'number'}", "1", 0, NULL},
    {"{'type':'number'}", "'1'", -EINVAL, "the type is not"},
    {"{'type':'integer'}", "1", 0, NULL},
    {"{'type':'integer'}", "1.0", 0, NULL},
    {"{'type':'integer'}", "1.5", -EINVAL, "the type is not"},
    {"{'type':'integer'}", "true", -EINVAL, "the type is not"},
    {"{'type':'text'}", "'x'", -EINVAL, "the type is not"},
    {"{'enum':['a',1,null]}", "'a'", 0, NULL},
    {"{'enum':['a',1,null]}", "1.0", 0, NULL},
    {"{'enum':['a',1,null]}", "null", 0, NULL},
    {"{'enum':['a',1,null]}", "'A'", -EINVAL, "none of the enum"},
    {"{'const':[1]}", "[1]", 0, NULL},
    {"{'const':[1]}", "[1,1]", -EINVAL, "not the const"},
    {"{'minimum':2}", "2", 0, NULL},
    {"{'minimum':2}", "1.9", -EINVAL, "less than 2"},
    {"{'minimum':2}", "'1'", 0, NULL},
    {"{'maximum':2}", "2.0", 0, NULL},
    {"{'maximum':2}", "3", -EINVAL, "more than 2"},
    {"{'exclusiveMinimum':0}", "0.1", 0, NULL},
    {"{'exclusiveMinimum':0}", "0", -EINVAL, "not more than 0"},
    {"{'minLength':2}", "'ab'", 0, NULL},
    {"{'minLength':2}", "'\xc3\xa9'", -EINVAL, "there are 1 of it, too few"},
    {"{'minLength':2}", "1", 0, NULL},
    {"{'maxLength':1}", "'\xc3\xa9'", 0, NULL},
    {"{'maxLength':1}", "'ab'", -EINVAL, "there are 2 of it, too many"},
    {"{'pattern':'^[a-z]+$'}", "'abc'", 0, NULL},
    {"{'pattern':'^[a-z]+$'}", "'ab\\u0000'", -EINVAL, "not like"},
    {"{'pattern':'^[a-z]+$'}", "1", 0, NULL},
    {"{'pattern':'b'}", "'abc'", 0, NULL},
    {"{'pattern':'['}", "1", -ENOTSUP, "not a pattern"},
    {"{'items':{'type':'integer'}}", "[1,2]", 0, NULL},
    {"{'items':{'type':'integer'}}", "[1,'2']", -EINVAL, "at '/1': the type"},
    {"{'items':{'type':'integer'}}", "'x'", 0, NULL},
    {"{'minItems':1}", "[]", -EINVAL, "too few"},
    {"{'maxItems':1}", "[1,2]", -EINVAL, "too many"},
    {"{'minProperties':1}", "{}", -EINVAL, "too few"},
    {"{'maxProperties':1}", "{'a':1,'b':2}", -EINVAL, "too many"},
    {"{'maxProperties':1}", "{'a':1}", 0, NULL},
    {"{'required':['a']}", "{'a':null}", 0, NULL},
    {"{'required':['a']}", "{'b':1}", -EINVAL, "'a' is missing"},
    {"{'required':['a']}", "[]", 0, NULL},
    {"{'properties':{'a':{'properties':{'b':{'type':'null'}}}}}", "{'a':{'b':1}}", -EINVAL,
     "at '/a/b': the type"},
    {"{'properties':{'a':{'type':'null'}}}", "{'b':1}", 0, NULL},
    {"{'properties':{'a':{}},'additionalProperties':false}", "{'a':1}", 0, NULL},
    {"{'properties':{'a':{}},'additionalProperties':false}", "{'a':1,'b':2}", -EINVAL, "at '/b'"},
    {"{'additionalProperties':{'type':'string'}}", "{'a':'x','b':1}", -EINVAL, "at '/b': the type"},
    {"{'$ref':'#/definitions/tree'}", "{'down':[{'down':[]}]}", 0, NULL},
    {"{'$ref':'#/definitions/tree'}", "{'down':[{'up':[]}]}", -EINVAL, "at '/down/0': 'down' is"},
    {"{'$ref':'#/definitions/none'}", "1", -ENOTSUP, "leads nowhere"},
    {"{'$ref':'elsewhere'}", "1", -ENOTSUP, "leads nowhere"},
    {"{'allOf':[{'minimum':1},{'maximum':2}]}", "2", 0, NULL},
    {"{'allOf':[{'minimum':1},{'maximum':2}]}", "3", -EINVAL, "more than 2"},
    {"{'anyOf':[{'type':'null'},{'minimum':2}]}", "3", 0, NULL},
    {"{'anyOf':[{'type':'null'},{'minimum':2}]}", "1", -EINVAL, "none of anyOf"},
    {"{'oneOf':[{'minimum':1},{'minimum':2}]}", "1", 0, NULL},
    {"{'oneOf':[{'minimum':1},{'minimum':2}]}", "2", -EINVAL, "2 of oneOf"},
    {"{'description':'words'}", "1", 0, NULL},
    {"{'type':'string','format':'date-time'}", "1", -ENOTSUP, "the keyword 'format' is not known"},
    {"{'properties':{'a':{'if':true}}}", "{'a':1}", -ENOTSUP, "at '/a': the keyword 'if'"},
    {"{'anyOf':[{'not':true},true]}", "1", -ENOTSUP, "the keyword 'not'"},
    {"[]", "1", -ENOTSUP, "neither an object nor a boolean"},
    /* clang-format on */
};

/* What @text says, with ' for ". */
static json_t *
parse(const char *text)
{
    _cleanup_(freep) char *copy = strdup(text);
    json_t *json;

    assert_non_null(copy);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!json)
        fail_msg("not JSON: %s", copy);
    return json;
}

static void
each_keyword_says_what_it_means(void **state)
{
    json_auto_t *document = parse("{'definitions':{'tree':{'type':'object','required':['down'],"
                                  "'properties':{'down':{'type':'array','items':"
                                  "{'$ref':'#/definitions/tree'}}}}}}");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *schema = parse(cases[i].schema);
        json_auto_t *value = parse(cases[i].value);
        struct json_schema check = {.document = document};
        int r = json_schema_check(&check, schema, value);

        if (r != cases[i].result || (cases[i].why && !strstr(check.why, cases[i].why)))
            fail_msg("%s by %s: %d, \"%s\"", cases[i].value, cases[i].schema, r, check.why);
    }
}

static void
a_closed_check_wants_every_member_named(void **state)
{
    static const struct {
        const char *schema;
        int result;
    } closed[] = {
        {"{'properties':{'a':{}}}", -EINVAL},
        {"{'properties':{'a':{},'b':{}}}", 0},
        {"{'properties':{'a':{}},'additionalProperties':{'type':'integer'}}", 0},
        {"{'type':'object'}", 0},
    };
    json_auto_t *value = parse("{'a':1,'b':2}");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        json_auto_t *schema = parse(closed[i].schema);
        struct json_schema check = {.closed = true};

        if (json_schema_check(&check, schema, value) != closed[i].result)
            fail_msg("%s: \"%s\"", closed[i].schema, check.why);
        assert_true(closed[i].result == 0 || strstr(check.why, "'b' is not documented"));
    }
}

static void
an_unknown_keyword_is_found_wherever_it_is(void **state)
{
    static const char *const unknown[] = {
        "{'not':true}",
        "{'items':{'not':true}}",
        "{'properties':{'a':{'properties':{'b':{'not':true}}}}}",
        "{'anyOf':[true,{'additionalProperties':{'not':true}}]}",
    };
    json_auto_t *known = parse("{'properties':{'not':{'enum':[{'not':1}]}}}");
    struct json_schema check = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        json_auto_t *schema = parse(unknown[i]);

        print_message("    %s\n", unknown[i]);
        assert_int_equal(json_schema_understood(&check, schema), -ENOTSUP);
        assert_non_null(strstr(check.why, "'not' is not known"));
    }
    assert_int_equal(json_schema_understood(&check, known), 0);
}

/* All that is called "schema" below @json, but for what is within schemas. Returns their number. */
static size_t
check_schemas(struct json_schema *check, const json_t *json, const char *name)
{
    size_t i, count = 0;
    const char *key;
    json_t *part;

    json_array_foreach(json, i, part) count += check_schemas(check, part, name);
    json_object_foreach((json_t *)(uintptr_t)json, key, part)
    {
        if (strcmp(key, "schema") != 0)
            count += check_schemas(check, part, key);
        else if (json_schema_understood(check, part) == 0)
            count++;
        else
            fail_msg("%s: %s", name, check->why);
    }
    return count;
}

static void
every_schema_of_the_description_is_understood(void **state)
{
    json_auto_t *document = openapi_document(route_tables);
    json_t *components = json_object_get(document, "components");
    struct json_schema check = {.document = document};
    const char *name;
    json_t *schema;

    (void)state;
    assert_true(check_schemas(&check, json_object_get(document, "paths"), "paths") > 0);
    assert_true(check_schemas(&check, json_object_get(components, "responses"), "responses") > 0);
    assert_true(check_schemas(&check, json_object_get(components, "parameters"), "parameters") > 0);
    json_object_foreach(json_object_get(components, "schemas"), name,
                        schema) if (json_schema_understood(&check, schema) < 0)
        fail_msg("%s: %s", name, check.why);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword_says_what_it_means),
        cmocka_unit_test(a_closed_check_wants_every_member_named),
        cmocka_unit_test(an_unknown_keyword_is_found_wherever_it_is),
        cmocka_unit_test(every_schema_of_the_description_is_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
