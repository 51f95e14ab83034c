/*
 * The scribe: a thread that keeps the ledger and writes the audit log, so that the loop waits
 * neither for the disk nor for another process's write. What it is told is queued; where it cannot
 * keep up, who tells it waits, as nothing may be left out.
 */
#ifndef BACKEND_EGRESS_SCRIBE_H
#define BACKEND_EGRESS_SCRIBE_H

#include <stdint.h>

#include "backend/backend.h"
#include "backend/egress/ledger.h"

struct scribe;

/* Start it. NULL without memory or threads. */
struct scribe *scribe_new(const struct service_context *ctx);

/* Have it write all that it was told, and end it. NULL is fine. */
void scribe_free(struct scribe *s);

/* As ledger_note(), now. */
void scribe_note(struct scribe *s, const struct ledger_attempt *attempt);

/* As ledger_carried(). */
void scribe_carried(struct scribe *s, const struct container *container, const char *host,
                    unsigned port, uint64_t sent, uint64_t received);

#endif
