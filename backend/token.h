/*
 * Bearer tokens: secrets of 256 random bits that stand for a user, where nginx asks us who sends a
 * request. Of a secret only a keyed hash is kept, and it is looked up with every request: a token
 * is good in every process as soon as it is made, and in none once it is revoked.
 */
#ifndef BACKEND_TOKEN_H
#define BACKEND_TOKEN_H

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/store/records.h"

#define TOKEN_PREFIX "sbx_"

enum {
    TOKEN_SECRET_BYTES = 32,
    TOKEN_SECRET_SIZE = 4 + 2 * TOKEN_SECRET_BYTES + 1, /* the prefix, hex, and NUL */
    TOKENS_OF_USER_MAX = 100,                           /* that have not expired */
    TOKEN_SECONDS_MAX = 10 * 365 * 24 * 3600            /* that one may be made for */
};

/* One page of a list. Initialise with {0}; token_page_done() frees what it owns. */
struct token_page {
    struct token *items; /* owned */
    size_t count;
    int64_t next; /* position for the next page; 0 at the end */
};

void token_page_done(struct token_page *page);

/* A token to be made. */
struct token_spec {
    const char *user;   /* whom it stands for; they need not be in access.yaml (yet) */
    const char *name;   /* NULL: as its id */
    int64_t expires_in; /* seconds, from 1 to TOKEN_SECONDS_MAX; 0: never */
};

/*
 * Make a token for an admin, @caller. Its secret is in @secret and nowhere else afterwards; whoever
 * got it wipes it. A request that is carried on gives the token that it made before a new secret,
 * since the old one may be lost. Errors: ERR_VALIDATION, ERR_QUOTA_EXCEEDED (TOKENS_OF_USER_MAX).
 */
int token_create(struct backend *b, const struct caller *caller, const struct token_spec *spec,
                 struct token *ret, char secret[TOKEN_SECRET_SIZE], struct error *err);

/*
 * Whom @secret stands for. Its use is noted, to be written later. Errors: ERR_UNAUTHENTICATED, in
 * the same words for one that never was, was revoked or has expired.
 */
int token_verify(struct backend *b, const char *secret, struct token *ret, struct error *err);

/* The tokens of @user (NULL: of everybody), newest first, at most @limit of them, only those before
 * the position @before (0: from the start). */
int token_list(struct backend *b, const char *user, int64_t before, int64_t limit,
               struct token_page *ret, struct error *err);

/* Revoke the token: the next request with it is refused. Errors: ERR_NOT_FOUND. */
int token_revoke(struct backend *b, const struct caller *caller, const char *id, struct error *err);

/* Write which tokens were used since it was last called: one transaction for all processes' uses,
 * none if there were none. The janitor calls it every second. */
int token_write_uses(struct backend *b, struct error *err);

/* Forget those that expired a day ago or earlier. */
int token_tidy(struct backend *b, struct error *err);

#endif
