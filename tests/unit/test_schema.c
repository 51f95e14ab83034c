/* Decoding by field tables: backend/schema.c, with pointers and typos. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/pointer.h"
#include "backend/schema.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

struct inner {
    const char *name;
    int64_t count;
    struct strings tags;
};

struct body {
    const char *text;
    const char *exact;
    const char *ident;
    int colour;
    bool flag;
    int64_t whole;
    int64_t below_zero;
    int64_t at_least;
    double ratio;
    struct strings words;
    struct ints numbers;
    json_t *map;
    struct inner object;
    struct list list;
    struct list dict;
    const char *needed;
};

static const struct field inner_fields[] = {
    {.name = "count", .type = FIELD_INT, .offset = offsetof(struct inner, count), .required = true},
    {.name = "tags", .type = FIELD_STRINGS, .offset = offsetof(struct inner, tags)},
    {0},
};

/* clang-format off */
static const struct field fields[] = {
    {.name = "text", .type = FIELD_STRING, .offset = offsetof(struct body, text), .min = 1, .max = 5},
    {.name = "exact", .type = FIELD_STRING, .offset = offsetof(struct body, exact), .min = 2, .max = 4},
    {.name = "ident", .type = FIELD_IDENT, .offset = offsetof(struct body, ident), .min = 1, .max = 8},
    {.name = "colour", .type = FIELD_ENUM, .offset = offsetof(struct body, colour), .values = colours},
    {.name = "flag", .type = FIELD_BOOL, .offset = offsetof(struct body, flag)},
    {.name = "whole", .type = FIELD_INT, .offset = offsetof(struct body, whole), .min = 1, .max = 500},
    {.name = "below_zero", .type = FIELD_INT, .offset = offsetof(struct body, below_zero), .min = -5},
    {.name = "at_least", .type = FIELD_INT, .offset = offsetof(struct body, at_least), .min = 3},
    {.name = "ratio", .type = FIELD_NUMBER, .offset = offsetof(struct body, ratio), .above_min = true, .max = 8},
    {.name = "words", .type = FIELD_STRINGS, .offset = offsetof(struct body, words), .max = 2},
    {.name = "numbers", .type = FIELD_INTS, .offset = offsetof(struct body, numbers), .min = 1, .max = 3, .item_max = 65535},
    {.name = "map", .type = FIELD_MAP, .offset = offsetof(struct body, map), .max = 2},
    {.name = "object", .type = FIELD_OBJECT, .offset = offsetof(struct body, object), .fields = inner_fields},
    {.name = "list", .type = FIELD_LIST, .offset = offsetof(struct body, list), .min = 1, .max = 2,
     .fields = inner_fields, .size = sizeof(struct inner)},
    {.name = "dict", .type = FIELD_DICT, .offset = offsetof(struct body, dict), .max = 3,
     .fields = inner_fields, .size = sizeof(struct inner)},
    {.name = "needed", .type = FIELD_STRING, .offset = offsetof(struct body, needed), .required = true},
    {0},
};

