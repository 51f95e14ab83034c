/* Runtimes of the engine and of tiers, changed for a test and put back after it. */
#ifndef TESTS_API_RUNTIMES_H
#define TESTS_API_RUNTIMES_H

/* Give the engine the settings @daemon_json (it keeps its runtimes unless that has some), and wait
 * until GET status lists @runtime, or no longer does so. */
void engine_settings(const char *daemon_json, const char *runtime, int listed);

/* Have the tier @tier run under @runtime, and wait until every process knows it. */
void runtime_of_tier(const char *tier, const char *runtime);

/* The same of the tier Sandbox. */
void tier_runtime(const char *runtime);

/* A cmocka teardown: remove all containers; the tier runs under runc again. Returns 0. */
int runtimes_restore(void **state);

#endif
