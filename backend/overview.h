/* What GET status and GET whoami report: the service's own state, and what a caller has in use. */
#ifndef BACKEND_OVERVIEW_H
#define BACKEND_OVERVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/backend.h"
#include "backend/container.h"
#include "backend/engine.h"
#include "backend/error.h"

enum { OVERVIEW_YAML_ERROR_SIZE = SHARED_REFUSAL_SIZE };

struct overview {
    bool engine_available;
    struct engine_info engine; /* zeroed while it is not available */
    struct counts counts;      /* of what the caller may see; executions since 00:00 UTC */
    int64_t uptime_seconds;    /* of the manager */
    json_t *warnings;          /* owned: sentences, warnings.h */
    char yaml_error[OVERVIEW_YAML_ERROR_SIZE]; /* why the last edit of the YAML was refused; "" if
                                                  it was not; only admins get all of it */
};

/* Gather it for @caller; overview_done() frees it. An engine that is down is not an error. Errors:
 * ERR_INTERNAL (the store). */
int overview_get(struct backend *b, const struct caller *caller, struct overview *ret,
                 struct error *err);

/* Free what an overview owns. */
void overview_done(struct overview *o);

/* What @user has in use: containers, running executions, executions since 00:00 UTC. */
int overview_usage(struct backend *b, const char *user, struct counts *ret, struct error *err);

#endif
