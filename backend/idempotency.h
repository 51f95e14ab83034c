/*
 * Requests that are carried out once, however often they are sent: those with an Idempotency-Key.
 *
 * The row that says that a request began is there before anything is done. Whoever sends it again
 * gets the answer that was kept; waits, while the first attempt runs; or, where the attempt's
 * worker died before it had answered, carries it on. What a request makes is known by its nonce,
 * from which the id is derived (executions, snapshots, change entries) or which its row holds
 * (templates, jobs), so that the one who carries on finds what is there.
 *
 * Other acts are carried on by doing them again, to the same end: a container is found by its scope
 * (and answered with 200, though it was the first attempt that made it); it is restarted or rolled
 * back a second time; a cleanup or a drain reports what was left for the second attempt.
 */
#ifndef BACKEND_IDEMPOTENCY_H
#define BACKEND_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/store/records.h"

#define IDEMPOTENCY_KEPT_MS (INT64_C(24) * 3600 * 1000) /* a key, from its first request on */

enum keyed_state {
    KEYED_NEW = 1, /* carry it out */
    KEYED_RESUMED, /* carry it on: an attempt broke off */
    KEYED_ANSWERED /* there is an answer */
};

/* Whether @key is 1..64 of [A-Za-z0-9._-]. */
bool idempotency_key_valid(const char *key);

/* What tells one request from another: a hash over @method, @path, @query (NULL: none) and @body.
 */
void idempotency_fingerprint(const char *method, const char *path, const char *query,
                             const char *body, size_t len, char out[FINGERPRINT_SIZE]);

/*
 * Begin the request of @user with this key and fingerprint; *ret_state is what is to be done. While
 * another attempt of it runs, its end is waited for, but not for long, and not for a client that
 * goes away (@peer_fd; -1: none). Caller: keyed_done(). Errors: ERR_CONFLICT (the key was used for
 * another request; or, with retry_after_seconds, the first attempt still runs).
 */
int idempotency_begin(struct backend *b, const char *user, const char *key, const char *fingerprint,
                      int peer_fd, struct keyed *ret, enum keyed_state *ret_state,
                      struct error *err);

/*
 * Keep the answer: @status and its JSON text (borrowed; "" for no content, NULL: it can be built
 * again).
 */
int idempotency_answer(struct backend *b, const struct keyed *k, int status, const char *body,
                       struct error *err);

/*
 * The attempt failed as @why says: it is forgotten, so that the next one is a new request; where
 * the failure was ours, and nobody knows how far it got, the next one carries it on.
 */
int idempotency_fail(struct backend *b, const struct keyed *k, const struct error *why,
                     struct error *err);

/*
 * Wait 50 ms for something that another process does. Returns 0, or ERR_CONFLICT with
 * retry_after_seconds after @deadline_ms (monotonic) or once the client behind @peer_fd (-1: none)
 * has gone.
 */
int idempotency_wait(int64_t deadline_ms, int peer_fd, struct error *err);

#endif
