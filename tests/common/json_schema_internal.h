/* What the parts of the validator share: see json_schema.h. */
#ifndef TESTS_COMMON_JSON_SCHEMA_INTERNAL_H
#define TESTS_COMMON_JSON_SCHEMA_INTERNAL_H

#include <jansson.h>

#include "backend/pointer.h"
#include "tests/common/json_schema.h"

/* A value on its way through one schema. Lifetime: scope. */
struct site {
    struct json_schema *check;
    const json_t *schema;
    const json_t *value;
    const struct pointer *at;
};

/* Hold the value against one keyword, whose value is @word. */
typedef int (*keyword_fn)(const struct site *s, const json_t *word);

/* What a keyword's value is made of, beside plain values. */
enum parts { PLAIN, SCHEMA, SCHEMA_LIST, SCHEMA_MEMBERS };

struct keyword {
    const char *name;
    keyword_fn check; /* NULL: it says nothing about the value */
    enum parts parts;
};

/* The keywords that say something of a value by themselves, without a schema within; the last one
 * has no name. */
extern const struct keyword json_schema_assertions[];

/* Note in the check what is wrong at @s; returns @r. */
int json_schema_complain(const struct site *s, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
