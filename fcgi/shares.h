/*
 * Who holds how many of a worker's execution threads. One user gets three quarters of them at most,
 * so that whatever one floods the service with, some are left for the others.
 */
#ifndef FCGI_SHARES_H
#define FCGI_SHARES_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/cleanup.h"

/* Lifetime: process; thread-safe. */
struct shares;

/* Shares of @threads. NULL on ENOMEM. */
struct shares *shares_new(size_t threads);
void shares_free(struct shares *s);
CLEANUP_FN(struct shares *, shares_free)

/* Take one more for @user (not NULL). False: they have as many as they get. */
bool shares_take(struct shares *s, const char *user);

/* Give it back. */
void shares_give(struct shares *s, const char *user);

#endif
