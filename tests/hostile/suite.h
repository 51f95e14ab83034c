/* The groups of attacks: each file of tests/hostile offers one, main.c runs them all. */
#ifndef TESTS_HOSTILE_SUITE_H
#define TESTS_HOSTILE_SUITE_H

/* Run the group; returns the number of tests that failed. */
int suite_privileges(void);
int suite_syscalls(void);

#endif
