/* Fields as JSON Schema: see field_schema.h. */
#include "handlers/openapi/field_schema.h"

#include "backend/cleanup.h"

enum { ITEM_BYTES_MAX = 4096 }; /* as backend/schema.c has it */

/* The limits of a value, a length or a count, by the names that the schema has for them. */
static void
set_limits(json_t *schema, const struct field *f, const char *min, const char *max)
{
    bool whole = f->type != FIELD_NUMBER;

    if (f->above_min)
        json_object_set_new(schema, "exclusiveMinimum", json_real(f->min));
    else if (f->min != 0 || f->max != 0)
        json_object_set_new(schema, min,
                            whole ? json_integer((json_int_t)f->min) : json_real(f->min));
    if (f->max != 0 || f->min < 0)
        json_object_set_new(schema, max,
                            whole ? json_integer((json_int_t)f->max) : json_real(f->max));
}

static json_t *
string_schema(const struct field *f)
{
    json_t *schema = json_pack("{s:s}", "type", "string");

    set_limits(schema, f, "minLength", "maxLength");
    if (f->type == FIELD_IDENT)
        json_object_set_new(schema, "pattern", json_string("^[A-Za-z0-9][A-Za-z0-9._-]*$"));
    return schema;
}

static json_t *
enum_schema(const struct field *f, bool patch)
{
    json_t *values = json_array();

    for (size_t i = 0; f->values[i]; i++)
        json_array_append_new(values, json_string(f->values[i]));
    if (patch)
        json_array_append_new(values, json_null());
    return json_pack("{s:s, s:o}", "type", "string", "enum", values);
}

static json_t *
number_schema(const struct field *f, const char *type)
{
    json_t *schema = json_pack("{s:s}", "type", type);

    set_limits(schema, f, "minimum", "maximum");
    return schema;
}

static json_t *
strings_schema(const struct field *f)
{
    json_t *schema =
        json_pack("{s:s, s:{s:s, s:i, s:I}}", "type", "array", "items", "type", "string",
                  "minLength", f->item_empty ? 0 : 1, "maxLength",
                  f->item_max > 0 ? (json_int_t)f->item_max : (json_int_t)ITEM_BYTES_MAX);

    set_limits(schema, f, "minItems", "maxItems");
    return schema;
}

static json_t *
ints_schema(const struct field *f)
{
    const struct field item = {.type = FIELD_INT, .min = 1, .max = f->item_max};
    json_t *schema =
        json_pack("{s:s, s:o}", "type", "array", "items", number_schema(&item, "integer"));

    set_limits(schema, f, "minItems", "maxItems");
    return schema;
}

/* An object with any keys, whose values are as @values (taken). */
static json_t *
map_schema(const struct field *f, json_t *values)
{
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "additionalProperties", values);

    set_limits(schema, f, "minProperties", "maxProperties");
    return schema;
}

static json_t *
list_schema(const struct field *f)
{
    json_t *schema =
        json_pack("{s:s, s:o}", "type", "array", "items", fields_schema(f->fields, false));

    set_limits(schema, f, "minItems", "maxItems");
    return schema;
}

static json_t *
typed_schema(const struct field *f, bool patch)
{
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_IDENT:
        return string_schema(f);
    case FIELD_ENUM:
        return enum_schema(f, patch);
    case FIELD_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case FIELD_INT:
        return number_schema(f, "integer");
    case FIELD_NUMBER:
        return number_schema(f, "number");
    case FIELD_STRINGS:
        return strings_schema(f);
    case FIELD_INTS:
        return ints_schema(f);
    case FIELD_MAP:
        return map_schema(f, json_pack("{s:s}", "type", "string"));
    case FIELD_OBJECT:
        return fields_schema(f->fields, patch);
    case FIELD_LIST:
        return list_schema(f);
    case FIELD_DICT:
        return map_schema(f, fields_schema(f->fields, false));
    }
    return NULL;
}

json_t *
field_schema(const struct field *f, bool patch)
{
    json_t *schema = typed_schema(f, patch);

    if (schema && patch)
        json_object_set_new(schema, "type",
                            json_pack("[O, s]", json_object_get(schema, "type"), "null"));
    if (schema && f->doc)
        json_object_set_new(schema, "description", json_string(f->doc));
    return schema;
}

json_t *
fields_schema(const struct field *fields, bool patch)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    json_t *schema = json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0,
                               "properties", properties);

    for (const struct field *f = fields; f->name; f++) {
        json_object_set_new(properties, f->name, field_schema(f, patch));
        if (f->required && !patch)
            json_array_append_new(required, json_string(f->name));
    }
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}
