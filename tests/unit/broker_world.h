/*
 * A real broker in a process of its own, without an engine behind it, and what a captured worker
 * might ask of it.
 */
#ifndef TESTS_UNIT_BROKER_WORLD_H
#define TESTS_UNIT_BROKER_WORLD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/engine.h"

/* Its state directory, and its process. */
extern struct broker_world {
    char dir[64];
    pid_t pid;
} broker;

/* A group's setup and teardown. access.yaml has alice, and carla with the account 1234:1235. */
int broker_world_open(void **state);
int broker_world_close(void **state);

/* A connection to it; the caller closes. */
int broker_dial(void);

/*
 * Ask with these @length bytes. Returns the reply's code (enum error_code), or -1 where the broker
 * hung up without one.
 */
int broker_ask(uint32_t operation, const void *payload, size_t length);

/* A spec of alice's that the broker accepts, and then fails for want of an engine. */
struct engine_spec broker_good_spec(void);

#endif
