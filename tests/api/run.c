/* Running groups of tests: see run.h. */
#include "tests/api/run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/api/client.h"

/* What the arguments ask for. */
struct choice {
    char **names;
    int count;
    bool but; /* all except the named ones */
};

static bool
names(const struct choice *choice, const struct suite *suite)
{
    for (int i = 0; i < choice->count; i++)
        if (strcmp(choice->names[i], suite->name) == 0)
            return true;
    return false;
}

static bool
wanted(const struct choice *choice, const struct suite *suite)
{
    if (choice->but || choice->count == 0)
        return !suite->by_name_only && !names(choice, suite);
    return names(choice, suite);
}

/* Whether there is a group of each name; a misspelt one would be left out, or run twice. */
static bool
all_exist(const struct choice *choice, const struct suite *suites, size_t count)
{
    for (int i = 0; i < choice->count; i++) {
        size_t at = 0;

        while (at < count && strcmp(choice->names[i], suites[at].name) != 0)
            at++;
        if (at == count) {
            fprintf(stderr, "there is no group '%s'\n", choice->names[i]);
            return false;
        }
    }
    return true;
}

/* Run a group, and say how long it took. Returns the number of tests that failed. */
static int
run(const struct suite *suite)
{
    struct timespec begin, end;
    int failed;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    failed = suite->run();
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("group %s: %lld s, %d failed\n", suite->name, (long long)(end.tv_sec - begin.tv_sec),
           failed);
    fflush(stdout);
    return failed;
}

int
suites_run(const struct suite *suites, size_t count, int argc, char **argv)
{
    bool but = argc > 1 && strcmp(argv[1], "--but") == 0;
    struct choice choice = {.but = but, .names = argv + 1 + but, .count = argc - 1 - but};
    int failed = 0;

    if (!all_exist(&choice, suites, count) || client_init() < 0)
        return 2;
    for (size_t i = 0; i < count; i++)
        if (wanted(&choice, &suites[i]))
            failed += run(&suites[i]);
    client_done();
    return failed ? 1 : 0;
}
