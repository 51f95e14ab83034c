/* A look at the engine without the service: for `sandboxd check`. */
#ifndef BACKEND_CHECKUP_H
#define BACKEND_CHECKUP_H

#include "backend/engine.h"

/*
 * What the engine at @docker_host ("unix:///path" or "tcp://host:port") says of itself (10 s).
 * Errors: ERR_DOCKER_DOWN, ERR_VALIDATION for a host of another kind, ERR_INTERNAL.
 */
int checkup_engine(const char *docker_host, struct engine_info *ret, struct error *err);

#endif
