/*
 * The API tests: a client of the real nginx, with the real sandboxd and Docker behind it. Run by
 * tests/with-server. Arguments name the groups to run; none runs all. Those that disturb the
 * service (processes, engine) come last.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/suite.h"

static const struct {
    const char *name;
    int (*run)(void);
} suites[] = {
    /* clang-format off */
    {"seed", suite_seed},
    {"config", suite_config},
    {"status", suite_status},
    {"execute", suite_execute},
    {"explain", suite_explain},
    {"containers", suite_containers},
    {"container-lists", suite_container_lists},
    {"scopes", suite_scopes},
    {"snapshots", suite_snapshots},
    {"snapshot-rules", suite_snapshot_rules},
    {"audit", suite_audit},
    {"audit-admin", suite_audit_admin},
    {"changes", suite_changes},
    {"export", suite_export},
    {"cleanup", suite_cleanup},
    {"gpu", suite_gpu},
    {"pool", suite_pool},
    {"pool-upkeep", suite_pool_upkeep},
    {"network", suite_network},
    {"network-upkeep", suite_network_upkeep},
    {"network-clients", suite_network_clients},
    {"contract", suite_contract},
    {"contract-bodies", suite_contract_bodies},
    {"contract-parameters", suite_contract_parameters},
    {"errors", suite_errors},
    {"identity", suite_identity},
    {"limits", suite_limits},
    {"templates", suite_templates},
    {"builds", suite_builds},
    {"pulls", suite_pulls},
    {"idempotency", suite_idempotency},
    {"resume", suite_resume},
    {"stream", suite_stream},
    {"output", suite_output},
    {"background", suite_background},
    {"kill", suite_kill},
    {"full", suite_full},
    {"full-changes", suite_full_changes},
    {"tools", suite_tools},
    {"posture", suite_posture},
    {"runtimes", suite_runtimes},
    {"gvisor", suite_gvisor},
    {"processes", suite_processes},
    {"snapshot-crashes", suite_snapshot_crashes},
    {"engine", suite_engine},
    /* clang-format on */
};

static bool
wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
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
