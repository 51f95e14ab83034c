/*
 * What the tests of the contract share: the description that the running service gives of itself,
 * something of everything that its operations are about, and answers held against what is declared.
 */
#ifndef TESTS_API_CONTRACT_H
#define TESTS_API_CONTRACT_H

#include <stdbool.h>

#include <jansson.h>

#include "tests/api/client.h"
#include "tests/api/steps.h"

/* One operation of the description. Lifetime: from contract_open() to contract_close(). */
struct operation {
    char method[8];        /* in capitals */
    const char *path;      /* with parameters in braces */
    const char *id;        /* its operationId */
    const char *user;      /* one of the tests' users whose role is the least that may do it */
    const json_t *json;    /* the operation object */
    const json_t *request; /* the schema of its JSON body, or NULL */
};

/* What stands in the braces of paths, and is there: alice's container, a snapshot of it, an
 * execution that is over, a template of the API's that is ready, a token. */
extern struct contract {
    json_t *document;
    char container[STEP_ID_SIZE];
    char snapshot[STEP_ID_SIZE];
    char entry[STEP_ID_SIZE];
    char template[STEP_ID_SIZE];
    char token[STEP_ID_SIZE];
} contract;

/* A cmocka setup and teardown of a group: get the description and make the things; remove all. */
int contract_open(void **state);
int contract_close(void **state);

/* Call @visit for every operation, in the order of the document. */
void contract_each(void (*visit)(const struct operation *op));

/* The operation with this id; fails the test if there is none. */
struct operation contract_operation(const char *id);

/* The path of @op with the things that are there in place of the parameters, but for @name (may be
 * NULL), which is replaced by @value. The caller frees. */
char *contract_path(const struct operation *op, const char *name, const char *value);

/*
 * Fail the test, naming @what (of the request), unless @op declares the reply: its status, the
 * media type with it, and a schema that the body fits and that names every member.
 */
void contract_check(const struct operation *op, const struct reply *r, const char *what);

/* As contract_check(), for a request that is to be refused: a 4xx problem. */
void contract_check_refused(const struct operation *op, const struct reply *r, const char *what);

/* What the service has: containers, also those that only its engine knows, snapshots, templates,
 * the config, and what is running. The caller frees. */
json_t *contract_state(void);

/* Fail the test, naming @what, unless the state is @before. */
void contract_assert_state(const json_t *before, const char *what);

#endif
