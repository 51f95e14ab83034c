/* Running groups of tests: see run.h. */
#include "tests/api/run.h"

#include <string.h>

#include "tests/api/client.h"

static bool
wanted(const struct suite *suite, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], suite->name) == 0)
            return true;
    return argc == 1 && !suite->by_name_only;
}

int
suites_run(const struct suite *suites, size_t count, int argc, char **argv)
{
    int failed = 0;

    if (client_init() < 0)
        return 2;
    for (size_t i = 0; i < count; i++)
        if (wanted(&suites[i], argc, argv))
            failed += suites[i].run();
    client_done();
    return failed ? 1 : 0;
}
