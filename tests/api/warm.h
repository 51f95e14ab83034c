/* What the tests of the pool share: its settings, and what the engine has of it. */
#ifndef TESTS_API_WARM_H
#define TESTS_API_WARM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/*
 * Have the pool as the flow list @targets says ("{template: base, tier: Sandbox, count: 2}"), or
 * disabled (NULL); returns when every worker has it so.
 */
void warm_set(const char *targets);

/* Wait until GET pool shows @ready containers and nothing on its way. */
void warm_wait(long long ready);

/* A setup and a teardown: two containers of template base and tier Sandbox; no pool any more. */
int warm_open(void **state);
int warm_close(void **state);

/* The engine's ids of all that it has of this server, as an object of them; the caller frees. */
json_t *warm_engine_ids(void);

/* What the engine says of the server's container @id; the caller frees. */
json_t *warm_inspect(const char *id);

/* A figure of the first target in GET pool. */
long long warm_figure(const char *name);

#endif
