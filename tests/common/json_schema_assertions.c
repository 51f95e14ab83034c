/*
 * The keywords of JSON Schema that say something of a value by themselves: see json_schema.h. The
 * words in quotes are those of "JSON Schema Validation", draft 2020-12.
 */
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/common/json_schema_internal.h"

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
    return json_schema_complain(s, -EINVAL, "the type is not %s", text);
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
    return json_schema_complain(s, -EINVAL, "it is none of the enum's values");
}

static int
check_const(const struct site *s, const json_t *word)
{
    return is_equal(word, s->value) ? 0 : json_schema_complain(s, -EINVAL, "it is not the const");
}

static int
check_minimum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) >= limit)
        return 0;
    return json_schema_complain(s, -EINVAL, "it is less than %g", limit);
}

static int
check_maximum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) <= limit)
        return 0;
    return json_schema_complain(s, -EINVAL, "it is more than %g", limit);
}

static int
check_exclusive_minimum(const struct site *s, const json_t *word)
{
    double limit = json_number_value(word);

    if (!json_is_number(s->value) || json_number_value(s->value) > limit)
        return 0;
    return json_schema_complain(s, -EINVAL, "it is not more than %g", limit);
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
    return json_schema_complain(s, -EINVAL, "there are %lld of it, too few", (long long)count);
}

static int
at_most(const struct site *s, json_int_t count, const json_t *word)
{
    if (count < 0 || count <= json_integer_value(word))
        return 0;
    return json_schema_complain(s, -EINVAL, "there are %lld of it, too many", (long long)count);
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
        return json_schema_complain(s, -ENOTSUP, "not a pattern: %s", json_string_value(word));
    r = json_is_string(s->value)
            ? regexec(&pattern, json_string_value(s->value), 1, &all, REG_STARTEND)
            : 0;
    regfree(&pattern);
    return r == 0 ? 0
                  : json_schema_complain(s, -EINVAL, "it is not like %s", json_string_value(word));
}

static int
check_required(const struct site *s, const json_t *word)
{
    json_t *name;
    size_t i;

    json_array_foreach(
        word, i,
        name) if (json_is_object(s->value) &&
                  !json_object_get(s->value,
                                   json_string_value(
                                       name))) return json_schema_complain(s, -EINVAL,
                                                                           "'%s' is missing",
                                                                           json_string_value(name));
    return 0;
}

const struct keyword json_schema_assertions[] = {
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
    {"minItems", check_min_items, PLAIN},
    {"maxItems", check_max_items, PLAIN},
    {"minProperties", check_min_properties, PLAIN},
    {"maxProperties", check_max_properties, PLAIN},
    {"required", check_required, PLAIN},
    {"description", NULL, PLAIN},
    {0},
    /* clang-format on */
};
