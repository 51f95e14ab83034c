/*
 * JSON Schema: see json_schema.h. One function for each keyword; a schema is the functions called
 * for its members. Here are those that apply other schemas, "applicators".
 */
#include "tests/common/json_schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/common/json_schema_internal.h"

static int check_schema(const struct site *s);

int
json_schema_complain(const struct site *s, int r, const char *fmt, ...)
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
            return json_schema_complain(s, -EINVAL, "'%s' is not documented", key);
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
        return json_schema_complain(s, -ENOTSUP, "%s leads nowhere", json_string_value(word));
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

    return r == 0 ? json_schema_complain(s, -EINVAL, "it fits none of anyOf") : r < 0 ? r : 0;
}

static int
check_one_of(const struct site *s, const json_t *word)
{
    int r = count_fitting(s, word);

    return r < 0 || r == 1 ? r < 0 ? r : 0
                           : json_schema_complain(s, -EINVAL, "it fits %d of oneOf", r);
}

static const struct keyword applicators[] = {
    /* clang-format off */
    {"items", check_items, SCHEMA},
    {"properties", check_properties, SCHEMA_MEMBERS},
    {"additionalProperties", check_additional_properties, SCHEMA},
    {"$ref", check_ref, PLAIN},
    {"allOf", check_all_of, SCHEMA_LIST},
    {"anyOf", check_any_of, SCHEMA_LIST},
    {"oneOf", check_one_of, SCHEMA_LIST},
    {0},
    /* clang-format on */
};

/* The keyword @name among @table's, or NULL. */
static const struct keyword *
look_up(const struct keyword *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static const struct keyword *
find_keyword(const char *name)
{
    const struct keyword *keyword = look_up(applicators, name);

    return keyword ? keyword : look_up(json_schema_assertions, name);
}

static int
check_keyword(const struct site *s, const char *name, const json_t *word)
{
    const struct keyword *keyword = find_keyword(name);

    if (!keyword)
        return json_schema_complain(s, -ENOTSUP, "the keyword '%s' is not known", name);
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
        return json_is_true(s->schema) ? 0
                                       : json_schema_complain(s, -EINVAL, "it may not be there");
    if (!json_is_object(s->schema))
        return json_schema_complain(s, -ENOTSUP, "the schema is neither an object nor a boolean");
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
