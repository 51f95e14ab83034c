/*
 * Attacks: programs that fight the sandbox they are run in, through the real nginx, sandboxd and
 * Docker. Each test states what the attacker gets, and that the host, the neighbour and the API go
 * on. Run by tests/with-server. Arguments name the groups to run, or after --but those not to; none
 * runs all.
 */
#include "backend/cleanup.h"
#include "tests/api/run.h"
#include "tests/hostile/suite.h"

static const struct suite suites[] = {
    /* clang-format off */
    {.name = "privileges", .run = suite_privileges},
    {.name = "guest", .run = suite_guest},
    {.name = "procfs", .run = suite_procfs},
    {.name = "kernel", .run = suite_kernel},
    {.name = "badguest", .run = suite_badguest},
    {.name = "setuid", .run = suite_setuid},
    {.name = "workspace", .run = suite_workspace},
    {.name = "evasion", .run = suite_evasion},
    {.name = "descriptors", .run = suite_descriptors},
    {.name = "agents", .run = suite_agents},
    {.name = "limits-tiers", .run = suite_limits_tiers},
    {.name = "disk", .run = suite_disk},
    {.name = "disk-enforced", .run = suite_disk_enforced, .by_name_only = true},
    {.name = "exhaustion", .run = suite_exhaustion},
    {.name = "owners", .run = suite_owners},
    {.name = "floods", .run = suite_floods},
    {.name = "growth", .run = suite_growth},
    {.name = "syscalls", .run = suite_syscalls},
    {.name = "policy", .run = suite_policy},
    /* clang-format on */
};

int
main(int argc, char **argv)
{
    return suites_run(suites, ARRAY_LEN(suites), argc, argv);
}
