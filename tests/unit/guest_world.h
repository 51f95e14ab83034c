/*
 * A real guest to test with: the sandbox-guest (GUEST_BINARY, or the one built) as PID 1 of a pid
 * and mount namespace with a busybox root. Needs root.
 */
#ifndef TESTS_UNIT_GUEST_WORLD_H
#define TESTS_UNIT_GUEST_WORLD_H

#include "tests/test.h"

#include <stdint.h>
#include <sys/types.h>

#include "backend/guest/guest.h"

enum {
    TEST_UID = 23456,
    TEST_GID = 23457,
    CAP = 4096,          /* of captured output */
    TIMEOUT_MS = 20000,  /* of commands that end by themselves */
    PATIENCE_MS = 10000, /* for what must become true soon */
    MEBIBYTE = 1 << 20
};

/* A guest at work. */
struct world {
    char dir[64];    /* on the host; the root is below it */
    char run[96];    /* the socket directory */
    pid_t pid;       /* of PID 1, as the host sees it */
    char pid_ns[64]; /* what /proc/PID/ns/pid says */
    char proxy[96];  /* where the guest looks for the egress proxy's socket; "": nowhere */
};

/* One execution and what came of it. */
struct outcome {
    int r;
    struct error err;
    struct guest_result result;
    struct capture out;
    struct capture errout;
    char *stdout_text;
    char *stderr_text;
};

/* The one of this test program, between setup and teardown of a group or of a test. */
extern struct world world;
int world_setup(void **state);
int world_teardown(void **state);

/* As world_setup(), with a relay to the socket world.proxy, where nobody listens yet, and a network
 * of its own. */
int world_setup_proxied(void **state);

/* Run a command, or a script for the shell as the test's user; the outcome is the caller's. */
void world_run_in(const char *directory, const struct guest_command *command, struct outcome *o);
void world_run_shell(const char *script, int64_t timeout_ms, struct outcome *o);
void outcome_done(struct outcome *o);

/* The world works: used after whatever should have left it intact. */
void assert_world_works(void);

/* Processes of the test's user, zombies too; and the supervisor of one of them. */
int world_find_commands(pid_t *ret_supervisor);
int world_count_commands(void);

/* Children of PID 1; and the most descriptors that one of them, or PID 1, has. */
int world_count_children(int *ret_fds);

void world_pause_ms(long ms);

#endif
