/* Decoding of JSON objects by tables of fields: see schema.h. */
#include "backend/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/pointer.h"
#include "backend/typo.h"

enum {
    ITEM_BYTES_MAX = 4096, /* of one string of a FIELD_STRINGS that says nothing else */
    SHOWN_MAX = 24         /* bytes of a value that a sentence shows */
};

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* One decoding. It goes on after a violation, to report several at once. Lifetime: scope. */
struct decoder {
    struct error *err;
    bool patch; /* see schema_decode_patch() */
    size_t violations;
    int r; /* 0, or the first failure */
};

typedef void (*decode_fn)(struct decoder *d, const struct field *f, const struct pointer *at,
                          json_t *json, void *out);

static void decode_members(struct decoder *d, const struct field *fields, const struct pointer *at,
                           json_t *json, void *out);

static void __attribute__((format(printf, 3, 4)))
violation(struct decoder *d, const struct pointer *at, const char *fmt, ...)
{
    char pointer[POINTER_SIZE];
    char detail[sizeof(d->err->violations[0].detail)];
    va_list ap;
    int r;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    pointer_text(at, pointer, sizeof(pointer));
    r = error_violation(d->err, pointer, "%s", detail);
    d->violations++;
    d->r = d->r ? d->r : r;
}

/* Whether more violations would not be reported: what a stranger sends is not read on for nothing.
 */
static bool
had_enough(const struct decoder *d)
{
    return d->violations >= ERROR_VIOLATIONS_MAX;
}

static const char *
kind_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* Whether @json is a text that a sentence can show. */
static bool
is_showable(const json_t *json)
{
    size_t len = json_string_length(json);
    const char *text = json_string_value(json);

    return len > 0 && len <= SHOWN_MAX && strspn(text, LETTERS_AND_DIGITS " ._:/%+-") == len;
}

static void
wrong_type(struct decoder *d, const struct pointer *at, const char *expected, const json_t *json)
{
    if (is_showable(json))
        violation(d, at, "must be %s, not the text '%s'", expected, json_string_value(json));
    else
        violation(d, at, "must be %s, not %s", expected, kind_of(json));
}

static bool
has_min(const struct field *f)
{
    return f->min != 0 || f->max != 0 || f->above_min;
}

static bool
has_max(const struct field *f)
{
    return f->max != 0 || f->min < 0;
}

static bool
check_value(struct decoder *d, const struct field *f, const struct pointer *at, double value)
{
    bool low = has_min(f) && (f->above_min ? value <= f->min : value < f->min);
    bool high = has_max(f) && value > f->max;

    if (!low && !high)
        return true;
    if (low && f->above_min)
        violation(d, at, "must be greater than %.15g", f->min);
    else if (high && f->above_min)
        violation(d, at, "must be at most %.15g", f->max);
    else if (has_max(f))
        violation(d, at, "must be between %.15g and %.15g", f->min, f->max);
    else
        violation(d, at, "must be at least %.15g", f->min);
    return false;
}

/* The limits of a length or a count: @verb and @unit are "be" and "bytes", or "hold" and "entries".
 */
static bool
check_size(struct decoder *d, const struct field *f, const struct pointer *at, size_t size,
           const char *verb, const char *unit)
{
    bool low = (double)size < f->min;
    bool high = has_max(f) && (double)size > f->max;

    if (!low && !high)
        return true;
    if (low && f->min <= 1)
        violation(d, at, "must not be empty");
    else if (high && f->min <= 1)
        violation(d, at, "must %s at most %.0f %s", verb, f->max, unit);
    else if (has_max(f))
        violation(d, at, "must %s between %.0f and %.0f %s", verb, f->min, f->max, unit);
    else
        violation(d, at, "must %s at least %.0f %s", verb, f->min, unit);
    return false;
}

static void
decode_string(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
              void *out)
{
    if (!json_is_string(json)) {
        wrong_type(d, at, "a string", json);
        return;
    }
    if (check_size(d, f, at, json_string_length(json), "be", "bytes"))
        *(const char **)out = json_string_value(json);
}

static bool
is_ident(const char *s)
{
    return strspn(s, LETTERS_AND_DIGITS) > 0 && s[strspn(s, LETTERS_AND_DIGITS "._-")] == '\0';
}

static void
decode_ident(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
             void *out)
{
    size_t violations = d->violations;

    decode_string(d, f, at, json, out);
    if (d->violations == violations && !is_ident(json_string_value(json)))
        violation(
            d, at,
            "must start with a letter or digit and hold only letters, digits, '.', '_' and '-'");
}

