/* A container of a tenant's that attacks are carried out in, of a tier that the test chooses. */
#ifndef TESTS_HOSTILE_BOX_H
#define TESTS_HOSTILE_BOX_H

#include <stdbool.h>

#include "tests/api/client.h"
#include "tests/api/steps.h"

struct flight;

struct box {
    const char *user;
    char agent[64];
    char id[STEP_ID_SIZE];
    char exec[96]; /* the path of its exec */
};

/* Make one for @agent of @user in @tier (NULL: none), with the attacker "exhaust" at
 * /workspace/exhaust. */
void box_open(struct box *box, const char *user, const char *agent, const char *tier);

/* Put the program tests/hostile/attackers/@program into its workspace. */
void box_place(const struct box *box, const char *program);

/* Remove it. */
void box_close(const struct box *box);

/* Run a formatted sh text in it for @seconds at most; any answer will do. */
struct reply box_try(const struct box *box, int seconds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, and the answer has to be a 200. */
struct reply box_run(const struct box *box, int seconds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same without waiting for the answer: flight_land() or flight_abort(). */
struct flight *box_start(const struct box *box, int seconds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Run `exhaust @arguments`; it has to print "WHAT: @expected after N" (or "WHAT: got N" where
 * @expected is "got"). Returns N. */
long box_exhaust(const struct box *box, const char *arguments, const char *expected);

/* Fail unless the next command in the box prints what it should. */
void box_works(const struct box *box);

/* Fail unless another tenant's command and GET status are answered. */
void neighbour_works(void);

/* The number of a file in its cgroup; -1: there is none. On v2 only @file counts. */
long long box_cgroup(const struct box *box, const char *controller, const char *file);

/* The text of a file in its cgroup; NULL: there is none. The caller frees. */
char *box_cgroup_text(const struct box *box, const char *controller, const char *file);

/* The pid of its guest on the host. */
long box_guest(const struct box *box);

#endif
