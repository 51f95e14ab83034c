/*
 * sandbox-guest: what its files share.
 *
 * PID 1 (main.c, keeper.c) keeps a supervisor forked ahead, blocked in accept() on the container's
 * socket. A supervisor (supervise.c) that got a connection reads the request (request.c), starts
 * the command (spawn.c), relays its input and output (outbox.c), kills all that the command started
 * (tree.c), reports the end, and waits for the next connection. It is a subreaper, so that whatever
 * the command starts stays below it. A detached command's output and end go to a file (spool.c).
 * PID 1 also answers short control requests (control.c), and keeps the relay to the egress proxy
 * (relay.c), a process of its own.
 *
 * All of them are root with CAP_SETUID, CAP_SETGID and CAP_KILL at most; commands have another uid
 * and no capabilities. Nothing here is executed from the image, apart from the command itself.
 */
#ifndef BACKEND_GUEST_INSIDE_INSIDE_H
#define BACKEND_GUEST_INSIDE_INSIDE_H

#include <stddef.h>
#include <sys/types.h>

struct slot_table;

/* Lifetime: process. What PID 1 was told and opened; inherited by the supervisors. */
struct guest {
    uid_t uid; /* of the container's user; supervisors look in the slot table, see keeper_user() */
    gid_t gid;
    uid_t former; /* while another user is adopted: whose the places were; 0: nobody's */
    const char *run_dir;
    const char *home;
    const char
        *workspace;    /* made if it is missing, and the default working directory; may be NULL */
    const char *proxy; /* the egress proxy's unix socket; NULL: there is no relay to it */
    int relay;         /* the relay's listener; -1: none */
    char **env;        /* what every command's environment starts from; NULL-terminated */
    int listener;
    int control; /* the listener for control requests, which does not block */
    int signals; /* signalfd: SIGCHLD, and what stops a container */
    int wanted;  /* eventfd: nobody is idle */
    struct slot_table *slots;
    int oom; /* the counter of the memory cgroup, see oom.h; -1: there is none */
};

/* Write "sandbox-guest: @what: error" to stderr, the container's log. */
void complain(const char *what, int errnum);

#endif
