/*
 * What the tests of the network share: an internet of their own (tests/api/web), and settings by
 * which containers reach it.
 */
#ifndef TESTS_API_NET_H
#define TESTS_API_NET_H

#include "tests/api/steps.h"

/* The policy of most tests: *.allowed.example but for bad.allowed.example, and names that lead
 * where nothing is to be reached. */
#define NET_POLICY                                                                                 \
    "{\"network_policy\": {\"enabled\": true, \"allowed_domains\": [\"allowed.example\", "         \
    "\"*.allowed.example\", \"private.example\", \"metadata.example\", \"loop.example\"], "        \
    "\"blocked_domains\": [\"bad.allowed.example\"]}}"

#define NET_HELLO "hello from the web\n" /* what /hello of its web server is */

/* busybox's wget prints the body, and says on stderr what the server answered. */
#define NET_WGET "wget -q -O - "
#define NET_FETCH NET_WGET "http://allowed.example/hello"

/* A group's setup and teardown: the internet is there, and the server's egress section says so; the
 * policy is NET_POLICY. Afterwards all is as it was, and no container is left. */
int net_open(void **state);
int net_close(void **state);

/* The first three numbers of the internet's addresses: NET.80 is its web server. */
const char *net_prefix(void);

/* Have the pool as the flow list @targets says (NULL: none), and the internet as before. */
void net_pool(const char *targets);

/* PUT config @body (JSON text); it has to succeed. */
void net_policy(const char *body);

/* POST execute of the sh text @command as @agent in session "net" of tier @tier (NULL: it names
 * none). The answer is a 200; the caller frees it. */
struct reply net_run(const char *user, const char *agent, const char *tier, const char *command);

/* The same in tier Standard, whose network is Restricted; it has to print @expected. */
void net_prints(const char *agent, const char *command, const char *expected);

/* Wait until it prints @expected. */
void net_comes_to_print(const char *agent, const char *command, const char *expected);

/* The container of alice's @agent in session "net" of tier Standard, made if there is none. */
void net_container_of(const char *agent, char ret[STEP_ID_SIZE]);

/* Whether the execution of alice's with the id @arg has ended: for wait_until(). */
bool net_has_ended(void *arg);

/* The entries of kind `network` of a container, as @user sees them; the caller frees the reply. */
struct reply net_attempts_of(const char *user, const char *id);

/* Fail the test unless @r has an entry about port 80 of @host, with this verdict and rule. */
void net_assert_attempt(const struct reply *r, const char *host, bool allowed, const char *rule);

#endif
