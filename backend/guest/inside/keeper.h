/*
 * PID 1 at work: always have a supervisor that waits for a connection.
 *
 * A supervisor serves one execution at a time, and many in its life: forking one costs as much as a
 * short command. It says in a shared table whether it is idle. One that takes a connection and
 * leaves nobody idle behind wakes PID 1, which forks another; one that has finished and finds
 * enough others idle exits. So a container at rest has one or two, and a busy one as many as run at
 * once.
 */
#ifndef BACKEND_GUEST_INSIDE_KEEPER_H
#define BACKEND_GUEST_INSIDE_KEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "backend/guest/inside/inside.h"

enum { SUPERVISORS_MAX = 512 };

/* Lifetime: process. Shared by PID 1 and all supervisors; each of them has a slot. */
struct idle_table {
    atomic_bool idle[SUPERVISORS_MAX];
};

/* An empty table; NULL on failure. */
struct idle_table *keeper_idle_new(void);

/* How many supervisors wait for a connection. */
unsigned keeper_idle_count(const struct idle_table *t);

/* Keep supervisors until SIGTERM. */
_Noreturn void keeper_run(const struct guest *g);

#endif
