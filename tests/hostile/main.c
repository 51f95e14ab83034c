/*
 * Attacks: programs that fight the sandbox they are run in, through the real nginx, sandboxd and
 * Docker. Each test states what the attacker gets, and that the host, the neighbour and the API go
 * on. Run by tests/with-server. Arguments name the groups to run; none runs all.
 */
#include "tests/test.h"

#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/hostile/suite.h"

static const struct {
    const char *name;
    int (*run)(void);
} suites[] = {
    /* clang-format off */
    {"privileges", suite_privileges},
    {"guest", suite_guest},
    {"procfs", suite_procfs},
    {"kernel", suite_kernel},
    {"badguest", suite_badguest},
    {"setuid", suite_setuid},
    {"workspace", suite_workspace},
    {"evasion", suite_evasion},
    {"descriptors", suite_descriptors},
    {"agents", suite_agents},
    {"limits-tiers", suite_limits_tiers},
    {"disk", suite_disk},
    {"disk-enforced", suite_disk_enforced},
    {"exhaustion", suite_exhaustion},
    {"owners", suite_owners},
    {"floods", suite_floods},
    {"growth", suite_growth},
    {"syscalls", suite_syscalls},
    {"policy", suite_policy},
    /* clang-format on */
};

/* Groups for a server of a special kind (see Makefile), which are run by name only. */
static const char *const special[] = {"disk-enforced"};

static bool
is_special(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (strcmp(name, special[i]) == 0)
            return true;
    return false;
}

static bool
wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1 && !is_special(name);
}

int
main(int argc, char **argv)
{
    int failed = 0;

    if (client_init() < 0)
        return 2;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++)
        if (wanted(suites[i].name, argc, argv))
            failed += suites[i].run();
    client_done();
    return failed ? 1 : 0;
}