static void
decode_enum(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
            void *out)
{
    struct typo typo = {.word = json_is_string(json) ? json_string_value(json) : ""};
    char choices[96];
    size_t len = 0, i;
    int value = json_is_string(json) ? schema_enum(f->values, json_string_value(json)) : 0;

    if (value) {
        *(int *)out = value;
        return;
    }
    choices[0] = '\0';
    for (i = 0; f->values[i] && len < sizeof(choices); i++) {
        len += (size_t)snprintf(choices + len, sizeof(choices) - len, "%s%s", i ? ", " : "",
                                f->values[i]);
        typo_offer(&typo, f->values[i]);
    }
    if (typo.nearest)
        violation(d, at, "must be one of %s; did you mean '%s'?", choices, typo.nearest);
    else
        violation(d, at, "must be one of %s", choices);
}

static void
decode_bool(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
            void *out)
{
    (void)f;
    if (json_is_boolean(json))
        *(bool *)out = json_is_true(json);
    else
        wrong_type(d, at, "true or false", json);
}

static void
decode_int(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
           void *out)
{
    if (!json_is_integer(json))
        wrong_type(d, at, "an integer", json);
    else if (check_value(d, f, at, (double)json_integer_value(json)))
        *(int64_t *)out = json_integer_value(json);
}

static void
decode_number(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
              void *out)
{
    if (!json_is_number(json))
        wrong_type(d, at, "a number", json);
    else if (check_value(d, f, at, json_number_value(json)))
        *(double *)out = json_number_value(json);
}

/* An array of @count zeroed elements. NULL for none, and without memory, which is noted in @d. */
static void *
new_array(struct decoder *d, size_t count, size_t size)
{
    void *items = count > 0 ? calloc(count, size) : NULL;
    int r;

    if (count > 0 && !items) {
        r = error_errno(d->err, ENOMEM, "schema");
        d->r = d->r ? d->r : r;
    }
    return items;
}

static void
decode_strings(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
               void *out)
{
    const struct field item_field = {
        .min = f->item_empty ? 0 : 1,
        .max = f->item_max > 0 ? f->item_max : ITEM_BYTES_MAX,
    };
    struct strings *list = out;
    json_t *item;
    size_t i;

    if (!json_is_array(json)) {
        wrong_type(d, at, "a list of strings", json);
        return;
    }
    if (!check_size(d, f, at, json_array_size(json), "hold", "entries"))
        return;
    list->items = new_array(d, json_array_size(json), sizeof(*list->items));
    list->count = list->items ? json_array_size(json) : 0;
    for (i = 0; i < list->count && !had_enough(d); i++) {
        struct pointer here = {.up = at, .index = i};

        item = json_array_get(json, i);
        decode_string(d, &item_field, &here, item, &list->items[i]);
    }
}

static void
decode_ints(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
            void *out)
{
    const struct field item_field = {.min = 1, .max = f->item_max};
    struct ints *list = out;
    size_t i;

    if (!json_is_array(json)) {
        wrong_type(d, at, "a list of integers", json);
        return;
    }
    if (!check_size(d, f, at, json_array_size(json), "hold", "entries"))
        return;
    list->items = new_array(d, json_array_size(json), sizeof(*list->items));
    list->count = list->items ? json_array_size(json) : 0;
    for (i = 0; i < list->count && !had_enough(d); i++) {
        struct pointer here = {.up = at, .index = i};

        decode_int(d, &item_field, &here, json_array_get(json, i), &list->items[i]);
    }
}

static void
decode_map(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
           void *out)
{
    const char *key;
    json_t *value;

    if (!json_is_object(json)) {
        wrong_type(d, at, "an object of strings", json);
        return;
    }
    if (!check_size(d, f, at, json_object_size(json), "hold", "entries"))
        return;
    json_object_foreach(json, key, value)
    {
        struct pointer here = {.up = at, .key = key};

        if (!json_is_string(value))
            wrong_type(d, &here, "a string", value);
        if (had_enough(d))
            return;
    }
    *(json_t **)out = json;
}

static void
decode_object(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
              void *out)
{
    decode_members(d, f->fields, at, json, out);
}

static void
decode_list(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
            void *out)
{
    struct list *list = out;
    size_t i;

    if (!json_is_array(json)) {
        wrong_type(d, at, "a list", json);
        return;
    }
    if (!check_size(d, f, at, json_array_size(json), "hold", "entries"))
        return;
    list->items = new_array(d, json_array_size(json), f->size);
    list->count = list->items ? json_array_size(json) : 0;
    for (i = 0; i < list->count && !had_enough(d); i++) {
        struct pointer here = {.up = at, .index = i};

        decode_members(d, f->fields, &here, json_array_get(json, i),
                       (char *)list->items + i * f->size);
    }
}

