/*
 * JSON Schema (draft 2020-12) as far as our OpenAPI document uses it, to hold answers and requests
 * against what the document says of them. A keyword that this does not know is never passed over:
 * see json_schema_check().
 */
#ifndef TESTS_COMMON_JSON_SCHEMA_H
#define TESTS_COMMON_JSON_SCHEMA_H

#include <stdbool.h>

#include <jansson.h>

/* Lifetime: that of a check. */
struct json_schema {
    const json_t *document; /* where "$ref": "#/…" leads; NULL: nowhere */
    bool closed;   /* hold it against a value if it has members that the `properties` beside them do
                      not name: what an answer holds is documented */
    char why[512]; /* after a failure: where, and what is wrong */
};

/*
 * Hold @value against @schema. Returns 0; -EINVAL, with c->why, if it does not fit; -ENOTSUP, with
 * c->why, if the schema has a keyword that is not known here, a $ref to nowhere or a pattern that
 * is none, whatever the value is.
 */
int json_schema_check(struct json_schema *c, const json_t *schema, const json_t *value);

/*
 * Whether @schema and all schemas within it have nothing that makes a check answer -ENOTSUP; what
 * a $ref leads to is not looked at. Returns 0, or -ENOTSUP with c->why.
 */
int json_schema_understood(struct json_schema *c, const json_t *schema);

/* What "#/a/b" leads to in @document (RFC 6901, without escapes of a URI); NULL: nothing. */
json_t *json_schema_resolve(const json_t *document, const char *reference);

#endif