/* Each is the content of an object; "needed" is added. */
static const struct {
    const char *json, *pointer, *detail;
} refused[] = {
    {"'text': ''", "/text", "must not be empty"},
    {"'text': 'abcdef'", "/text", "must be at most 5 bytes"},
    {"'text': 'öööö'", "/text", "must be at most 5 bytes"},
    {"'text': null", "/text", "must be a string, not null"},
    {"'text': 7", "/text", "must be a string, not an integer"},
    {"'exact': ''", "/exact", "must be between 2 and 4 bytes"},
    {"'exact': 'abcde'", "/exact", "must be between 2 and 4 bytes"},
    {"'ident': 'a b'", "/ident", "must start with a letter or digit and hold only letters, digits, '.', '_' and '-'"},
    {"'ident': '-a'", "/ident", "must start with a letter or digit and hold only letters, digits, '.', '_' and '-'"},
    {"'ident': ''", "/ident", "must not be empty"},
    {"'ident': 'abcdefghi'", "/ident", "must be at most 8 bytes"},
    {"'colour': 'Red'", "/colour", "must be one of red, green, blue; did you mean 'red'?"},
    {"'colour': false", "/colour", "must be one of red, green, blue"},
    {"'flag': 1", "/flag", "must be true or false, not an integer"},
    {"'flag': 'true'", "/flag", "must be true or false, not the text 'true'"},
    {"'whole': 0", "/whole", "must be between 1 and 500"},
    {"'whole': 501", "/whole", "must be between 1 and 500"},
    {"'whole': 1.0", "/whole", "must be an integer, not a real number"},
    {"'whole': true", "/whole", "must be an integer, not a boolean"},
    {"'whole': '7'", "/whole", "must be an integer, not the text '7'"},
    {"'below_zero': -6", "/below_zero", "must be between -5 and 0"},
    {"'below_zero': 1", "/below_zero", "must be between -5 and 0"},
    {"'at_least': 2", "/at_least", "must be at least 3"},
    {"'ratio': 0", "/ratio", "must be greater than 0"},
    {"'ratio': -0.5", "/ratio", "must be greater than 0"},
    {"'ratio': 8.5", "/ratio", "must be at most 8"},
    {"'ratio': []", "/ratio", "must be a number, not a list"},
    {"'words': 'a'", "/words", "must be a list of strings, not the text 'a'"},
    {"'words': ['a', 'b', 'c']", "/words", "must hold at most 2 entries"},
    {"'words': ['a', 7]", "/words/1", "must be a string, not an integer"},
    {"'words': ['a', '']", "/words/1", "must not be empty"},
    {"'numbers': 7", "/numbers", "must be a list of integers, not an integer"},
    {"'numbers': {}", "/numbers", "must be a list of integers, not an object"},
    {"'numbers': []", "/numbers", "must not be empty"},
    {"'numbers': [1, 2, 3, 4]", "/numbers", "must hold at most 3 entries"},
    {"'numbers': [1, 0]", "/numbers/1", "must be between 1 and 65535"},
    {"'numbers': [65536]", "/numbers/0", "must be between 1 and 65535"},
    {"'numbers': [-1]", "/numbers/0", "must be between 1 and 65535"},
    {"'numbers': [1, 2.0]", "/numbers/1", "must be an integer, not a real number"},
    {"'numbers': ['80']", "/numbers/0", "must be an integer, not the text '80'"},
    {"'numbers': [null]", "/numbers/0", "must be an integer, not null"},
    {"'numbers': [[80]]", "/numbers/0", "must be an integer, not a list"},
    {"'map': []", "/map", "must be an object of strings, not a list"},
    {"'map': {'a': 'b', 'c': {}}", "/map/c", "must be a string, not an object"},
    {"'map': {'a': '', 'b': '', 'c': ''}", "/map", "must hold at most 2 entries"},
    {"'object': 3.5", "/object", "must be an object, not a real number"},
    {"'object': {}", "/object/count", "is required"},
    {"'object': {'count': 1, 'tags': [true]}", "/object/tags/0", "must be a string, not a boolean"},
    {"'list': []", "/list", "must not be empty"},
    {"'list': {}", "/list", "must be a list, not an object"},
    {"'list': [{'count': 1}, {'count': 1}, {'count': 1}]", "/list", "must hold at most 2 entries"},
    {"'list': [{'count': 1, 'tags': ['x']}, {'count': 1, 'cuont': 1}]", "/list/1/cuont", "unknown field; did you mean 'count'?"},
    {"'list': [1]", "/list/0", "must be an object, not an integer"},
    {"'dict': []", "/dict", "must be an object, not a list"},
    {"'dict': {'a': {'count': 1, 'tags': ['x']}, 'b': null}", "/dict/b", "must be an object, not null"},
    {"'dict': {'a/b~c': {}}", "/dict/a~1b~0c/count", "is required"},
    {"'dict': {'a':0, 'b':0, 'c':0, 'd':0}", "/dict", "must hold at most 3 entries"},
    {"'wohle': 1", "/wohle", "unknown field; did you mean 'whole'?"},
    {"'Whole': 1", "/Whole", "unknown field; did you mean 'whole'?"},
    {"'whol': 1", "/whol", "unknown field; did you mean 'whole'?"},
    {"'wholees': 1", "/wholees", "unknown field; did you mean 'whole'?"},
    {"'mpa': 1", "/mpa", "unknown field; did you mean 'map'?"},
    {"'hole_in': 1", "/hole_in", "unknown field"},
    {"'': 1", "/", "unknown field"},
    {"'o': 1", "/o", "unknown field"},
};
/* clang-format on */

