/*
 * One connection of a container's: its request's head, the decision, the dial, what a tunnel's
 * first bytes are, and the relay.
 *
 *     HEAD ── DIAL ── RELAY (plain HTTP)          ┐
 *               └──── HELLO ── RELAY (a tunnel)   ├── LINGER, after an answer of ours or the
 * server's any of them, when refused or failed ────────┘
 */
#ifndef BACKEND_EGRESS_CLIENT_H
#define BACKEND_EGRESS_CLIENT_H

#include <stdint.h>

#include "backend/egress/doors.h"

/* Serve the connection @fd (taken), which came by @d. */
void client_new(struct door *d, int fd);

/* The same, to answer with @status and why at once. */
void client_turn_away(struct door *d, int fd, int status, const char *rule);

/* Close it. */
void client_free(struct client *c);

/* Close it if its time is over. */
void client_tick(struct client *c, int64_t now_ms);

/* Close it if what it is for is now refused; @refusal is the container's, NULL if none. */
void client_judge(struct client *c, const char *refusal);

/* Tell the scribe what it has carried since the last call. */
void client_count(struct client *c);

/* The next of the door's; NULL: none. */
struct client *client_next(const struct client *c);

#endif
