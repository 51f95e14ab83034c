/* The engine's runtimes, and whether one that a tier names is among them. */
#ifndef BACKEND_RUNTIMES_H
#define BACKEND_RUNTIMES_H

#include <stdbool.h>

#include "backend/engine.h"

/*
 * Whether the engine, which has @runtimes ("" beyond the last), is known to lack @name. It is not
 * known of a shim's type ("io.containerd.runsc.v1") and of a path, which newer engines take without
 * listing them; nor where the list may have been cut.
 */
bool runtime_missing(const char (*runtimes)[ENGINE_NAME_SIZE], const char *name);

#endif
