/* Steps of the tests of Idempotency-Key: keys, and what the death of a worker leaves. */
#ifndef TESTS_API_KEYED_H
#define TESTS_API_KEYED_H

#include "tests/api/client.h"

/* A header with a key that no other test has; good until 16 more have been made. */
const char *key_fresh(void);

/* Fail the test unless @b is @a again, as the answer to another request. */
void assert_same_answer(const struct reply *a, const struct reply *b);

/* Kill every worker (which of them serves a request is not for its client to know), and wait until
 * there are as many again and the service answers. */
void kill_workers(void);

/* Run SQL on the server's database. */
void change_database(const char *sql);

/* The number that the SQL query @sql finds in the server's database. */
long long ask_database(const char *sql);

/*
 * After kill_workers(): have the row of every key say what is left by a worker that died when all
 * was done but its answer not kept: too short a moment to hit.
 */
void forget_answers(void);

#endif
