/* A bridge of this machine, by the name of its interface. */
#ifndef BACKEND_BROKER_BRIDGE_H
#define BACKEND_BROKER_BRIDGE_H

#include <stdbool.h>

#include "backend/error.h"

/* Whether there is one. */
bool bridge_exists(const char *name);

/* Whether this machine forwards packets between its interfaces. */
bool bridge_forwards(void);

/* Take it up or down. Fine where there is none. Errors: ERR_INTERNAL. */
int bridge_set_up(const char *name, bool up, struct error *err);

/*
 * Isolate each of its ports: the kernel then passes nothing from one to another, but only to the
 * bridge itself. A port stays so for its life. Fine where there is no bridge. Errors: ERR_INTERNAL.
 */
int bridge_isolate(const char *name, struct error *err);

#endif
