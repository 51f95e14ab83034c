/*
 * A subcommand's visit to a state directory: what writes to the database must hold the service's
 * writer lock where a service runs, and keep one from starting meanwhile where none does.
 */
#ifndef FCGI_VISIT_H
#define FCGI_VISIT_H

#include "backend/backend.h"
#include "backend/error.h"

/* Lifetime: scope. Initialise with VISIT_NONE; use with _cleanup_(visit_done). */
struct visit {
    struct service_context context; /* with state_dir, shared and the accounts filled in */
    struct backend *backend;        /* owned; NULL until visit_begin() */
    int turn_fd;                    /* locked: visitors come one at a time */
    int lock_fd;                    /* locked where no service runs; else -1 */
};

#define VISIT_NONE                                                                                 \
    {                                                                                              \
        .backend = NULL, .turn_fd = -1, .lock_fd = -1                                              \
    }

/*
 * Begin to work on the database in @state_dir (borrowed), as root or as the account that started
 * the service there. Errors: ERR_NOT_FOUND where none was ever started, ERR_CONFLICT while one is
 * starting or ending, ERR_INTERNAL, also for a database of another version.
 */
int visit_begin(struct visit *v, const char *state_dir, struct error *err);

/* End it. */
void visit_done(struct visit *v);

#endif
