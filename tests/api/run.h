/* Running groups of tests, all or those that are named. */
#ifndef TESTS_API_RUN_H
#define TESTS_API_RUN_H

#include <stdbool.h>
#include <stddef.h>

struct suite {
    const char *name;
    int (*run)(void);  /* returns the number of tests that failed */
    bool by_name_only; /* for a server of a special kind (see Makefile): left out where none is
                          named */
};

/*
 * Run those of @suites that the arguments name (GROUP...), all but those (--but GROUP...), or all.
 * Returns main()'s exit status; a name that is no group's is an error.
 */
int suites_run(const struct suite *suites, size_t count, int argc, char **argv);

#endif
