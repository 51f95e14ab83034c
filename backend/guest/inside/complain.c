/* The guest's only log: see inside.h. */
#include "backend/guest/inside/inside.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void
complain(const char *what, int errnum)
{
    errno = errnum;
    dprintf(STDERR_FILENO, "sandbox-guest: %s: %m\n", what);
}
