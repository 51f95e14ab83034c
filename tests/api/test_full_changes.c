/*
 * Network Full while things change around it: the policy, the packet filter, the broker, the
 * container, the server.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/full.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/suite.h"

/* Whether the execution @arg of alice's has written something. */
static bool
has_spoken(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s/output", (const char *)arg);
    bool spoken = int_at(&r, "stdout_bytes") > 0;

    reply_done(&r);
    return spoken;
}

static bool
has_ended(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s", (const char *)arg);
    bool ended = strcmp(text_at(&r, "status"), "running") != 0;

    reply_done(&r);
    return ended;
}

static void
assert_resolves(bool does)
{
    struct reply r = full_run(ALICE, "1", "nslookup www.reached.example | grep -q 198.51.100.80");

    if ((int_at(&r, "exit_code") == 0) != does)
        fail_msg("the name %s: %s", does ? "is not resolved" : "is resolved", r.body);
    reply_done(&r);
}

static void
blocked_domains_close_it_for_what_is_open_too(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:b}", "agent_id", "full", "session_id",
                             "1", "tier", "Elevated", "command",
                             "while echo tick; do usleep 200000; done 2>/dev/null | nc 9.9.9.9 7",
                             "background", 1);

    (void)state;
    assert_status(&r, 202);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(has_spoken, id, FULL_PATIENCE_SECONDS, "an echo");
    assert_resolves(true);
    full_policy("{\"enabled\": true, \"blocked_domains\": [\"blocked.example\"]}");
    wait_until(has_ended, id, FULL_PATIENCE_SECONDS, "the end of the connection");
    assert_full_network("proxy");
    assert_reached("9.9.9.9 198.51.100.80 www.reached.example", "");
    assert_resolves(false);
    full_policy("{\"enabled\": false}"); /* the list alone blocks nothing */
    full_wait_for_filter("th dport 53 accept");
    assert_full_network("bridge");
    assert_reached("9.9.9.9 198.51.100.80 www.reached.example",
                   "9.9.9.9 198.51.100.80 www.reached.example ");
    full_policy("null");
}

/* How the filter looks, but for what the kernel counts in it. */
#define LOOK                                                                                       \
    "table=\"sandboxd_$(cat \"$SANDBOX_STATE/instance\")\";"                                       \
    " look() { nft -t list table inet $table; nft list set inet $table permitted; };"

static bool
looks_as_before(void *arg)
{
    (void)arg;
    return host_shell(LOOK " look 2>/dev/null | cmp -s - \"$SANDBOX_STATE/filter\"") == 0;
}

static void
a_filter_that_somebody_takes_away_comes_back(void **state)
{
    static const char *const tampering[] = {"flush table inet $table", "delete table inet $table",
                                            "add element inet $table permitted { 10.1.2.3 }",
                                            "insert rule inet $table outward accept"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tampering); i++) {
        assert_int_equal(
            host_shell(LOOK " look >\"$SANDBOX_STATE/filter\" && nft \"%s\"", tampering[i]), 0);
        wait_until(looks_as_before, NULL, FULL_PATIENCE_SECONDS, tampering[i]);
        assert_reached("10.1.2.3 9.9.9.9", "9.9.9.9 ");
    }
}

static void
the_filter_outlives_the_broker(void **state)
{
    struct pids brokers = host_role("broker");
    char closed[] = "jump refuse";

    (void)state;
    assert_int_equal(brokers.count, 1);
    assert_int_equal(kill(brokers.list[0], SIGKILL), 0);
    assert_true(full_filter_has(closed));
    assert_reached("10.1.2.3 9.9.9.9", "9.9.9.9 ");
    host_wait_role("broker", 1, brokers.list[0]);
    assert_true(full_filter_has(closed));
    assert_reached("10.1.2.3 9.9.9.9", "9.9.9.9 ");
}

static void
act_on_box(const char *verb)
{
    struct reply r = act(ALICE, "POST", "/containers/%s/%s", full_box, verb);

    assert_status(&r, 200);
    reply_done(&r);
}

static void
a_container_keeps_its_network(void **state)
{
    char snapshot[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    assert_isolated();
    act_on_box("stop");
    act_on_box("start");
    assert_reached("10.1.2.3 www.reached.example", "www.reached.example ");
    act_on_box("restart");
    assert_reached("10.1.2.3 www.reached.example", "www.reached.example ");
    r = act(ALICE, "POST", "/containers/%s/snapshots", full_box);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", full_box, snapshot);
    assert_status(&r, 200);
    reply_done(&r);
    assert_reached("10.1.2.3 www.reached.example", "www.reached.example ");
    assert_isolated();
}

static bool
pool_is_ready(void *arg)
{
    struct reply r = fetch(ADMIN, "/pool");
    bool ready = int_at(&r, "ready") == 1;

    (void)arg;
    reply_done(&r);
    return ready;
}

static void
a_container_of_the_pool_has_it_too(void **state)
{
    struct reply r;

    (void)state;
    yaml_edit("sandbox.yaml", "s|^  targets: .*|  targets: [{template: base, tier: Elevated, "
                              "count: 1}]|; s|^  enabled: false$|  enabled: true|");
    wait_until(pool_is_ready, NULL, FULL_PATIENCE_SECONDS, "the pool to be filled");
    r = full_run(ALICE, "pooled",
                 "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc www.reached.example 80 | grep ^reached;"
                 " nc 10.1.2.3 80; nslookup www.reached.example | grep -c 198.51.100.80");
    assert_string_equal(text_at(&r, "stdout"), "reached\n1\n");
    reply_done(&r);
    r = fetch(ADMIN, "/pool");
    assert_int_equal(int_at(&r, "pools.0.claimed"), 1);
    reply_done(&r);
    assert_isolated();
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* What a stop leaves on the machine, and what the next start finds. */
static void
a_stopped_server_leaves_nothing_and_starts_again(void **state)
{
    (void)state;
    assert_int_equal(host_shell("nginx/standalone/down \"$SANDBOX_STATE\" >/dev/null"), 0);
    assert_int_not_equal(host_shell("ip link show \"sbx$(cut -c 1-12 \"$SANDBOX_STATE/instance\")\""
                                    " 2>/dev/null"),
                         0);
    assert_int_equal(host_shell("nft list tables | grep -c \"$(cat \"$SANDBOX_STATE/instance\")\""
                                " >/dev/null"),
                     1);
    assert_int_equal(host_shell("port=${SANDBOX_URL#https://localhost:};"
                                " nginx/standalone/up \"$SANDBOX_STATE\" \"${port%%%%/*}\" "
                                ">/dev/null"),
                     0);
    assert_reached("10.1.2.3 9.9.9.9 www.reached.example", "9.9.9.9 www.reached.example ");
    assert_isolated();
}

int
suite_full_changes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_domains_close_it_for_what_is_open_too),
        cmocka_unit_test(a_filter_that_somebody_takes_away_comes_back),
        cmocka_unit_test(the_filter_outlives_the_broker),
        cmocka_unit_test(a_container_keeps_its_network),
        cmocka_unit_test(a_container_of_the_pool_has_it_too),
        cmocka_unit_test(a_stopped_server_leaves_nothing_and_starts_again),
    };

    return full_possible()
               ? cmocka_run_group_tests_name("full, changes", tests, full_open, full_close)
               : 0;
}
