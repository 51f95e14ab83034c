/* A look at the engine and the nameservers without the service: for `sandboxd check`. */
#ifndef BACKEND_CHECKUP_H
#define BACKEND_CHECKUP_H

#include <jansson.h>

#include "backend/engine.h"

/*
 * What the engine at @docker_host ("unix:///path" or "tcp://host:port") says of itself (10 s).
 * Errors: ERR_DOCKER_DOWN, ERR_VALIDATION for a host of another kind, ERR_INTERNAL.
 */
int checkup_engine(const char *docker_host, struct engine_info *ret, struct error *err);

/*
 * Append a sentence to @list if none of the nameservers that the egress proxy would ask answers
 * (3 s). Whether it has any is warnings.h's to say. Returns 0, or -1 where memory is short.
 */
int checkup_nameservers(const struct settings *s, json_t *list);

#endif
