/*
 * One table of fields says what a JSON object may hold: it drives the decoding of request bodies,
 * of PUT config's result and of the YAML files (read into JSON first), and the schemas of the API's
 * description. Unknown keys are refused, every violation is reported with its JSON pointer.
 *
 *     struct body { const char *agent_id; int64_t limit; };
 *     static const struct field fields[] = {
 *         {.name = "agent_id", .type = FIELD_IDENT, .offset = offsetof(struct body, agent_id),
 *          .min = 1, .max = 64},
 *         {.name = "limit", .type = FIELD_INT, .offset = offsetof(struct body, limit),
 *          .min = 1, .max = 500},
 *         {0},
 *     };
 *
 * Decoding writes only the fields that are present, so the caller fills in defaults first; in a
 * zeroed struct an absent field is NULL, 0, false or an enum's 0 (which is never a valid choice).
 */
#ifndef BACKEND_SCHEMA_H
#define BACKEND_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/error.h"

enum field_type {
    FIELD_STRING = 1, /* const char *, borrowed from the JSON; min..max bytes */
    FIELD_IDENT,      /* const char *; as STRING, and matches [A-Za-z0-9][A-Za-z0-9._-]* */
    FIELD_ENUM,       /* int; 1 + index into values, matched exactly */
    FIELD_BOOL,       /* bool */
    FIELD_INT,        /* int64_t; min..max */
    FIELD_NUMBER,     /* double; min..max */
    FIELD_STRINGS, /* struct strings; min..max of them, each of 1..4096 bytes if not said below */
    FIELD_INTS,    /* struct ints; min..max of them, each from 1 to item_max */
    FIELD_MAP,     /* json_t *, borrowed: an object whose values are strings; min..max of them */
    FIELD_OBJECT,  /* a struct described by fields, embedded at offset */
    FIELD_LIST,    /* struct list of structs of `size` described by fields; min..max of them */
    FIELD_DICT     /* struct list as LIST, written as an object: the key of each member goes to
                      the `const char *` at offset 0 of its struct; the order is the file's */
};

/* Strings borrowed from the JSON, the array owned by the decoded struct. */
struct strings {
    const char **items;
    size_t count;
};

/* Numbers in one owned array. */
struct ints {
    int64_t *items;
    size_t count;
};

/* `count` structs of a field's `size` in one owned array. */
struct list {
    void *items;
    size_t count;
};

/* One key. A table of them ends with a zeroed one. */
struct field {
    const char *name;
    enum field_type type;
    size_t offset;              /* of the value in the decoded struct */
    bool required;              /* absence is a violation */
    bool above_min;             /* FIELD_NUMBER: the value must be greater than min, not equal */
    double min, max;            /* bytes, count or value, by type; 0 and 0: not limited; a max of 0
                                   over a min of 0 or more: no upper limit */
    bool item_empty;            /* FIELD_STRINGS: one of them may be empty */
    double item_max;            /* FIELD_STRINGS: bytes of one of them; 0: 4096. FIELD_INTS: the
                                   largest; 0: no limit */
    const char *const *values;  /* FIELD_ENUM: the choices, NULL-terminated */
    const struct field *fields; /* FIELD_OBJECT, FIELD_LIST, FIELD_DICT: the members */
    size_t size;                /* FIELD_LIST, FIELD_DICT: bytes of one struct */
    const char *doc;            /* one sentence for the API's description */
};

/*
 * Decode the object @json into the struct @out by @fields. Strings of @out stay borrowed from
 * @json, which must live as long; arrays are owned by @out until schema_release(), and have no
 * defaults: @out comes with none. A JSON null counts as a wrong type. Strings with a NUL (which
 * jansson refuses unless asked) never get here.
 * Returns 0, or -EINVAL with every violation (up to ERROR_VIOLATIONS_MAX) in @err, in the order of
 * @json, an object's missing members after its wrong ones; unknown keys name the nearest known one
 * where the typo is small. -EIO (ERR_INTERNAL) without memory. On failure @out holds nothing to
 * release.
 */
int schema_decode(const struct field *fields, json_t *json, void *out, struct error *err);

/*
 * As schema_decode(), for a merge patch (RFC 7396): a null fits every field and is not decoded, and
 * nothing is required.
 */
int schema_decode_patch(const struct field *fields, json_t *json, void *out, struct error *err);

/* Free the arrays that decoding put into @out (by the same @fields), and zero them. */
void schema_release(const struct field *fields, void *out);

/* The position of @value among the NULL-terminated @values, plus 1; 0 if it is none of them. */
int schema_enum(const char *const *values, const char *value);

#endif
