/*
 * What a walk over the service's own tables of routes knows of each route: who may use it, whose
 * ids stand in its path, and a body with which it would do something. A route without a step fails
 * the walk, and so does a step without a route.
 */
#ifndef TESTS_API_WALK_H
#define TESTS_API_WALK_H

#include "handlers/handler.h"

/* Whose things the ids of a path name. */
enum walk_ids {
    WALK_NONE = 1, /* there are none */
    WALK_CONTAINER,
    WALK_SNAPSHOT, /* of a container: two ids */
    WALK_ENTRY,    /* of the audit */
    WALK_SHARED    /* the installation's, not a tenant's */
};

struct step {
    const char *method, *path; /* as in the table of routes */
    int role;                  /* enum role: the least that may, by the contract */
    enum walk_ids ids;
    const char *body; /* NULL: none */
};

/* Call @visit for every route of the service with its step. */
void walk(void (*visit)(const struct route *route, const struct step *step));

/* Fail the test if a step names no route. */
void walk_check_steps(void);

/* The path of @step with @first and @second in place of its parameters. The caller frees. */
char *walk_path(const struct step *step, const char *first, const char *second);

#endif
