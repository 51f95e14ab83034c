/*
 * What the guest keeps of a detached execution: a file in the container's socket directory, which
 * outlives the guest, and which the host reads at any time. Its content is the guest's word, and so
 * untrusted: opened without following links, bounded, and every figure checked.
 *
 * Of each stream it holds a head (the first half of the cap) and a tail (a ring of the other half).
 */
#ifndef BACKEND_GUEST_SPOOL_H
#define BACKEND_GUEST_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/cleanup.h"
#include "backend/error.h"
#include "backend/guest/guest.h"

struct guest_spool;

/* The state of an execution at one moment. */
struct guest_spool_state {
    bool ended;
    struct guest_result result; /* once ended */
    uint64_t bytes[2];          /* by enum guest_stream: how many were written so far */
};

/*
 * Open the spool of the execution @id in the socket directory @directory. -ENOENT (ERR_NOT_FOUND):
 * there is none. ERR_INTERNAL: what is there is no spool.
 */
int guest_spool_open(const char *directory, uint64_t id, struct guest_spool **ret,
                     struct error *err);

/* Close it. */
void guest_spool_free(struct guest_spool *s);
CLEANUP_FN(struct guest_spool *, guest_spool_free)

/* How it stands now. */
int guest_spool_state(struct guest_spool *s, struct guest_spool_state *ret, struct error *err);

/*
 * Read the stream from the byte @from on: as much of the head as there is behind it, then what
 * there is of the tail. *ret is owned, *ret_len bytes long, the first *ret_head of them from the
 * head; the rest ends at the byte *ret_total, the stream's length. Where bytes between were
 * dropped, *ret_len < *ret_total - @from. The guest may write meanwhile: what it overwrote is left
 * out.
 */
int guest_spool_read(struct guest_spool *s, enum guest_stream stream, uint64_t from, char **ret,
                     size_t *ret_len, size_t *ret_head, uint64_t *ret_total, struct error *err);

/* The ids of all spools in @directory, in an owned array: for finding forgotten ones. */
int guest_spool_list(const char *directory, uint64_t **ret, size_t *ret_count, struct error *err);

#endif
