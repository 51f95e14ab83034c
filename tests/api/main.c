/*
 * The API tests: a client of the real nginx, with the real sandboxd and Docker behind it. Run by
 * tests/with-server. Arguments name the groups to run, or after --but those not to; none runs all.
 * Those that disturb the service (processes, engine) come last.
 */
#include "backend/cleanup.h"
#include "tests/api/run.h"
#include "tests/api/suite.h"

static const struct suite suites[] = {
    /* clang-format off */
    {.name = "seed", .run = suite_seed},
    {.name = "config", .run = suite_config},
    {.name = "status", .run = suite_status},
    {.name = "execute", .run = suite_execute},
    {.name = "explain", .run = suite_explain},
    {.name = "access", .run = suite_access},
    {.name = "explain-rules", .run = suite_explain_rules},
    {.name = "containers", .run = suite_containers},
    {.name = "container-lists", .run = suite_container_lists},
    {.name = "scopes", .run = suite_scopes},
    {.name = "snapshots", .run = suite_snapshots},
    {.name = "snapshot-rules", .run = suite_snapshot_rules},
    {.name = "audit", .run = suite_audit},
    {.name = "audit-admin", .run = suite_audit_admin},
    {.name = "changes", .run = suite_changes},
    {.name = "export", .run = suite_export},
    {.name = "cleanup", .run = suite_cleanup},
    {.name = "gpu", .run = suite_gpu},
    {.name = "pool", .run = suite_pool},
    {.name = "pool-upkeep", .run = suite_pool_upkeep},
    {.name = "network", .run = suite_network},
    {.name = "network-upkeep", .run = suite_network_upkeep},
    {.name = "network-clients", .run = suite_network_clients},
    {.name = "contract", .run = suite_contract},
    {.name = "contract-bodies", .run = suite_contract_bodies},
    {.name = "contract-parameters", .run = suite_contract_parameters},
    {.name = "errors", .run = suite_errors},
    {.name = "identity", .run = suite_identity},
    {.name = "doors", .run = suite_doors},
    {.name = "door-limits", .run = suite_door_limits},
    {.name = "roles", .run = suite_roles},
    {.name = "limits", .run = suite_limits},
    {.name = "templates", .run = suite_templates},
    {.name = "builds", .run = suite_builds},
    {.name = "pulls", .run = suite_pulls},
    {.name = "idempotency", .run = suite_idempotency},
    {.name = "resume", .run = suite_resume},
    {.name = "stream", .run = suite_stream},
    {.name = "output", .run = suite_output},
    {.name = "background", .run = suite_background},
    {.name = "kill", .run = suite_kill},
    {.name = "full", .run = suite_full},
    {.name = "full-changes", .run = suite_full_changes},
    {.name = "tools", .run = suite_tools},
    {.name = "posture", .run = suite_posture},
    {.name = "posture-image", .run = suite_posture_image},
    {.name = "userns", .run = suite_userns, .by_name_only = true},
    {.name = "runtimes", .run = suite_runtimes},
    {.name = "gvisor", .run = suite_gvisor},
    {.name = "service", .run = suite_service},
    {.name = "tokens", .run = suite_tokens},
    {.name = "bearer", .run = suite_bearer},
    {.name = "quotas", .run = suite_quotas},
    {.name = "run-as", .run = suite_run_as},
    {.name = "metrics", .run = suite_metrics},
    {.name = "edits", .run = suite_edits},
    {.name = "tier-edits", .run = suite_tier_edits},
    {.name = "machine", .run = suite_machine},
    {.name = "gvisor-network", .run = suite_gvisor_network},
    {.name = "processes", .run = suite_processes},
    {.name = "snapshot-crashes", .run = suite_snapshot_crashes},
    {.name = "isolation", .run = suite_isolation},
    {.name = "engine", .run = suite_engine},
    /* clang-format on */
};

int
main(int argc, char **argv)
{
    return suites_run(suites, ARRAY_LEN(suites), argc, argv);
}
