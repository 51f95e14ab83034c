/* Tables of fields as JSON Schema (draft 2020-12, as OpenAPI 3.1 has it). */
#ifndef HANDLERS_OPENAPI_FIELD_SCHEMA_H
#define HANDLERS_OPENAPI_FIELD_SCHEMA_H

#include <stdbool.h>

#include <jansson.h>

#include "backend/schema.h"

/*
 * The schema of one value. A @patch (RFC 7396) takes null everywhere and requires nothing. Lengths
 * of strings are bytes for us and characters there: what the schema refuses, we refuse. A new
 * reference; NULL out of memory.
 */
json_t *field_schema(const struct field *f, bool patch);

/* The schema of an object that holds @fields and nothing else. As field_schema(). */
json_t *fields_schema(const struct field *fields, bool patch);

#endif
