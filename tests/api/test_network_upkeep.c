/* What the network leaves behind: entries in the audit log, directories, processes; and how it
 * fares over a container's life, from the pool to its removal. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/net.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { PATIENCE_SECONDS = 60, LOOP = 500, NO_FILES = 1 /* the directory itself is counted */ };

static void
every_attempt_is_in_the_audit_log_with_the_rule_that_decided(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    net_container_of("audited", id);
    net_prints("audited",
               "for host in allowed bad.allowed other private metadata; do"
               " wget -q -O /dev/null http://$host.example/hello 2>/dev/null; done; :",
               "");
    r = net_attempts_of(ALICE, id);
    net_assert_attempt(&r, "allowed.example", true,
                       "network_policy.allowed_domains: allowed.example");
    net_assert_attempt(&r, "bad.allowed.example", false,
                       "network_policy.blocked_domains: bad.allowed.example");
    net_assert_attempt(&r, "other.example", false,
                       "network_policy.allowed_domains does not name it");
    net_assert_attempt(&r, "private.example", false,
                       "10.1.2.3 is no address of the internet, nor in egress.permit_addresses");
    net_assert_attempt(
        &r, "metadata.example", false,
        "169.254.169.254 is no address of the internet, nor in egress.permit_addresses");
    reply_done(&r);
}

static void
a_loop_of_attempts_makes_few_entries(void **state)
{
    char id[STEP_ID_SIZE], command[160];
    struct reply r;

    (void)state;
    net_container_of("loop", id);
    snprintf(command, sizeof(command),
             "for i in $(seq %d); do " NET_WGET "http://bad.allowed.example/ 2>/dev/null; done; :",
             LOOP);
    net_prints("loop", command, "");
    r = net_attempts_of(ALICE, id);
    assert_in_range(json_array_size(at(&r, "entries")), 1, 20);
    reply_done(&r);
}

static void
one_owners_attempts_are_not_anothers(void **state)
{
    struct reply alice = net_run(ALICE, "mine", "Standard", NET_FETCH), bob, r;

    (void)state;
    bob = net_run(BOB, "mine", "Standard", NET_WGET "http://hers.allowed.example/hello");
    assert_string_equal(text_at(&bob, "stdout"), NET_HELLO);
    r = net_attempts_of(ALICE, text_at(&alice, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.host"), "allowed.example");
    assert_string_equal(text_at(&r, "entries.0.owner"), ALICE);
    reply_done(&r);
    r = net_attempts_of(BOB, text_at(&bob, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.host"), "hers.allowed.example");
    assert_string_equal(text_at(&r, "entries.0.owner"), BOB);
    reply_done(&r);
    r = net_attempts_of(BOB, text_at(&alice, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
    reply_done(&alice);
    reply_done(&bob);
}

static void
stopping_and_rolling_back_keep_the_way_out_and_removing_ends_it(void **state)
{
    char id[STEP_ID_SIZE], snapshot[STEP_ID_SIZE];
    size_t before;
    struct reply r;

    (void)state;
    remove_containers(state);
    assert_int_equal(count_files("egress"), NO_FILES);
    net_container_of("life", id);
    before = count_files("egress");
    assert_int_equal(before, NO_FILES + 2); /* its directory, and the socket */
    r = act(ALICE, "POST", "/containers/%s/snapshots", id);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    reply_done(&r);
    net_prints("life", NET_FETCH, NET_HELLO);
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", id, snapshot);
    assert_status(&r, 200);
    reply_done(&r);
    net_prints("life", NET_FETCH, NET_HELLO);
    assert_int_equal(count_files("egress"), before);
    remove_containers(state);
    assert_int_equal(count_files("egress"), NO_FILES);
}

static bool
leftovers_are_gone(void *arg)
{
    (void)arg;
    return count_files("egress") == NO_FILES;
}

static void
a_directory_that_a_crash_left_is_cleared_up(void **state)
{
    (void)state;
    remove_containers(state);
    assert_int_equal(host_shell("mkdir \"$SANDBOX_STATE/egress/container_5745a7574a75\""), 0);
    host_nudge_janitor();
    wait_until(leftovers_are_gone, NULL, PATIENCE_SECONDS, "the leftover to be gone");
}

static void
the_relay_is_none_of_the_processes_that_a_container_may_have(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;
    long count = 1; /* the shell */

    (void)state;
    net_container_of("crowd", id);
    r = net_run(ALICE, "crowd", "Standard", "while sleep 600 & do echo one; done");
    for (const char *p = text_at(&r, "stdout"); (p = strchr(p, '\n')); p++)
        count++;
    assert_int_equal(count, 50); /* of tier Standard */
    reply_done(&r);
    net_prints("crowd", NET_FETCH, NET_HELLO);
    r = fetch(ALICE, "/containers/%s", id);
    assert_int_equal(int_at(&r, "processes"), 0);
    reply_done(&r);
}

/* The status of a request through the proxy from the network of the process @pid. */
static int
ask_from_within(json_int_t pid)
{
    char text[16] = "", command[256];
    FILE *f;

    snprintf(command, sizeof(command),
             "nsenter -t %lld -n curl -s -o /dev/null -w '%%{http_code}' -x 127.0.0.1:3128"
             " http://allowed.example/hello",
             (long long)pid);
    f = popen(command, "re"); /* NOLINT(cert-env33-c): the test's own words */
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    pclose(f);
    return (int)strtol(text, NULL, 10);
}

/* PID 1, as the host sees it, of the only container that there is. */
static json_int_t
only_container(void)
{
    json_auto_t *ids = warm_engine_ids();
    const char *id = json_object_iter_key(json_object_iter(ids));
    char path[128];
    struct reply r;
    json_int_t pid;

    assert_int_equal(json_object_size(ids), 1);
    snprintf(path, sizeof(path), "/containers/%s/json", id);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    pid = int_at(&r, "State.Pid");
    reply_done(&r);
    return pid;
}

static void
a_container_of_the_pool_reaches_nothing_until_it_is_somebodys(void **state)
{
    char id[STEP_ID_SIZE];
    json_int_t pid;
    struct reply r;

    remove_containers(state);
    net_pool("{template: base, tier: Standard, count: 1}");
    warm_wait(1);
    pid = only_container();
    assert_int_equal(ask_from_within(pid), 503);
    r = net_run(ALICE, "pooled", "Standard", NET_FETCH);
    assert_string_equal(text_at(&r, "stdout"), NET_HELLO);
    snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    assert_int_equal(warm_figure("claimed"), 1);
    assert_int_equal(ask_from_within(pid), 200);
    r = net_attempts_of(ALICE, id);
    net_assert_attempt(&r, "allowed.example", true,
                       "network_policy.allowed_domains: allowed.example");
    reply_done(&r);
    net_pool(NULL);
}

int
suite_network_upkeep(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attempt_is_in_the_audit_log_with_the_rule_that_decided),
        cmocka_unit_test(a_loop_of_attempts_makes_few_entries),
        cmocka_unit_test(one_owners_attempts_are_not_anothers),
        cmocka_unit_test(stopping_and_rolling_back_keep_the_way_out_and_removing_ends_it),
        cmocka_unit_test(a_directory_that_a_crash_left_is_cleared_up),
        cmocka_unit_test(the_relay_is_none_of_the_processes_that_a_container_may_have),
        cmocka_unit_test(a_container_of_the_pool_reaches_nothing_until_it_is_somebodys),
    };

    return cmocka_run_group_tests_name("network upkeep", tests, net_open, net_close);
}
