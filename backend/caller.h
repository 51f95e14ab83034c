/*
 * Who asks: an admin touches everybody's things, others only their own; what is not theirs is as if
 * it did not exist (ERR_NOT_FOUND).
 */
#ifndef BACKEND_CALLER_H
#define BACKEND_CALLER_H

#include "backend/config/settings.h"

/* Lifetime: request. Everything is borrowed. */
struct caller {
    const char *user;
    int role;               /* enum role */
    const char *action;     /* "PUT /config": what a change entry says was done */
    const char *request_id; /* for the audit */
    const char *nonce;      /* of a request with an Idempotency-Key, else NULL: what it makes is
                               known by it when the request is carried on (backend/idempotency.h) */
};

/* The owner that a caller's look-ups are narrowed to; NULL for an admin. */
static inline const char *
caller_owner(const struct caller *caller)
{
    return caller->role == ROLE_ADMIN ? (const char *)0 : caller->user;
}

#endif
