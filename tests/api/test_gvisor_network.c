/*
 * Networks under gVisor's runsc. How it is started decides what it can do: --host-uds=all lets the
 * guest reach the egress proxy's socket, which is the host's; --network=none leaves the loopback of
 * its own network stack alone, --network=host takes the stack of the container's network namespace,
 * and the default is a stack of its own on that namespace's interfaces.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/full.h"
#include "tests/api/host.h"
#include "tests/api/net.h"
#include "tests/api/runtimes.h"
#include "tests/api/suite.h"
#include "tests/api/warned.h"

#define LAST "runsc-stack" /* of the runtimes, as they are listed */

/* clang-format off */
#define RUNSC(name, network, uds)                                                                  \
    "\"" name "\": {\"path\": \"runsc\", \"runtimeArgs\": [\"--platform=ptrace\","                 \
    " \"--ignore-cgroups\", \"--network=" network "\", \"--host-uds=" uds "\"]}"

static const char daemon_json[] =
    "{\"runtimes\": {"
    RUNSC("runsc", "none", "all") ", "
    RUNSC("runsc-create", "none", "create") ", "
    RUNSC("runsc-closed", "none", "none") ", "
    RUNSC("runsc-host", "host", "all") ", "
    RUNSC(LAST, "sandbox", "all")
    "}}";
/* clang-format on */

static int
open_restricted(void **state)
{
    int r = net_open(state);

    engine_settings(daemon_json, LAST, 1);
    runtime_of_tier("Standard", "runsc");
    return r;
}

static int
close_restricted(void **state)
{
    int r = net_close(state);

    runtime_of_tier("Standard", "runc");
    engine_settings("{\"runtimes\": {}}", LAST, 0);
    return r;
}

static int
open_full(void **state)
{
    int r = full_open(state);

    engine_settings(daemon_json, LAST, 1);
    runtime_of_tier("Elevated", "runsc-host");
    return r;
}

static int
close_full(void **state)
{
    int r = full_close(state);

    runtime_of_tier("Elevated", "runc");
    engine_settings("{\"runtimes\": {}}", LAST, 0);
    return r;
}

/* GET status and `sandboxd check` have a warning with @text. */
static void
assert_warned_of(const char *text)
{
    if (!warned_of(text))
        fail_msg("GET status does not warn: %s", text);
    assert_int_equal(warned_check("", "docker/docker.sock"), 0);
    assert_check_says(text);
}

static void
restricted_has_the_proxy_and_nothing_else(void **state)
{
    char command[1024];

    (void)state;
    assert_false(warned_of("gVisor"));
    snprintf(command, sizeof(command),
             "dmesg | grep -c 'Starting gVisor'; tail -n +3 /proc/net/dev | cut -d : -f 1;"
             " tail -n +2 /proc/net/route;"
             " touch /.sandbox/egress/x 2>&1; rm -f /.sandbox/egress/proxy 2>&1;"
             " stat /.sandbox/run/* 2>&1;"
             " nslookup allowed.example >/dev/null 2>&1 && echo resolved;"
             " nc -w 2 192.0.2.1 80 </dev/null >/dev/null 2>&1 && echo connected;"
             " nc -w 2 %s.80 80 </dev/null >/dev/null 2>&1 && echo connected;"
             " http_proxy= wget -q -O - http://%s.80/hello 2>/dev/null && echo fetched; " NET_FETCH,
             net_prefix(), net_prefix());
    net_prints("gvisor", command,
               "1\n    lo\n"
               "touch: /.sandbox/egress/x: Permission denied\n"
               "rm: can't remove '/.sandbox/egress/proxy': Permission denied\n"
               "stat: can't stat '/.sandbox/run/*': Permission denied\n" NET_HELLO);
}

