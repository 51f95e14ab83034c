/*
 * Cursors: where a list goes on, as its reader is told. A position is a row's number, whose gaps
 * tell how much others do; so it is encrypted, and bound to whom it was told and for what question.
 */
#ifndef BACKEND_CURSOR_H
#define BACKEND_CURSOR_H

#include <stdint.h>

#include "backend/backend.h"

enum {
    CURSOR_KEY_SIZE = BACKEND_CURSOR_KEY_SIZE,
    CURSOR_LENGTH = 64, /* bytes of every cursor, of [A-Za-z0-9_-] */
    CURSOR_SIZE = CURSOR_LENGTH + 1
};

/* Write the cursor of @position for @question, which is text that says who asks what. */
void cursor_make(const unsigned char key[CURSOR_KEY_SIZE], const char *question, int64_t position,
                 char out[CURSOR_SIZE]);

/* Read it. Returns 0, or -EINVAL if @cursor was not made by this key for @question. */
int cursor_read(const unsigned char key[CURSOR_KEY_SIZE], const char *question, const char *cursor,
                int64_t *ret_position);

#endif
