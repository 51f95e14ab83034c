/* Pages: see page.h. A cursor is the sequence number of the last item seen, in hex. */
#include "handlers/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CURSOR_DIGITS = 16 };

int
page_position(const char *cursor, int64_t *ret_before, struct error *err)
{
    size_t len = cursor ? strlen(cursor) : 0;

    *ret_before = 0;
    if (!cursor)
        return 0;
    if (len == 0 || len >= CURSOR_DIGITS || strspn(cursor, "0123456789abcdef") != len ||
        (*ret_before = strtoll(cursor, NULL, 16)) == 0)
        return error_set(err, ERR_BAD_QUERY,
                         "cursor: take it from the next_cursor of the page before");
    return 0;
}

json_t *
page_json(const char *name, json_t *items, int64_t last)
{
    char cursor[CURSOR_DIGITS + 1];

    snprintf(cursor, sizeof(cursor), "%" PRIx64, (uint64_t)last);
    return json_pack("{s:o, s:o}", name, items, "next_cursor",
                     last ? json_string(cursor) : json_null());
}
