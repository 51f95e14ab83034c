/* What the groups about network Full share: the tests' internet, and a container before it. */
#ifndef TESTS_API_FULL_H
#define TESTS_API_FULL_H

#include "tests/api/steps.h"

enum { FULL_PATIENCE_SECONDS = 60, FULL_SCRIPT_SIZE = 4096 };

/* The container of the tests, that of alice's session "1". */
extern char full_box[STEP_ID_SIZE];

/* Whether this kernel has what the tests take; else says that they are skipped. */
bool full_possible(void);

/*
 * A cmocka setup: the internet (tests/api/internet) with 198.51.100.80 permitted and its nameserver
 * in the YAML, and the container. Returns 0.
 */
int full_open(void **state);

/* Its teardown. */
int full_close(void **state);

/* Run @command in the session @session of @user, in a container of network Full. */
struct reply full_run(const char *user, const char *session, const char *command);

/* Of @addresses, separated by blanks, those that alice's session reaches by HTTP are @expected. */
void assert_reached_by(const char *session, const char *addresses, const char *expected);

/* The same for the container of the tests. */
void assert_reached(const char *addresses, const char *expected);

/*
 * Of the addresses that this machine has, alice's session reaches none at the port where nginx
 * listens on all of them, even with every address permitted.
 */
void assert_host_out_of_reach(const char *session);

/* Have something listen on port 8000 in the container of @user's session @session, that says
 * "reached", and return its address; the caller frees. */
char *full_listen(const char *user, const char *session);

/* Whether the server's packet filter has the text @arg. */
bool full_filter_has(void *arg);

/* Wait until it has. */
void full_wait_for_filter(const char *text);

/* Permit @addresses, and have the internet's nameserver; the filter shows @shown then. */
void full_permit(const char *addresses, const char *shown);

/* PUT config with this network_policy. */
void full_policy(const char *policy);

/* What GET status says is given. */
void assert_full_network(const char *expected);

/* Every port of the bridge is isolated, and there is one. */
void assert_isolated(void);

#endif
