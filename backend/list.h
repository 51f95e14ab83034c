/*
 * What lists by pages have in common. A list reads one record more than its page holds, which tells
 * whether there is a next page and is not shown.
 */
#ifndef BACKEND_LIST_H
#define BACKEND_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/caller.h"

/*
 * Narrow *@owner, whose records are asked for (NULL: everybody's), to what @caller may see. Returns
 * false where that is nothing: the records of others do not exist.
 */
bool list_narrow(const struct caller *caller, const char **owner);

/* How many records to read for a page of @limit. */
int64_t list_to_read(int64_t limit);

/* Whether the @count records that were read are more than the page. */
bool list_goes_on(size_t count, int64_t limit);

#endif