/* The JSON of @text, in which quotes are single. */
static json_t *
parse(const char *text)
{
    _cleanup_(freep) char *copy = strdup(text);
    json_error_t why;
    json_t *json;
    char *quote;

    assert_non_null(copy);
    for (quote = strchr(copy, '\''); quote; quote = strchr(quote, '\''))
        *quote = '"';
    json = json_loads(copy, JSON_DECODE_ANY, &why);
    if (!json)
        fail_msg("%s: %s", copy, why.text);
    return json;
}

static void
test_refused(void **state)
{
    char text[256], sentence[256];
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(refused); i++) {
        json_auto_t *json = NULL;
        struct error err = {0};
        struct body body = {0};

        print_message("%s\n", refused[i].json);
        snprintf(text, sizeof(text), "{%s, 'needed': ''}", refused[i].json);
        json = parse(text);
        assert_int_equal(schema_decode(fields, json, &body, &err), -EINVAL);
        assert_int_equal(err.code, ERR_VALIDATION);
        assert_int_equal(err.violation_count, 1);
        assert_string_equal(err.violations[0].pointer, refused[i].pointer);
        assert_string_equal(err.violations[0].detail, refused[i].detail);
        snprintf(sentence, sizeof(sentence), "%s: %s", refused[i].pointer, refused[i].detail);
        assert_string_equal(err.msg, sentence);
        assert_null(body.words.items);
        assert_null(body.numbers.items);
        assert_null(body.list.items);
        assert_null(body.dict.items);
    }
}

static void
test_not_an_object(void **state)
{
    static const char *const texts[] = {"[]", "7", "'x'", "null"};
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(texts); i++) {
        json_auto_t *json = parse(texts[i]);
        struct error err = {0};
        struct body body = {0};

        assert_int_equal(schema_decode(fields, json, &body, &err), -EINVAL);
        assert_string_equal(err.violations[0].pointer, "");
        assert_non_null(strstr(err.violations[0].detail, "must be an object, not "));
    }
}

static void
test_everything_decoded(void **state)
{
    json_auto_t *json =
        parse("{'text': 'abcde', 'exact': 'ab', 'ident': '0a._-', 'colour': 'blue', 'flag': true,"
              " 'whole': 500, 'below_zero': -5, 'at_least': 9007199254740993, 'ratio': 8,"
              " 'words': ['x', 'y'], 'numbers': [65535, 1, 80], 'map': {'k': 'v'}, 'object': "
              "{'count': -7, 'tags': ['t']},"
              " 'list': [{'count': 1}, {'count': 2, 'tags': ['u', 'v']}],"
              " 'dict': {'z': {'count': 3}, 'a': {'count': 4}, 'm': {'count': 5}}, 'needed': ''}");
    struct error err = {0};
    struct body body = {0};
    const struct inner *items;

    (void)state;
    assert_int_equal(schema_decode(fields, json, &body, &err), 0);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(body.text, "abcde");
    assert_string_equal(body.ident, "0a._-");
    assert_int_equal(body.colour, 3);
    assert_true(body.flag);
    assert_int_equal(body.whole, 500);
    assert_int_equal(body.below_zero, -5);
    assert_int_equal(body.at_least, 9007199254740993);
    assert_true(body.ratio > 7.9 && body.ratio < 8.1);
    assert_int_equal(body.words.count, 2);
    assert_string_equal(body.words.items[1], "y");
    assert_int_equal(body.numbers.count, 3);
    assert_int_equal(body.numbers.items[0], 65535);
    assert_int_equal(body.numbers.items[2], 80);
    assert_string_equal(json_string_value(json_object_get(body.map, "k")), "v");
    assert_int_equal(body.object.count, -7);
    items = body.list.items;
    assert_int_equal(body.list.count, 2);
    assert_string_equal(items[1].tags.items[1], "v");
    items = body.dict.items;
    assert_int_equal(body.dict.count, 3);
    assert_string_equal(items[0].name, "z");
    assert_string_equal(items[1].name, "a");
    assert_string_equal(items[2].name, "m");
    assert_int_equal(items[2].count, 5);
    schema_release(fields, &body);
    assert_null(body.numbers.items);
    assert_int_equal(body.numbers.count, 0);
    assert_null(body.dict.items);
    assert_null(body.object.tags.items);
}

