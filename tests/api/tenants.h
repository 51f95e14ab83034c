/*
 * Two tenants of one service: alice with something of everything, all of it marked by one word that
 * is nowhere else, and bob with a container, a snapshot and an execution of his own.
 */
#ifndef TESTS_API_TENANTS_H
#define TESTS_API_TENANTS_H

#include <jansson.h>

#include "tests/api/steps.h"

/* The mark in all that alice names: agents, sessions, labels, commands, output, snapshots. */
#define NEEDLE "zqneedle"

enum { TENANT_CONTAINERS = 4, TENANT_ENTRIES = 5 };

/* Ids of things that are there. */
struct tenant {
    char containers[TENANT_CONTAINERS][STEP_ID_SIZE]; /* of each scope, and one that is stopped;
                                                          bob has only the first */
    char entries[TENANT_ENTRIES][STEP_ID_SIZE]; /* executions that are over, failed, a one-shot's,
                                                   running; a change. bob: the first */
    char snapshot[STEP_ID_SIZE];                /* of the first container */
};

extern struct tenant tenant_alice, tenant_bob;

/* Make what a tenant has. */
void tenant_make_alice(void);
void tenant_make_bob(void);

/* An answer as it came over the wire. */
struct raw {
    long status;
    char *text; /* owned: headers and body, without the date */
};

/*
 * Ask for it, with the request id "tenant" so that two answers can be equal to the last byte. @body
 * and @accept may be NULL, @accept and @key are whole header lines. The caller frees text.
 */
struct raw tenant_ask(const char *user, const char *method, const char *path, const char *body,
                      const char *accept, const char *key);

/* Fail the test, showing the answer, if it holds a word or an id of alice's. @what is the request.
 */
void tenant_assert_clean(const struct raw *r, const char *what);

/* What alice has, as far as only she changes it. The caller frees. */
json_t *tenant_state(void);

#endif
