/* Frames on their way to the host: a fixed buffer, so that a slow host stops the reading of output.
 */
#ifndef BACKEND_GUEST_INSIDE_OUTBOX_H
#define BACKEND_GUEST_INSIDE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/guest/protocol.h"

enum { OUTBOX_SIZE = 2 * (GUEST_OUTPUT_MAX + 64) };

/* Lifetime: process. Big and zero at first: keep it static, and its pages cost nothing until used.
 */
struct outbox {
    size_t sent; /* bytes of data that the host has taken */
    size_t len;  /* bytes of data in use */
    char data[OUTBOX_SIZE];
};

/* Whether there is something to send. */
bool outbox_pending(const struct outbox *o);

/* Whether there is room for output worth a read(2). */
bool outbox_roomy(const struct outbox *o);

/* Append a frame that is not output; there is always room for the few of an execution. */
void outbox_frame(struct outbox *o, enum guest_frame_type type, const void *payload, size_t len);

/*
 * Read from @pipe once, straight into a frame of @type; the outbox must be roomy.
 * Returns as read(2): bytes, 0 at the end, or -1.
 */
long outbox_read(struct outbox *o, enum guest_frame_type type, int pipe);

/*
 * Send to @fd what it takes: with @flags MSG_DONTWAIT without waiting, with 0 all.
 * Returns 0, or -1 when the host is gone.
 */
int outbox_send(struct outbox *o, int fd, int flags);

#endif
