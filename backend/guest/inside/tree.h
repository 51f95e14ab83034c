/*
 * Ending everything below a process. Only children are looked at: the caller is a subreaper, so the
 * children of a child that died become its own.
 *
 * Scanning alone could be outrun by processes that fork and exit. But as long as the caller does
 * not reap them, the dead ones count towards the container's process limit: a runner runs into it.
 */
#ifndef BACKEND_GUEST_INSIDE_TREE_H
#define BACKEND_GUEST_INSIDE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Lifetime: process. A command and all that it started. */
struct tree {
    pid_t main;
    bool main_gone; /* status is set */
    int status;     /* of main, as wait(2) has it */
    int64_t cpu_us; /* user and system time of those that were reaped, and of whom they reaped */
    int64_t max_memory_kib; /* the largest resident set of these */
};

/* What one look at the children saw. */
struct census {
    unsigned living;      /* that were killed just now */
    uint64_t fingerprint; /* of the pids of all, dead ones too */
};

/* Kill every living child of the calling process, apart from those that @spared (may be NULL)
 * knows. */
void tree_census(bool (*spared)(pid_t pid), struct census *ret);

/* Reap the dead. Returns whether nobody is left, dead or alive. */
bool tree_reap(struct tree *t);

/*
 * Kill and reap until nobody is left. @signals is a signalfd that knows SIGCHLD. Returns false if
 * dead ones are left: wait(2) withholds them while somebody of another execution traces them.
 */
bool tree_kill(struct tree *t, int signals);

#endif
