/*
 * A captured output stream: the head and the tail of it up to a cap, and the true count. Memory
 * grows with what is kept, never with what was written.
 */
#ifndef BACKEND_CAPTURE_H
#define BACKEND_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/buf.h"

/* Lifetime: scope. */
struct capture {
    struct buf head;  /* the first half of the cap */
    char *tail;       /* ring of the last bytes; owned, NULL until the head is full */
    size_t tail_size; /* bytes of the ring: the other half of the cap */
    size_t tail_at;   /* where the next byte goes */
    uint64_t total;   /* bytes written */
};

/* An empty capture that keeps at most @cap bytes (>= 2). */
void capture_init(struct capture *c, size_t cap);

/* Free what is kept. */
void capture_done(struct capture *c);

/* Take @len bytes in. Returns 0 or -ENOMEM. */
int capture_write(struct capture *c, const void *data, size_t len);

/* Whether bytes were dropped between head and tail. */
bool capture_truncated(const struct capture *c);

/*
 * Head and tail joined, as one string of *ret_len bytes (NUL-terminated beyond it) that the caller
 * frees, the first *ret_head of them the head; NULL on allocation failure. Where bytes were
 * dropped, UTF-8 sequences that the cut broke are trimmed off both sides, so that text stays text.
 */
char *capture_join(const struct capture *c, size_t *ret_len, size_t *ret_head);

#endif
