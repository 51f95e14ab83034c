/* Runtimes: see runtimes.h. */
#include "backend/runtimes.h"

#include <string.h>

#include "backend/cleanup.h"

bool
runtime_missing(const char (*runtimes)[ENGINE_NAME_SIZE], const char *name)
{
    static const char shim[] = "io.containerd.";

    if (strncmp(name, shim, strlen(shim)) == 0 || strchr(name, '/'))
        return false;
    for (size_t i = 0; i < ENGINE_RUNTIMES_MAX; i++) {
        if (!runtimes[i][0])
            return true;
        if (strcmp(runtimes[i], name) == 0)
            return false;
    }
    return false;
}
