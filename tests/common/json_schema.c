/*
 * JSON Schema: see json_schema.h. One function for each keyword; a schema is the table's functions
 * called for its members. The words in quotes are those of "JSON Schema Validation" and "JSON
 * Schema Core", draft 2020-12.
 */
#include "tests/common/json_schema.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/pointer.h"

/* A value on its way through one schema. Lifetime: scope. */
struct site {
    struct json_schema *check;
    const json_t *schema;
    const json_t *value;
    const struct pointer *at;
};

/* Hold the value against one keyword, whose value is @word. */
typedef int (*keyword_fn)(const struct site *s, const json_t *word);

static int check_schema(const struct site *s);

/* Note in the check what is wrong at @s; returns @r. */
static int __attribute__((format(printf, 3, 4)))
complain(const struct site *s, int r, const char *fmt, ...)
{
    char at[POINTER_SIZE];
    int len;
    va_list ap;

    pointer_text(s->at, at, sizeof(at));
    len = snprintf(s->check->why, sizeof(s->check->why), "at '%s': ", at);
    va_start(ap, fmt);
    vsnprintf(s->check->why + len, sizeof(s->check->why) - (size_t)len, fmt, ap);
    va_end(ap);
    return r;
}

/* "An instance with a zero fractional part is an integer": 1.0 is one. */
static bool
has_type(const json_t *value, const char *type)
{
    double number = json_number_value(value);

    if (strcmp(type, "integer") == 0)
        return json_is_integer(value) || (json_is_real(value) && floor(number) >= number);
    return (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value));
}

static int
check_type(const struct site *s, const json_t *word)
{
    _cleanup_(freep) char *text = NULL;
    json_t *item;
    size_t i;

    if (json_is_string(word) && has_type(s->value, json_string_value(word)))
        return 0;
    json_array_foreach(word, i, item) if (has_type(s->value, json_string_value(item))) return 0;
    text = json_dumps(word, JSON_ENCODE_ANY);
    return complain(s, -EINVAL, "the type is not %s", text);
}

/* Numbers are equal by value: 1 and 1.0 are. */
static bool
is_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    return json_equal(a, b);
}

static int
check_enum(const struct site *s, const json_t *word)
{
    json_t *item;
    size_t i;

    json_array_foreach(word, i, item) if (is_equal(item, s->value)) return 0;
    return complain(s, -EINVAL, "it is none of the enum's values");
}

static int
check_const(const struct site *s, const json_t *word)
{
    return is_equal(word, s->value) ? 0 : complain(s, -EINVAL, "it is not the const");
}

static int
check_minimum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) >= limit)
        return 0;
    return complain(s, -EINVAL, "it is less than %g", limit);
}

static int
check_maximum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) <= limit)
        return 0;
    return complain(s, -EINVAL, "it is more than %g", limit);
}

static int
check_exclusive_minimum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) > limit)
        return 0;
    return complain(s, -EINVAL, "it is not more than %g", limit);
}

