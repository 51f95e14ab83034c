/*
 * The key under which tokens are hashed: a file of its own, so that a copy of the database tells
 * nobody which secrets it would take. Who removes it revokes every token.
 */
#ifndef BACKEND_TOKEN_KEY_H
#define BACKEND_TOKEN_KEY_H

#include "backend/backend.h"
#include "backend/error.h"

#define TOKEN_KEY_FILE "token-key" /* in the state directory; 0600, the service account's */

/*
 * Make the key under ctx->state_dir if there is none, whole or not at all. One that exists is left
 * alone. Errors: ERR_INTERNAL, with a sentence for whoever starts the service.
 */
int token_key_make(const struct service_context *ctx, struct error *err);

/* Read it into @b, unless it is there. Errors: ERR_INTERNAL. */
int token_key_read(struct backend *b, struct error *err);

#endif
