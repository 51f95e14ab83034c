/* The guest's only log: see inside.h. */
#include "backend/guest/inside/inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
complain(const char *what, int errnum)
{
    dprintf(STDERR_FILENO, "sandbox-guest: %s: %s\n", what, strerror(errnum));
}