static void
test_absent_fields_stay(void **state)
{
    json_auto_t *json = parse("{'needed': 'x'}");
    struct body body = {.text = "default", .whole = 7, .flag = true, .colour = 2};
    struct error err = {0};

    (void)state;
    assert_int_equal(schema_decode(fields, json, &body, &err), 0);
    assert_string_equal(body.text, "default");
    assert_int_equal(body.whole, 7);
    assert_true(body.flag);
    assert_int_equal(body.colour, 2);
}

static void
test_all_violations_in_order(void **state)
{
    json_auto_t *json = parse("{'flag': 0, 'whole': 0, 'object': {'x': 1}, 'text': 1}");
    static const char *const pointers[] = {"/flag",         "/whole", "/object/x",
                                           "/object/count", "/text",  "/needed"};
    struct error err = {0};
    struct body body = {0};
    size_t i;

    (void)state;
    assert_int_equal(schema_decode(fields, json, &body, &err), -EINVAL);
    assert_int_equal(err.violation_count, ARRAY_LEN(pointers));
    for (i = 0; i < ARRAY_LEN(pointers); i++)
        assert_string_equal(err.violations[i].pointer, pointers[i]);
    assert_string_equal(err.msg, "/flag: must be true or false, not an integer");
}

static void
test_many_violations(void **state)
{
    json_auto_t *json = json_object();
    struct error err = {0};
    struct body body = {0};
    char key[16];
    int i;

    (void)state;
    for (i = 0; i < 10000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        json_object_set_new(json, key, json_null());
    }
    assert_int_equal(schema_decode(fields, json, &body, &err), -EINVAL);
    assert_int_equal(err.violation_count, ERROR_VIOLATIONS_MAX);
    assert_string_equal(err.violations[7].pointer, "/k7");
    assert_int_equal(schema_decode(fields, json, &body, NULL), -EINVAL);
}

static void
test_patch(void **state)
{
    json_auto_t *good = parse("{'whole': null, 'object': {'count': null}, 'text': 'abc'}");
    json_auto_t *bad = parse("{'whloe': null, 'object': {'x': null}, 'words': [null]}");
    struct error err = {0};
    struct body body = {.whole = 3};

    (void)state;
    assert_int_equal(schema_decode_patch(fields, good, &body, &err), 0);
    assert_int_equal(body.whole, 3);
    assert_string_equal(body.text, "abc");
    assert_int_equal(schema_decode_patch(fields, bad, &body, &err), -EINVAL);
    assert_int_equal(err.violation_count, 3);
    assert_string_equal(err.violations[0].detail, "unknown field; did you mean 'whole'?");
    assert_string_equal(err.violations[1].pointer, "/object/x");
    assert_string_equal(err.violations[2].detail, "must be a string, not null");
}

static void
test_pointer_is_cut_between_characters(void **state)
{
    static const struct {
        const char *key;
        size_t size;
        const char *text;
    } cases[] = {
        {"abc", 16, "/abc"}, {"abc", 5, "/abc"}, {"abc", 4, "/ab"}, {"aöb", 5, "/aö"},
        {"aöb", 4, "/a"},    {"a/b", 5, "/a~1"}, {"a/b", 4, "/a"},  {"~", 4, "/~0"},
        {"abc", 1, ""},      {"", 2, "/"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        struct pointer at = {.key = cases[i].key};
        char text[16];

        pointer_text(&at, text, cases[i].size);
        assert_string_equal(text, cases[i].text);
    }
}

static void
test_pointer_stays_cut(void **state)
{
    struct pointer first = {.key = "abcdef"}, second = {.up = &first, .index = 7};
    char text[6];

    (void)state;
    pointer_text(&second, text, sizeof(text));
    assert_string_equal(text, "/abcd");
}

static void
test_enum(void **state)
{
    (void)state;
    assert_int_equal(schema_enum(colours, "red"), 1);
    assert_int_equal(schema_enum(colours, "blue"), 3);
    assert_int_equal(schema_enum(colours, "RED"), 0);
    assert_int_equal(schema_enum(colours, ""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_everything_decoded),
        cmocka_unit_test(test_absent_fields_stay),
        cmocka_unit_test(test_all_violations_in_order),
        cmocka_unit_test(test_many_violations),
        cmocka_unit_test(test_patch),
        cmocka_unit_test(test_pointer_is_cut_between_characters),
        cmocka_unit_test(test_pointer_stays_cut),
        cmocka_unit_test(test_enum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
