/* How an execution went that an earlier attempt of the same request has begun. */
#ifndef BACKEND_RECALL_H
#define BACKEND_RECALL_H

#include "backend/caller.h"
#include "backend/execution.h"

/*
 * The execution of the keyed request with @nonce, as execution_run() returned it or would have:
 * while it runs its end is waited for, but not for long, and not for a client that goes away
 * (@peer_fd; -1: none); one in the background is returned as it is. Caller: execution_done().
 * Returns -ENOENT, without an error noted, if none was begun. Errors: ERR_CONFLICT with
 * retry_after_seconds (it still runs), ERR_OVERLOADED (it was refused: ask again).
 */
int execution_recall(struct backend *b, const struct caller *caller, const char *nonce, int peer_fd,
                     struct execution *ret, struct error *err);

#endif
