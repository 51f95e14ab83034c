/*
 * Quotas as requests meet them: the store counts (store/quota.c), access.yaml says how much there
 * is, and what is refused is told with the very key that says so. A quota is that of the owner of
 * what is made or run, whoever asks for it. A refusal leaves no audit entry: it would cost more
 * than what it refuses.
 */
#ifndef BACKEND_QUOTA_H
#define BACKEND_QUOTA_H

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* The gate that @owner's quotas are. It borrows from the settings of the request in hand. */
struct quota_gate quota_gate(const struct backend *b, const char *owner);

/*
 * Refuse what @gate, which is shut for @owner, has not let through. Returns -EDQUOT
 * (ERR_QUOTA_EXCEEDED) or, for what may be done only so often, -EUSERS (ERR_RATE_LIMITED), with
 * retry_after_seconds where waiting helps.
 */
int quota_refuse(const struct backend *b, const char *owner, const struct quota_gate *gate,
                 struct error *err);

/*
 * Whether @owner could begin an execution now, in a container that is to be made or not. It spares
 * the work for one that would be refused; the store looks again when it begins. Errors: those of
 * quota_refuse().
 */
int quota_look(struct backend *b, const char *owner, bool new_container, struct error *err);

/* What @owner has used of each quota, by enum quota. */
int quota_usage(struct backend *b, const char *owner, int64_t ret[QUOTA_COUNT], struct error *err);

#endif
