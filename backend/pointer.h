/*
 * Where in a JSON tree a value is: a chain of steps that live on the stacks of those who walk the
 * tree, written out as an RFC 6901 pointer only when somebody wants to read it.
 */
#ifndef BACKEND_POINTER_H
#define BACKEND_POINTER_H

#include <stddef.h>

#include "backend/error.h"

enum { POINTER_SIZE = sizeof(((struct violation *)0)->pointer) };

/* One step down. The root is a NULL pointer to this. Lifetime: scope. */
struct pointer {
    const struct pointer *up; /* NULL: a step from the root */
    const char *key;          /* of an object's member; NULL: an item of a list */
    size_t index;             /* of the item */
};

/*
 * Write @at to @buf of @size bytes (>= 1). What does not fit is left out, never from within a UTF-8
 * sequence or an escape, so that the text can go into JSON again.
 */
void pointer_text(const struct pointer *at, char *buf, size_t size);

#endif
