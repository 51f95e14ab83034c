/* The groups of attacks: each file of tests/hostile offers one, main.c runs them all. */
#ifndef TESTS_HOSTILE_SUITE_H
#define TESTS_HOSTILE_SUITE_H

/* Run the group; returns the number of tests that failed. */
int suite_privileges(void);
int suite_guest(void);
int suite_procfs(void);
int suite_kernel(void);
int suite_descriptors(void);
int suite_agents(void);
int suite_evasion(void);
int suite_setuid(void);
int suite_workspace(void);
int suite_badguest(void);
int suite_limits_tiers(void);
int suite_disk(void);
int suite_disk_enforced(void);
int suite_exhaustion(void);
int suite_owners(void);
int suite_floods(void);
int suite_growth(void);
int suite_syscalls(void);
int suite_policy(void);

#endif
