/* What every attack does and checks, over tests/api's client and steps. */
#ifndef TESTS_HOSTILE_ATTACK_H
#define TESTS_HOSTILE_ATTACK_H

#include <stddef.h>

#include "tests/api/client.h"
#include "tests/hostile/world.h"

/*
 * Run the attacker @program (tests/hostile/attackers/PROGRAM.c, put into the workspace of @agent of
 * @user) with @arguments, a shell's words. Returns the answer of POST execute; the caller frees it.
 */
struct reply attack(const char *user, const char *agent, const char *program,
                    const char *arguments);

/* Run the sh text @command as @agent of @user, in the session where attack() does. The caller frees
 * the answer. */
struct reply attack_shell(const char *user, const char *agent, const char *command);

/* Put the attacker @program into the workspace of @agent of @user. */
void attack_place(const char *user, const char *agent, const char *program);

/* Fail the test unless @r is a 200 whose command exited with 0 and wrote exactly @expected. */
void assert_got(const struct reply *r, const char *expected);

/* Fail the test unless @r is a 200 whose command exited with 0 and wrote @count lines, each of
 * which tells of a refusal: by which errno differs between kernels and seccomp profiles. */
void assert_refused(const struct reply *r, size_t count);

/*
 * Run the attacker @program with @arguments, JSON strings each with a comma before it, as root with
 * the guest's capabilities in the container @id: a guest gone bad. Returns what it printed; the
 * caller frees it.
 */
char *attack_as_guest(const char *id, const char *program, const char *arguments);

/* Fail the test unless @text is @count lines, each of which tells of a refusal. */
void assert_refusals(const char *text, size_t count);

#endif