/* "The number of its characters": bytes of UTF-8 that do not continue one. */
static json_int_t
characters(const json_t *string)
{
    const char *text = json_string_value(string);
    json_int_t count = 0;

    for (size_t i = 0; i < json_string_length(string); i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* What the keywords of length and number count; -1 if the value is nothing that they are about. */
static json_int_t
length(const json_t *value)
{
    return json_is_string(value) ? characters(value) : -1;
}

static json_int_t
items(const json_t *value)
{
    return json_is_array(value) ? (json_int_t)json_array_size(value) : -1;
}

static json_int_t
members(const json_t *value)
{
    return json_is_object(value) ? (json_int_t)json_object_size(value) : -1;
}

static int
at_least(const struct site *s, json_int_t count, const json_t *word)
{
    if (count < 0 || count >= json_integer_value(word))
        return 0;
    return complain(s, -EINVAL, "there are %lld of it, too few", (long long)count);
}

static int
at_most(const struct site *s, json_int_t count, const json_t *word)
{
    if (count < 0 || count <= json_integer_value(word))
        return 0;
    return complain(s, -EINVAL, "there are %lld of it, too many", (long long)count);
}

static int
check_min_length(const struct site *s, const json_t *word)
{
    return at_least(s, length(s->value), word);
}

static int
check_max_length(const struct site *s, const json_t *word)
{
    return at_most(s, length(s->value), word);
}

static int
check_min_items(const struct site *s, const json_t *word)
{
    return at_least(s, items(s->value), word);
}

static int
check_max_items(const struct site *s, const json_t *word)
{
    return at_most(s, items(s->value), word);
}

static int
check_min_properties(const struct site *s, const json_t *word)
{
    return at_least(s, members(s->value), word);
}

static int
check_max_properties(const struct site *s, const json_t *word)
{
    return at_most(s, members(s->value), word);
}

/* Our patterns mean the same as POSIX extended ones as they do in JavaScript. */
static int
check_pattern(const struct site *s, const json_t *word)
{
    regmatch_t all = {0, (regoff_t)json_string_length(s->value)};
    regex_t pattern;
    int r;

    if (regcomp(&pattern, json_string_value(word), REG_EXTENDED) != 0)
        return complain(s, -ENOTSUP, "not a pattern: %s", json_string_value(word));
    r = json_is_string(s->value)
            ? regexec(&pattern, json_string_value(s->value), 1, &all, REG_STARTEND)
            : 0;
    regfree(&pattern);
    return r == 0 ? 0 : complain(s, -EINVAL, "it is not like %s", json_string_value(word));
}

static int
check_required(const struct site *s, const json_t *word)
{
    json_t *name;
    size_t i;

    json_array_foreach(
        word, i,
        name) if (json_is_object(s->value) &&
                  !json_object_get(
                      s->value, json_string_value(name))) return complain(s, -EINVAL,
                                                                          "'%s' is missing",
                                                                          json_string_value(name));
    return 0;
}

/* Hold a member or an item of the value against a schema of its own. */
static int
check_part(const struct site *s, const json_t *schema, const json_t *value, const char *key,
           size_t index)
{
    const struct pointer at = {.up = s->at, .key = key, .index = index};
    const struct site part = {.check = s->check, .schema = schema, .value = value, .at = &at};

    return check_schema(&part);
}

static int
check_items(const struct site *s, const json_t *word)
{
    json_t *item;
    size_t i;
    int r = 0;

    json_array_foreach(s->value, i, item) if (r == 0) r = check_part(s, word, item, NULL, i);
    return r;
}

/* The members that are there; the others are `required`'s matter. */
static int
check_properties(const struct site *s, const json_t *word)
{
    bool closed = s->check->closed && !json_object_get(s->schema, "additionalProperties");
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)s->value, key, value)
    {
        const json_t *schema = json_object_get(word, key);
        int r = schema ? check_part(s, schema, value, key, 0) : 0;

        if (r < 0)
            return r;
        if (!schema && closed)
            return complain(s, -EINVAL, "'%s' is not documented", key);
    }
    return 0;
}

static int
check_additional_properties(const struct site *s, const json_t *word)
{
    const json_t *named = json_object_get(s->schema, "properties");
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)(uintptr_t)s->value, key,
                        value) if (r == 0 && !json_object_get(named, key)) r =
        check_part(s, word, value, key, 0);
    return r;
}

/* The same value by another schema. */
static int
check_same(const struct site *s, const json_t *schema)
{
    struct site other = *s;

    other.schema = schema;
    return check_schema(&other);
}

static int
check_ref(const struct site *s, const json_t *word)
{
    const json_t *target = json_schema_resolve(s->check->document, json_string_value(word));

    if (!target)
        return complain(s, -ENOTSUP, "%s leads nowhere", json_string_value(word));
    return check_same(s, target);
}

/* How many of the schemas @word the value fits; -ENOTSUP. */
static int
count_fitting(const struct site *s, const json_t *word)
{
    json_t *schema;
    int count = 0;
    size_t i;

    json_array_foreach(word, i, schema)
    {
        int r = check_same(s, schema);

        if (r == -ENOTSUP)
            return r;
        count += r == 0;
    }
    return count;
}

static int
check_all_of(const struct site *s, const json_t *word)
{
    json_t *schema;
    size_t i;
    int r = 0;

    json_array_foreach(word, i, schema) if (r == 0) r = check_same(s, schema);
    return r;
}

static int
check_any_of(const struct site *s, const json_t *word)
{
    int r = count_fitting(s, word);

    return r == 0 ? complain(s, -EINVAL, "it fits none of anyOf") : r < 0 ? r : 0;
}

