/*
 * The world around an attack: what has to be as before when the attacker is done. Canaries lie on
 * the host, outside and inside the state directory, and in another tenant's workspace.
 */
#ifndef TESTS_HOSTILE_WORLD_H
#define TESTS_HOSTILE_WORLD_H

/* In every canary; no answer of the API may hold it. */
#define CANARY_TEXT "kept-from-everybody"

/* The tenant and the agent whose workspace holds a canary, and who goes on working. */
#define NEIGHBOUR BOB
#define NEIGHBOUR_AGENT "neighbour"

/* Put the canaries out and watch them: a cmocka setup. Returns 0. */
int world_note(void **state);

/*
 * Fail unless nobody opened or changed a canary; containers, mounts, guests' sockets and processes
 * are those that GET containers tells of; no execution is left running; the neighbour and the API
 * go on: a cmocka teardown. Returns 0.
 */
int world_check(void **state);

/*
 * Remove all containers, and fail unless nothing is left of them, every request to execute has its
 * one audit entry, and audit and database are whole: a cmocka group teardown. Returns 0.
 */
int world_done(void **state);

#endif
