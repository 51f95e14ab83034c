/*
 * Where in a text file the values of a JSON tree were read, so that what is wrong with a value can
 * be said as "file:line:column: /pointer: what was expected".
 */
#ifndef BACKEND_CONFIG_PLACES_H
#define BACKEND_CONFIG_PLACES_H

#include <stddef.h>

#include <jansson.h>

#include "backend/error.h"
#include "backend/pointer.h"

struct place;

/* Lifetime: scope. Initialise with {.name = …}. */
struct places {
    const char *name;    /* borrowed: what messages call the file */
    struct place *items; /* owned, in the order of the file */
    size_t count;
    size_t size; /* entries allocated */
};

/* Note that what @at names is in this line and column (from 1). Returns 0 or -ENOMEM. */
int places_add(struct places *p, const struct pointer *at, size_t line, size_t column);

/* Free the notes. */
void places_done(struct places *p);

/*
 * Line and column of what the JSON pointer @pointer names; for what is not in the file, of the
 * nearest that is around it.
 */
void places_find(const struct places *p, const char *pointer, size_t *ret_line, size_t *ret_column);

/* JSON pointers to the numbers of their lines: a new object; NULL without memory. */
json_t *places_lines(const struct places *p);

/* Add a violation at a line and column that the caller knows. Returns -EINVAL. */
int places_report(const struct places *p, size_t line, size_t column, const char *pointer,
                  const char *detail, struct error *err);

/* Add a violation at @at. With @p NULL it is a plain error_violation(). Returns -EINVAL. */
int places_violation(const struct places *p, const struct pointer *at, struct error *err,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Add the violations of @found to @err, with their place in the file if @p is not NULL. A failure
 * without violations is passed on as it is. Returns the negative errno.
 */
int places_locate(const struct places *p, const struct error *found, struct error *err);

#endif
