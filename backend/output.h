/*
 * What executions wrote, from given bytes on: of a finished one what was kept of it, of one that
 * runs in the background what its spool has.
 */
#ifndef BACKEND_OUTPUT_H
#define BACKEND_OUTPUT_H

#include <stdint.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* Initialise with {0}; output_done() frees what it owns. */
struct output {
    struct audit_entry entry; /* of one that runs, with the totals so far */
    struct audit_output kept; /* what there is from the asked bytes on, head and tail joined */
    uint64_t from[2];         /* by enum guest_stream: offset of the first byte of it */
    uint64_t next[2];         /* and what to ask for next */
};

void output_done(struct output *o);

/*
 * Read the output of the execution @id from the bytes @from (by enum guest_stream) on. Where bytes
 * were dropped, what follows them is joined: then there are fewer bytes than next - from. While it
 * runs, a character that is not complete yet is left for the next time. Errors: ERR_NOT_FOUND.
 */
int output_read(struct backend *b, const struct caller *caller, const char *id,
                const uint64_t from[2], struct output *ret, struct error *err);

#endif