static void
names_decide_and_so_do_their_addresses(void **state)
{
    static const char *const refused[] = {
        "other.example", "bad.allowed.example",  "private.example",   "metadata.example",
        "loop.example",  "allowed.example:8080", "[::ffff:127.0.0.1]"};
    char command[256], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        snprintf(command, sizeof(command),
                 "wget -O /dev/null 'http://%s/hello' 2>&1 | grep -o 'HTTP/1.1 [0-9]*'",
                 refused[i]);
        net_prints("gvisor", command, "HTTP/1.1 403\n");
    }
    net_container_of("gvisor", id);
    r = net_attempts_of(ALICE, id);
    net_assert_attempt(&r, "allowed.example", true,
                       "network_policy.allowed_domains: allowed.example");
    net_assert_attempt(&r, "other.example", false,
                       "network_policy.allowed_domains does not name it");
    reply_done(&r);
}

static void
a_change_of_the_policy_holds_at_once(void **state)
{
    (void)state;
    net_prints("gvisor", NET_FETCH, NET_HELLO);
    net_policy("{\"network_policy\": {\"allowed_domains\": [\"other.example\"]}}");
    net_comes_to_print("gvisor", NET_FETCH " 2>&1 | grep -o 'HTTP/1.1 [0-9]*'", "HTTP/1.1 403\n");
    net_comes_to_print("gvisor", NET_WGET "http://other.example/hello", NET_HELLO);
    net_policy(NET_POLICY);
    net_comes_to_print("gvisor", NET_FETCH, NET_HELLO);
}

/* The guest listens, and has nobody to pass a client on to. */
static void
without_a_way_to_the_proxy_restricted_reaches_nothing(void **state)
{
    (void)state;
    runtime_of_tier("Standard", "runsc-create");
    net_prints("gvisor",
               "dmesg | grep -c 'Starting gVisor'; nc 127.0.0.1 3128 </dev/null; " NET_FETCH
               " 2>/dev/null || echo $?",
               "1\n1\n");
    assert_warned_of(
        "the runtime 'runsc-create' of the tier 'Standard', whose network is Restricted, is"
        " gVisor's without --host-uds=all among its runtimeArgs, so nothing is reached there");
}

static void
without_sockets_of_the_host_nothing_runs(void **state)
{
    struct reply r;

    (void)state;
    runtime_of_tier("Standard", "runsc-closed");
    r = execute(ALICE, "{s:s, s:s, s:s}", "command", "true", "tier", "Standard", "agent_id",
                "gvisor");
    assert_problem(&r, 502, "docker_error");
    assert_non_null(strstr(text_at(&r, "detail"), "its guest did not answer"));
    reply_done(&r);
    assert_warned_of(
        "the runtime 'runsc-closed' of the tier 'Standard', whose network is Restricted, is"
        " gVisor's without --host-uds=all among its runtimeArgs, so nothing runs there");
}

static void
full_reaches_the_internet_and_no_special_address(void **state)
{
    struct reply r = full_run(ALICE, "gvisor", "dmesg | grep -c 'Starting gVisor'");

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "1\n");
    reply_done(&r);
    assert_reached_by("gvisor", "9.9.9.9 198.51.100.80 www.reached.example",
                      "9.9.9.9 198.51.100.80 www.reached.example ");
#define SPECIAL "10.1.2.3 169.254.169.254 192.168.7.7 ::ffff:10.1.2.3 host.private.example"
    assert_reached_by("gvisor", SPECIAL, "");
    full_permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    assert_reached_by("gvisor", SPECIAL, SPECIAL " ");
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
#undef SPECIAL
}

static void
the_host_is_out_of_reach(void **state)
{
    (void)state;
    assert_host_out_of_reach("gvisor");
}

