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
#include <stdint.h>

#include "backend/guest/inside/inside.h"

enum { SUPERVISORS_MAX = 512 };

/* Lifetime: process. Shared by PID 1 and all supervisors; each of them has a slot. */
struct slot_table {
    _Atomic uint64_t user; /* whom commands run as: gid << 32 | uid */
    atomic_bool idle[SUPERVISORS_MAX];
    _Atomic uint64_t running[SUPERVISORS_MAX]; /* the id of the execution; 0: none, or unnamed */
    _Atomic uint64_t killed[SUPERVISORS_MAX];  /* the id of one that is to end, or was */
};

/* An empty table; NULL on failure. */
struct slot_table *keeper_slots_new(void);

/* Have commands run as @uid and @gid from now on, also those of supervisors that wait already. */
void keeper_user_set(struct guest *g, uid_t uid, gid_t gid);

/* Whom commands run as. */
void keeper_user(const struct guest *g, uid_t *ret_uid, gid_t *ret_gid);

/* How many supervisors wait for a connection. */
unsigned keeper_idle_count(const struct slot_table *t);

/* Have the supervisor of the execution @id end it. Returns 0, or ENOENT if no such one runs. */
int keeper_kill(const struct guest *g, uint64_t id);

/* Keep supervisors until SIGTERM. */
_Noreturn void keeper_run(struct guest *g);

#endif
