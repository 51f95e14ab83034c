/* The second part of the group `limits`: what a command finds in its sandbox. */
#ifndef TESTS_API_TEST_INSIDE_H
#define TESTS_API_TEST_INSIDE_H

/* Run it; returns the number of tests that failed. */
int inside_tests(void);

#endif
