/* Lists by pages: see list.h. */
#include "backend/list.h"

#include <string.h>

bool
list_narrow(const struct caller *caller, const char **owner)
{
    const char *only = caller_owner(caller);

    if (!only)
        return true;
    if (*owner && strcmp(only, *owner) != 0)
        return false;
    *owner = only;
    return true;
}

int64_t
list_to_read(int64_t limit)
{
    return limit + 1;
}

bool
list_goes_on(size_t count, int64_t limit)
{
    return (int64_t)count > limit;
}