static void
another_container_is_out_of_reach(void **state)
{
    _cleanup_(freep) char *address = full_listen(ALICE, "other");
    char command[128];
    struct reply r;

    (void)state;
    snprintf(command, sizeof(command), "nc -w 5 %s 8000 </dev/null", address);
    full_permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    r = full_run(ALICE, "other", command);
    assert_string_equal(text_at(&r, "stdout"), "reached\n");
    reply_done(&r);
    r = full_run(ALICE, "gvisor", command);
    assert_string_equal(text_at(&r, "stdout"), "");
    reply_done(&r);
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* The stack is the host's, but not its raw and packet sockets. */
static void
packets_cannot_be_made_up(void **state)
{
    struct reply r = full_run(ALICE, "gvisor", "ping -c 1 -W 1 198.51.100.80");

    (void)state;
    assert_int_not_equal(int_at(&r, "exit_code"), 0);
    assert_non_null(strstr(text_at(&r, "stderr"), "ping: "));
    reply_done(&r);
}

static bool
bridge_is_closed(void *arg)
{
    char open[] = "th dport 53 accept";

    (void)arg;
    return !full_filter_has(open);
}

static void
the_proxy_is_left_while_domains_are_blocked(void **state)
{
    struct reply r;

    (void)state;
    full_policy("{\"enabled\": true, \"blocked_domains\": [\"bad.example\"]}");
    wait_until(bridge_is_closed, NULL, FULL_PATIENCE_SECONDS, "the bridge to be closed");
    r = full_run(ALICE, "gvisor",
                 "printf 'GET http://bad.example/ HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 3128 |"
                 " head -n 1");
    assert_string_equal(text_at(&r, "stdout"),
                        "HTTP/1.1 403 Forbidden: network_policy.blocked_domains: bad.example\r\n");
    reply_done(&r);
    assert_reached_by("gvisor", "9.9.9.9 198.51.100.80", "");
    full_policy("null");
}

static void
without_a_network_full_reaches_nothing(void **state)
{
    struct reply r;

    (void)state;
    runtime_of_tier("Elevated", "runsc");
    r = full_run(ALICE, "none", "tail -n +3 /proc/net/dev | cut -d : -f 1");
    assert_string_equal(text_at(&r, "stdout"), "    lo\n");
    reply_done(&r);
    assert_reached_by("none", "9.9.9.9 198.51.100.80", "");
    assert_warned_of(
        "the runtime 'runsc' of the tier 'Elevated', whose network is Full, is gVisor's"
        " with --network=none among its runtimeArgs, so nothing is reached there");
}

/*
 * runsc of before August 2024 takes a network namespace for the machine's own if it has this file,
 * and since Linux 6.11 every one has: then nothing runs (google/gvisor, issue 10704).
 */
static void
a_stack_of_its_own_reaches_the_same_or_does_not_start(void **state)
{
    bool confused = host_shell("unshare --net test -e /proc/sys/net/core/rmem_default") == 0;
    struct reply r;

    (void)state;
    runtime_of_tier("Elevated", LAST);
    r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "command", "true", "tier", "Elevated", "agent_id",
                "full", "session_id", "stack");
    if (r.status == 502 && confused) {
        assert_non_null(strstr(text_at(&r, "detail"),
                               "cannot run with network enabled in root network namespace"));
        print_message("this runsc and this kernel do not go together: nothing runs\n");
    } else {
        assert_status(&r, 200);
        assert_reached_by("stack", "9.9.9.9 198.51.100.80 10.1.2.3 169.254.169.254",
                          "9.9.9.9 198.51.100.80 ");
    }
    reply_done(&r);
}

int
suite_gvisor_network(void)
{
    const struct CMUnitTest restricted[] = {
        cmocka_unit_test(restricted_has_the_proxy_and_nothing_else),
        cmocka_unit_test(names_decide_and_so_do_their_addresses),
        cmocka_unit_test(a_change_of_the_policy_holds_at_once),
        cmocka_unit_test(without_a_way_to_the_proxy_restricted_reaches_nothing),
        cmocka_unit_test(without_sockets_of_the_host_nothing_runs),
    };
    const struct CMUnitTest full[] = {
        cmocka_unit_test(full_reaches_the_internet_and_no_special_address),
        cmocka_unit_test(the_host_is_out_of_reach),
        cmocka_unit_test(another_container_is_out_of_reach),
        cmocka_unit_test(packets_cannot_be_made_up),
        cmocka_unit_test(the_proxy_is_left_while_domains_are_blocked),
        cmocka_unit_test(without_a_network_full_reaches_nothing),
        cmocka_unit_test(a_stack_of_its_own_reaches_the_same_or_does_not_start),
    };
    int failed = cmocka_run_group_tests_name("gvisor: Restricted", restricted, open_restricted,
                                             close_restricted);

    return full_possible()
               ? failed + cmocka_run_group_tests_name("gvisor: Full", full, open_full, close_full)
               : failed;
}
