/*
 * The way from a checked request to its handler, past the Idempotency-Key of a POST: carried out
 * once, answered as often as it is asked.
 */
#ifndef FCGI_ONCE_H
#define FCGI_ONCE_H

#include "fcgi/router.h"

/*
 * Have @route handle @req, which @in is the raw form of; without a key, or for other methods than
 * POST, that is all. Answers of 2xx are kept for the key; after another one it is free again. The
 * outcome is in @a. Errors: ERR_BAD_QUERY for a malformed key, ERR_CONFLICT, and the handler's.
 */
int once_serve(const struct route *route, struct request *req, const struct incoming *in,
               struct answer *a);

#endif