static void
decode_dict(struct decoder *d, const struct field *f, const struct pointer *at, json_t *json,
            void *out)
{
    struct list *list = out;
    const char *key;
    json_t *value;
    char *item;

    if (!json_is_object(json)) {
        wrong_type(d, at, "an object", json);
        return;
    }
    if (!check_size(d, f, at, json_object_size(json), "hold", "entries"))
        return;
    item = new_array(d, json_object_size(json), f->size);
    list->items = item;
    list->count = item ? json_object_size(json) : 0;
    json_object_foreach(json, key, value)
    {
        struct pointer here = {.up = at, .key = key};

        if (!item || had_enough(d))
            return;
        *(const char **)(void *)item = key;
        decode_members(d, f->fields, &here, value, item);
        item += f->size;
    }
}

static const decode_fn decoders[] = {
    [FIELD_STRING] = decode_string,   [FIELD_IDENT] = decode_ident, [FIELD_ENUM] = decode_enum,
    [FIELD_BOOL] = decode_bool,       [FIELD_INT] = decode_int,     [FIELD_NUMBER] = decode_number,
    [FIELD_STRINGS] = decode_strings, [FIELD_INTS] = decode_ints,   [FIELD_MAP] = decode_map,
    [FIELD_OBJECT] = decode_object,   [FIELD_LIST] = decode_list,   [FIELD_DICT] = decode_dict,
};

static const struct field *
find_field(const struct field *fields, const char *name)
{
    const struct field *f;

    for (f = fields; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static void
unknown_field(struct decoder *d, const struct field *fields, const struct pointer *at)
{
    struct typo typo = {.word = at->key};
    const struct field *f;

    for (f = fields; f->name; f++)
        typo_offer(&typo, f->name);
    if (typo.nearest)
        violation(d, at, "unknown field; did you mean '%s'?", typo.nearest);
    else
        violation(d, at, "unknown field");
}

static void
require_fields(struct decoder *d, const struct field *fields, const struct pointer *at,
               json_t *json)
{
    const struct field *f;

    for (f = fields; f->name; f++) {
        struct pointer here = {.up = at, .key = f->name};

        if (f->required && !json_object_get(json, f->name))
            violation(d, &here, "is required");
    }
}

static void
decode_members(struct decoder *d, const struct field *fields, const struct pointer *at,
               json_t *json, void *out)
{
    const struct field *f;
    const char *key;
    json_t *value;

    if (!json_is_object(json)) {
        wrong_type(d, at, "an object", json);
        return;
    }
    json_object_foreach(json, key, value)
    {
        struct pointer here = {.up = at, .key = key};

        if (had_enough(d))
            return;
        f = find_field(fields, key);
        if (!f)
            unknown_field(d, fields, &here);
        else if (!d->patch || !json_is_null(value))
            decoders[f->type](d, f, &here, value, (char *)out + f->offset);
    }
    if (!d->patch)
        require_fields(d, fields, at, json);
}

static int
decode(struct decoder *d, const struct field *fields, json_t *json, void *out)
{
    decode_members(d, fields, NULL, json, out);
    if (d->r < 0)
        schema_release(fields, out);
    return d->r;
}

int
schema_decode(const struct field *fields, json_t *json, void *out, struct error *err)
{
    struct decoder d = {.err = err};

    return decode(&d, fields, json, out);
}

int
schema_decode_patch(const struct field *fields, json_t *json, void *out, struct error *err)
{
    struct decoder d = {.err = err, .patch = true};

    return decode(&d, fields, json, out);
}

static void
release_list(const struct field *f, struct list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        schema_release(f->fields, (char *)list->items + i * f->size);
    free(list->items);
    *list = (struct list){0};
}

void
schema_release(const struct field *fields, void *out)
{
    const struct field *f;
    struct strings *strings;
    struct ints *ints;

    for (f = fields; f->name; f++) {
        void *value = (char *)out + f->offset;

        if (f->type == FIELD_STRINGS) {
            strings = value;
            free(strings->items);
            *strings = (struct strings){0};
        } else if (f->type == FIELD_INTS) {
            ints = value;
            free(ints->items);
            *ints = (struct ints){0};
        } else if (f->type == FIELD_OBJECT) {
            schema_release(f->fields, value);
        } else if (f->type == FIELD_LIST || f->type == FIELD_DICT) {
            release_list(f, value);
        }
    }
}

int
schema_enum(const char *const *values, const char *value)
{
    int i;

    for (i = 0; values[i]; i++)
        if (!strcmp(values[i], value))
            return i + 1;
    return 0;
}
