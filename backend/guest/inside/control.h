/*
 * Answering control requests: PID 1 does it between its other work, so it never waits for a peer. A
 * few may be connected at a time; one that says nothing is dropped after a while.
 */
#ifndef BACKEND_GUEST_INSIDE_CONTROL_H
#define BACKEND_GUEST_INSIDE_CONTROL_H

#include <poll.h>

#include "backend/guest/inside/inside.h"

enum { CONTROL_PEERS = 4, CONTROL_WATCHES = CONTROL_PEERS + 1 };

/* Say in @fds what there is to wait for. Returns for how long at most, in ms; -1: for ever. */
int control_watch(const struct guest *g, struct pollfd fds[CONTROL_WATCHES]);

/* Do what came in. */
void control_serve(struct guest *g, const struct pollfd fds[CONTROL_WATCHES]);

/* Close the connections: in a process that was forked from PID 1. */
void control_leave(void);

#endif
