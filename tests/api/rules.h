/* Tests that give the server another access.yaml. */
#ifndef TESTS_API_RULES_H
#define TESTS_API_RULES_H

#include <stdbool.h>

/* A cmocka group setup: keep access.yaml as it is. Returns 0. */
int rules_keep(void **state);

/* A cmocka group teardown: put it back, and remove all containers. Returns 0. */
int rules_restore(void **state);

/*
 * Have the server serve by the rules of admin and @format: lines below `users:`, and what may
 * follow there. Returns when they are in force.
 */
void rules_are(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
