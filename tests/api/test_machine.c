/*
 * What the machine lacks of that which the service stands on, and what it has: the server's
 * sandboxd is started again where it is really so, in a network namespace, without a right, or
 * without a nameserver.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/full.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warned.h"

enum { PATIENCE_SECONDS = 30 };

#define OWN_ADDRESS "198.41.0.4" /* of the internet, but the namespace's own */
#define NAMESPACE "sandbox-machine-$(cat \"$SANDBOX_STATE/instance\")"
#define RESTART "tests/api/restart "
#define WITHOUT_NAMESERVERS                                                                        \
    "unshare -m sh -c 'mount --bind /dev/null /etc/resolv.conf && exec \"$@\"' sh "

/* Have the server in a network namespace whose loopback is all that it has, and which does not
 * forward. */
static int
enter_namespace(void **state)
{
    (void)state;
    return host_shell("n=" NAMESPACE "; ip netns add $n && ip -n $n link set lo up &&"
                      " ip -n $n address add " OWN_ADDRESS "/32 dev lo &&"
                      " ip netns exec $n sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward' &&"
                      " tests/api/restart nsenter --net=/run/netns/$n");
}

/* The server as it was; also after a test that has failed. */
static int
restore(void **state)
{
    int r;

    yaml_restore();
    r = host_shell(RESTART "&& { ip netns delete " NAMESPACE " 2>/dev/null || true; }");
    remove_containers(state);
    return r;
}

static bool
full_is(void *arg)
{
    struct reply r = fetch(ADMIN, "/status");
    bool is = strcmp(text_at(&r, "full_network"), arg) == 0;

    reply_done(&r);
    return is;
}

static void
await_full(const char *expected)
{
    char copy[16];

    snprintf(copy, sizeof(copy), "%s", expected);
    wait_until(full_is, copy, PATIENCE_SECONDS, expected);
}

/* A new container of tier Elevated has the loopback alone, which status explains with @why. */
static void
assert_full_gets_nothing(const char *session, const char *why)
{
    struct reply r = full_run(ALICE, session, "ls /sys/class/net");

    assert_string_equal(text_at(&r, "stdout"), "lo\n");
    reply_done(&r);
    assert_full_network("none");
    if (!warned_of(why))
        fail_msg("no warning of: %s", why);
}

static void
a_machine_that_does_not_forward_gives_full_nothing(void **state)
{
    (void)state;
    await_full("none");
    assert_full_gets_nothing("forward",
                             "containers of network Full get no network: the machine does "
                             "not forward packets (net.ipv4.ip_forward is 0)");
    assert_int_equal(
        host_shell("ip netns exec " NAMESPACE " sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'"), 0);
    await_full("bridge");
    assert_false(warned_of("get no network"));
}

static void
a_broker_that_may_not_filter_gives_full_nothing(void **state)
{
    (void)state;
    assert_int_equal(host_shell(RESTART "setpriv --bounding-set=-net_admin"), 0);
    await_full("none");
    assert_full_gets_nothing("filter",
                             "containers of network Full get no network: nftables refuses "
                             "the packet filter");
}

static void
explain_knows_the_machines_own_addresses(void **state)
{
    static const struct {
        const char *domain, *rule;
        bool allowed;
    } cases[] = {
        {OWN_ADDRESS, "an address of this machine, not in egress.permit_addresses", false},
        {"8.8.8.8", "network Full, and nothing is blocked", true},
    };
    char body[96];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r;

        snprintf(body, sizeof(body), "{\"tier\": \"Elevated\", \"domain\": \"%s\"}",
                 cases[i].domain);
        r = call(ALICE, "POST", "/explain", body, NULL);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "network.domain.rule"), cases[i].rule);
        assert_int_equal(bool_at(&r, "network.domain.allowed"), cases[i].allowed);
        reply_done(&r);
    }
}

static void
a_machine_without_a_nameserver_is_warned_of(void **state)
{
    static const char sentence[] =
        "neither egress.nameservers in sandbox.yaml nor /etc/resolv.conf "
        "names a nameserver";

    (void)state;
    assert_false(warned_of(sentence));
    assert_int_equal(warned_check(WITHOUT_NAMESERVERS, "docker/docker.sock"), 0);
    assert_check_says(sentence);
    assert_int_equal(host_shell(RESTART WITHOUT_NAMESERVERS), 0);
    assert_true(warned_of(sentence));
    yaml_edit("sandbox.yaml", "s|nameservers: \\[\\]|nameservers: [127.0.0.1]|");
    assert_false(warned_of(sentence));
}

/* 127.9.9.9: nobody is there. */
static void
check_warns_where_no_nameserver_answers(void **state)
{
    (void)state;
    yaml_edit("sandbox.yaml", "s|nameservers: \\[\\]|nameservers: [127.9.9.9:9, 127.9.9.8]|");
    assert_int_equal(warned_check("", "docker/docker.sock"), 0);
    assert_check_says("warning: no nameserver answers, so that containers reach no names; asked "
                      "were: 127.9.9.9:9, 127.9.9.8\n");
}

static int
restore_yaml(void **state)
{
    (void)state;
    yaml_restore();
    return 0;
}

int
suite_machine(void)
{
    const struct CMUnitTest in_a_namespace[] = {
        cmocka_unit_test(explain_knows_the_machines_own_addresses),
        cmocka_unit_test(a_machine_that_does_not_forward_gives_full_nothing),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test_teardown(a_broker_that_may_not_filter_gives_full_nothing, restore),
        cmocka_unit_test_teardown(a_machine_without_a_nameserver_is_warned_of, restore),
        cmocka_unit_test_teardown(check_warns_where_no_nameserver_answers, restore_yaml),
    };

    if (!full_possible())
        return 0;
    return cmocka_run_group_tests_name("api: machine, in a namespace", in_a_namespace,
                                       enter_namespace, restore) +
           cmocka_run_group_tests_name("api: machine", others, NULL, NULL);
}