static int
check_one_of(const struct site *s, const json_t *word)
{
    int r = count_fitting(s, word);

    return r < 0 || r == 1 ? r < 0 ? r : 0 : complain(s, -EINVAL, "it fits %d of oneOf", r);
}

/* What a keyword's value is made of, beside plain values. */
enum parts { PLAIN, SCHEMA, SCHEMA_LIST, SCHEMA_MEMBERS };

static const struct keyword {
    const char *name;
    keyword_fn check; /* NULL: it says nothing about the value */
    enum parts parts;
} keywords[] = {
    /* clang-format off */
    {"type", check_type, PLAIN},
    {"enum", check_enum, PLAIN},
    {"const", check_const, PLAIN},
    {"minimum", check_minimum, PLAIN},
    {"maximum", check_maximum, PLAIN},
    {"exclusiveMinimum", check_exclusive_minimum, PLAIN},
    {"minLength", check_min_length, PLAIN},
    {"maxLength", check_max_length, PLAIN},
    {"pattern", check_pattern, PLAIN},
    {"items", check_items, SCHEMA},
    {"minItems", check_min_items, PLAIN},
    {"maxItems", check_max_items, PLAIN},
    {"properties", check_properties, SCHEMA_MEMBERS},
    {"additionalProperties", check_additional_properties, SCHEMA},
    {"minProperties", check_min_properties, PLAIN},
    {"maxProperties", check_max_properties, PLAIN},
    {"required", check_required, PLAIN},
    {"$ref", check_ref, PLAIN},
    {"allOf", check_all_of, SCHEMA_LIST},
    {"anyOf", check_any_of, SCHEMA_LIST},
    {"oneOf", check_one_of, SCHEMA_LIST},
    {"description", NULL, PLAIN},
    /* clang-format on */
};

static const struct keyword *
find_keyword(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

static int
check_keyword(const struct site *s, const char *name, const json_t *word)
{
    const struct keyword *keyword = find_keyword(name);

    if (!keyword)
        return complain(s, -ENOTSUP, "the keyword '%s' is not known", name);
    return keyword->check ? keyword->check(s, word) : 0;
}

/* A misfit does not end it: a keyword beside it may be unknown, which is worse. */
static int
check_schema(const struct site *s)
{
    const char *name;
    json_t *word;
    int result = 0;

    if (json_is_boolean(s->schema))
        return json_is_true(s->schema) ? 0 : complain(s, -EINVAL, "it may not be there");
    if (!json_is_object(s->schema))
        return complain(s, -ENOTSUP, "the schema is neither an object nor a boolean");
    json_object_foreach((json_t *)(uintptr_t)s->schema, name, word)
    {
        int r = check_keyword(s, name, word);

        if (r == -ENOTSUP)
            return r;
        result = result ? result : r;
    }
    return result;
}

int
json_schema_check(struct json_schema *c, const json_t *schema, const json_t *value)
{
    const struct site s = {.check = c, .schema = schema, .value = value};

    c->why[0] = '\0';
    return check_schema(&s);
}

int
json_schema_understood(struct json_schema *c, const json_t *schema)
{
    json_auto_t *value = json_null(); /* it visits no part of any schema */
    const char *name, *key;
    json_t *word, *part;
    size_t i;
    int r = json_schema_check(c, schema, value) == -ENOTSUP ? -ENOTSUP : 0;

    json_object_foreach((json_t *)(uintptr_t)schema, name, word)
    {
        const struct keyword *keyword = find_keyword(name);
        enum parts parts = keyword ? keyword->parts : PLAIN;

        if (r == 0 && parts == SCHEMA)
            r = json_schema_understood(c, word);
        if (parts == SCHEMA_LIST)
            json_array_foreach(word, i, part) r = r ? r : json_schema_understood(c, part);
        if (parts == SCHEMA_MEMBERS)
            json_object_foreach(word, key, part) r = r ? r : json_schema_understood(c, part);
    }
    return r;
}

json_t *
json_schema_resolve(const json_t *document, const char *reference)
{
    json_t *here = (json_t *)(uintptr_t)document;
    _cleanup_(freep) char *copy = NULL;
    char *rest = NULL;

    if (!reference || strncmp(reference, "#/", 2) != 0)
        return NULL;
    copy = strdup(reference + 2);
    for (char *key = strtok_r(copy, "/", &rest); key && here; key = strtok_r(NULL, "/", &rest))
        here = json_object_get(here, key);
    return here;
}
