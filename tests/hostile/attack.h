/* What every attack does and checks, over tests/api's client and steps. */
#ifndef TESTS_HOSTILE_ATTACK_H
#define TESTS_HOSTILE_ATTACK_H

#include "tests/api/client.h"

/*
 * Run the attacker @program (tests/hostile/attackers/PROGRAM.c, put into the workspace of @agent of
 * @user) with @arguments, a shell's words. Returns the answer of POST execute; the caller frees it.
 */
struct reply attack(const char *user, const char *agent, const char *program,
                    const char *arguments);

/* Fail the test unless @r is a 200 whose command exited with 0 and wrote exactly @expected. */
void assert_got(const struct reply *r, const char *expected);

/* Put canaries on the host and into another tenant's workspace, and note mounts, sockets and
 * containers: a cmocka setup. Returns 0. */
int world_note(void **state);

/* Fail unless the canaries are unread and unchanged, mounts and sockets are as containers say, no
 * execution is left running, and the API answers: a cmocka teardown. Returns 0. */
int world_check(void **state);

#endif
