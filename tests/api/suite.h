/* The groups of API tests: each file of tests/api offers one, main.c runs them all. */
#ifndef TESTS_API_SUITE_H
#define TESTS_API_SUITE_H

/* Run the group; returns the number of tests that failed. */
int suite_seed(void);
int suite_config(void);
int suite_status(void);
int suite_execute(void);
int suite_explain(void);
int suite_containers(void);
int suite_container_lists(void);
int suite_scopes(void);
int suite_snapshots(void);
int suite_snapshot_rules(void);
int suite_snapshot_crashes(void);
int suite_audit(void);
int suite_audit_admin(void);
int suite_changes(void);
int suite_export(void);
int suite_stream(void);
int suite_output(void);
int suite_background(void);
int suite_kill(void);
int suite_full(void);
int suite_full_changes(void);
int suite_machine(void);
int suite_contract(void);
int suite_contract_bodies(void);
int suite_contract_parameters(void);
int suite_errors(void);
int suite_identity(void);
int suite_limits(void);
int suite_templates(void);
int suite_builds(void);
int suite_pulls(void);
int suite_idempotency(void);
int suite_resume(void);
int suite_processes(void);
int suite_tools(void);
int suite_posture(void);
int suite_service(void);
int suite_metrics(void);
int suite_posture_image(void);
int suite_userns(void);
int suite_runtimes(void);
int suite_gvisor(void);
int suite_gvisor_network(void);
int suite_engine(void);
int suite_cleanup(void);
int suite_gpu(void);
int suite_pool(void);
int suite_pool_upkeep(void);
int suite_network(void);
int suite_network_upkeep(void);
int suite_network_clients(void);

#endif
