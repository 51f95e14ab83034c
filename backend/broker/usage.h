/*
 * What containers use now, read from their cgroups' files (v1 and v2), so that a list of hundreds
 * costs no question to Docker; where the files cannot be found (an engine elsewhere, another
 * runtime), Docker's own stats are asked instead.
 */
#ifndef BACKEND_BROKER_USAGE_H
#define BACKEND_BROKER_USAGE_H

#include <stddef.h>

#include "backend/docker/docker.h"
#include "backend/engine.h"
#include "backend/error.h"

/* Samples of earlier readings, by container. Lifetime: process; thread-safe. */
struct usage;

/* An empty one. @label ("key=value") is what this instance's containers carry, @id_label the key of
 * their id, @relay_label of a label that is not empty where there is a relay. */
struct usage *usage_new(const char *label, const char *id_label, const char *relay_label);

/*
 * Read what the containers @ids use. CPU percent is taken over the time since the last reading
 * where that is 0.5 to 10 s ago, else over 100 ms, which the call then waits, once for all.
 */
int usage_read(struct usage *u, struct docker *docker, const char (*ids)[CONTAINER_ID_SIZE],
               size_t count, struct engine_stats *ret, struct error *err);

#endif
