/*
 * Containers of network Full, on a real bridge, in front of an internet of the tests' own
 * (tests/api/internet). What is not reached is there, too: the same servers answer where they may
 * be reached.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 60, SCRIPT_SIZE = 4096, CONNECTIONS_MAX = 1024 };

#define SPECIAL                                                                                    \
    "10.1.2.3 10.255.0.1 172.16.5.5 172.31.0.1 192.168.7.7 169.254.169.254 169.254.1.1 "           \
    "100.64.0.1 100.127.255.254 192.0.0.8 192.0.2.99 198.18.0.1 203.0.113.5 240.0.0.9"
#define SPELLINGS                                                                                  \
    "0x0a010203 167838211 012.01.02.03 10.1.515 ::ffff:10.1.2.3 ::ffff:a01:203 "                   \
    "host.private.example"

/* The container of the tests: alice's. */
static char box[STEP_ID_SIZE];

/* Run @command in the session @session of @user, in a container of network Full. */
static struct reply
run(const char *user, const char *session, const char *command)
{
    struct reply r = execute(user, "{s:s, s:s, s:s, s:s}", "agent_id", "full", "session_id",
                             session, "tier", "Elevated", "command", command);

    assert_status(&r, 200);
    return r;
}

/* Of @addresses, separated by blanks, those that alice's session reaches by HTTP are @expected. */
static void
assert_reached_by(const char *session, const char *addresses, const char *expected)
{
    char script[SCRIPT_SIZE];
    struct reply r;

    snprintf(script, sizeof(script),
             "for a in %s; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $a 80 2>&1 |"
             " grep -q '^reached' && printf '%%s ' $a; done; true",
             addresses);
    r = run(ALICE, session, script);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("of %s: expected \"%s\" in %s", addresses, expected, r.body);
    reply_done(&r);
}

static void
assert_reached(const char *addresses, const char *expected)
{
    assert_reached_by("1", addresses, expected);
}

/* Whether the server's packet filter has @arg. */
static bool
filter_has(void *arg)
{
    return host_shell("nft list table inet \"sandboxd_$(cat \"$SANDBOX_STATE/instance\")\" "
                      "2>/dev/null | grep -qF -- '%s'",
                      (const char *)arg) == 0;
}

static void
wait_for_filter(const char *text)
{
    char copy[128];

    snprintf(copy, sizeof(copy), "%s", text);
    wait_until(filter_has, copy, PATIENCE_SECONDS, text);
}

/* Permit @addresses, and have the internet's nameserver. */
static void
permit(const char *addresses, const char *shown)
{
    char script[256];

    yaml_restore();
    snprintf(script, sizeof(script),
             "s|permit_addresses: \\[\\]|permit_addresses: [%s]|;"
             "s|nameservers: \\[\\]|nameservers: [198.51.100.53]|",
             addresses);
    yaml_edit("sandbox.yaml", script);
    wait_for_filter(shown);
}

static void
put_policy(const char *policy)
{
    char body[256];
    struct reply r;

    snprintf(body, sizeof(body), "{\"network_policy\": %s}", policy);
    r = call(ADMIN, "PUT", "/config", body, NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

static void
assert_full_network(const char *expected)
{
    struct reply r = fetch(ADMIN, "/status");

    assert_string_equal(text_at(&r, "full_network"), expected);
    reply_done(&r);
}

/*
 * While somebody else's network has the name of ours, there is none to give: the container has the
 * loopback alone.
 */
static void
check_without_a_network(void)
{
    _cleanup_(freep) char *instance = state_file("instance");
    char path[128], body[128];
    struct reply r;

    snprintf(body, sizeof(body), "{\"Name\": \"sandbox-%s-full\"}", instance);
    r = host_engine("POST", "/networks/create", body);
    assert_status(&r, 201);
    reply_done(&r);
    r = run(ALICE, "without", "ls /sys/class/net");
    assert_string_equal(text_at(&r, "stdout"), "lo\n");
    reply_done(&r);
    assert_full_network("none");
    snprintf(path, sizeof(path), "/networks/sandbox-%s-full", instance);
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
}

static int
setup(void **state)
{
    struct reply r;

    (void)state;
    check_without_a_network();
    assert_int_equal(host_shell("tests/api/internet up"), 0);
    permit("198.51.100.80", "elements = { 198.51.100.80 }");
    r = run(ALICE, "1", "true");
    snprintf(box, sizeof(box), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    return 0;
}

static int
teardown(void **state)
{
    put_policy("null");
    yaml_restore();
    remove_containers(state);
    return host_shell("tests/api/internet down");
}

static void
the_internet_is_reached_by_address_and_by_name(void **state)
{
    struct reply r = fetch(ALICE, "/containers/%s", box);

    (void)state;
    assert_string_equal(text_at(&r, "network"), "Full");
    reply_done(&r);
    assert_full_network("bridge");
    assert_reached("9.9.9.9 198.51.100.80 www.reached.example",
                   "9.9.9.9 198.51.100.80 www.reached.example ");
}

/* Special addresses, the nameserver's other ports among them, and every way to write one. */
static void
special_addresses_are_refused_however_they_are_spelled(void **state)
{
    (void)state;
    permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    assert_reached(SPECIAL " 198.51.100.53", SPECIAL " 198.51.100.53 ");
    assert_reached(SPELLINGS, SPELLINGS " ");
    permit("198.51.100.80, 'fd00::/8'", "elements = { 198.51.100.80 }");
    assert_reached(SPECIAL " 198.51.100.53", "");
    assert_reached(SPELLINGS, "");
    permit("198.51.100.80, 10.1.2.0/24", "elements = { 10.1.2.0/24, 198.51.100.80 }");
    assert_reached(SPECIAL, "10.1.2.3 ");
    permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* Every address that this machine has, at the port where nginx listens on all of them. */
static void
the_host_is_out_of_reach(void **state)
{
    static const char script[] = "for a in %s; do nc -w 5 $a %s </dev/null 2>/dev/null && echo $a;"
                                 " done; true";
    const char *port = strrchr(getenv("SANDBOX_URL"), ':') + 1; /* NOLINT(concurrency-mt-unsafe) */
    _cleanup_(freep) char *addresses = NULL;
    char number[8], command[SCRIPT_SIZE];
    struct reply r;

    (void)state;
    snprintf(number, sizeof(number), "%.*s", (int)strspn(port, "0123456789"), port);
    assert_int_equal(host_shell("ip -4 -o address | awk '{ sub(\"/.*\", \"\", $4); print $4 }' |"
                                " tr '\\n' ' ' >\"$SANDBOX_STATE/addresses\""),
                     0);
    addresses = state_file("addresses");
    assert_non_null(strstr(addresses, "127.0.0.1 "));
    assert_non_null(strstr(addresses, "198.51.100.1 ")); /* the wire's end, and then the bridge */
    assert_int_equal(host_shell("for a in %s; do busybox nc -w 5 $a %s </dev/null || exit 1; done",
                                addresses, number),
                     0);
    permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    snprintf(command, sizeof(command), script, addresses, number);
    r = run(ALICE, "1", command);
    assert_string_equal(text_at(&r, "stdout"), "");
    reply_done(&r);
    permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* Have something listen on port 8000 in the container of @user's session @session, and return its
 * address; the caller frees. */
static char *
listen_in(const char *user, const char *session)
{
    struct reply r =
        execute(user, "{s:s, s:s, s:s, s:s, s:b}", "agent_id", "full", "session_id", session,
                "tier", "Elevated", "command", "nc -ll -p 8000 -e echo reached", "background", 1);
    char *address;

    assert_status(&r, 202);
    reply_done(&r);
    r = run(user, session,
            "until nc -w 1 127.0.0.1 8000 2>&1 | grep -q reached; do usleep 50000; done;"
            " ip -4 -o address show eth0 | sed 's|.*inet ||; s|/.*||' | tr -d '\\n'");
    address = strdup(text_at(&r, "stdout"));
    assert_non_null(address);
    assert_true(strlen(address) > strlen("1.1.1.1"));
    reply_done(&r);
    return address;
}

static void
another_container_is_out_of_reach(void **state)
{
    static const struct {
        const char *user, *session;
    } others[] = {{ALICE, "2"}, {ADMIN, "1"}};

    (void)state;
    permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char command[SCRIPT_SIZE];
        _cleanup_(freep) char *address = listen_in(others[i].user, others[i].session);
        struct reply r;

        snprintf(command, sizeof(command), "nc -w 5 %s 8000 </dev/null", address);
        r = run(others[i].user, others[i].session, command);
        assert_string_equal(text_at(&r, "stdout"), "reached\n");
        reply_done(&r);
        r = run(ALICE, "1", command);
        assert_string_equal(text_at(&r, "stdout"), "");
        assert_int_not_equal(int_at(&r, "exit_code"), 0);
        reply_done(&r);
    }
    permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* The container's first process, as the host numbers it. */
static long long
pid_of_box(void)
{
    char name[128], path[192];
    struct reply r;
    long long pid;

    host_engine_name(box, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    pid = int_at(&r, "State.Pid");
    reply_done(&r);
    return pid;
}

/* Run @command of the host's in the network namespace of the container. */
static int
in_its_namespace(const char *command)
{
    return host_shell("nsenter --net=/proc/%lld/ns/net %s", pid_of_box(), command);
}

/* The internet's own counter @counter of @protocol, as in /proc/net/snmp. */
static int
arrived(const char *protocol, const char *counter)
{
    _cleanup_(freep) char *text = NULL;

    assert_int_equal(
        host_shell("tests/api/internet count %s %s >\"$SANDBOX_STATE/count\"", protocol, counter),
        0);
    text = state_file("count");
    assert_non_null(text);
    return atoi(text); /* NOLINT(cert-err34-c): a number of the kernel's */
}

/* A command cannot make packets up; and if it could (here root does it), they went nowhere. */
static void
a_source_that_is_made_up_is_dropped(void **state)
{
    struct reply r = run(ALICE, "1", "ping -c 1 -W 1 198.51.100.80");
    int before = arrived("Icmp", "InEchos");

    (void)state;
    assert_int_not_equal(int_at(&r, "exit_code"), 0);
    assert_non_null(strstr(text_at(&r, "stderr"), "permission denied"));
    reply_done(&r);
    assert_int_equal(in_its_namespace("busybox ping -c 1 -W 5 198.51.100.80 >/dev/null"), 0);
    assert_int_equal(arrived("Icmp", "InEchos"), before + 1);
    assert_int_equal(in_its_namespace("ip address add 10.66.0.1/32 dev eth0"), 0);
    assert_int_not_equal(
        in_its_namespace("busybox ping -c 1 -W 1 -I 10.66.0.1 198.51.100.80 >/dev/null"), 0);
    assert_int_equal(in_its_namespace("ip address delete 10.66.0.1/32 dev eth0"), 0);
    assert_int_equal(arrived("Icmp", "InEchos"), before + 1);
}

/* Send a datagram each from @count ports to one where nobody listens, and end the process. */
static void
send_datagrams(int count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9999)};

    inet_pton(AF_INET, "198.51.100.80", &to.sin_addr);
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || sendto(fd, "", 1, 0, (const struct sockaddr *)&to, sizeof(to)) != 1)
            _exit(1);
        close(fd);
    }
    _exit(0);
}

/* Every connection takes room in a table of the kernel's that is everybody's. The kernel forgets
 * some while it counts, so that a few more come through. */
static void
connections_of_a_container_are_limited(void **state)
{
    int before = arrived("Udp", "NoPorts"), status = 0, fd;
    char path[64];
    pid_t pid;

    (void)state;
    snprintf(path, sizeof(path), "/proc/%lld/ns/net", pid_of_box());
    pid = fork();
    if (pid == 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
            _exit(2);
        send_datagrams(2 * CONNECTIONS_MAX);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_in_range(arrived("Udp", "NoPorts") - before, CONNECTIONS_MAX / 2,
                    CONNECTIONS_MAX + CONNECTIONS_MAX / 4);
    assert_reached_by("2", "9.9.9.9", "9.9.9.9 "); /* another container goes on */
}

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
    struct reply r = run(ALICE, "1", "nslookup www.reached.example | grep -q 198.51.100.80");

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
    wait_until(has_spoken, id, PATIENCE_SECONDS, "an echo");
    assert_resolves(true);
    put_policy("{\"enabled\": true, \"blocked_domains\": [\"blocked.example\"]}");
    wait_until(has_ended, id, PATIENCE_SECONDS, "the end of the connection");
    assert_full_network("proxy");
    assert_reached("9.9.9.9 198.51.100.80 www.reached.example", "");
    assert_resolves(false);
    put_policy("{\"enabled\": false}"); /* the list alone blocks nothing */
    wait_for_filter("th dport 53 accept");
    assert_full_network("bridge");
    assert_reached("9.9.9.9 198.51.100.80 www.reached.example",
                   "9.9.9.9 198.51.100.80 www.reached.example ");
    put_policy("null");
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
        wait_until(looks_as_before, NULL, PATIENCE_SECONDS, tampering[i]);
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
    assert_true(filter_has(closed));
    assert_reached("10.1.2.3 9.9.9.9", "9.9.9.9 ");
    host_wait_role("broker", 1, brokers.list[0]);
    assert_true(filter_has(closed));
    assert_reached("10.1.2.3 9.9.9.9", "9.9.9.9 ");
}

static void
act_on_box(const char *verb)
{
    struct reply r = act(ALICE, "POST", "/containers/%s/%s", box, verb);

    assert_status(&r, 200);
    reply_done(&r);
}

/* Whether every port of the bridge is isolated, and there is one. */
static void
assert_isolated(void)
{
    assert_int_equal(host_shell("cat /sys/class/net/sbx$(cut -c 1-12 \"$SANDBOX_STATE/instance\")"
                                "/brif/*/isolated | sort -u | grep -qx 1"),
                     0);
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
    r = act(ALICE, "POST", "/containers/%s/snapshots", box);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", box, snapshot);
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
    wait_until(pool_is_ready, NULL, PATIENCE_SECONDS, "the pool to be filled");
    r = run(ALICE, "pooled",
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc www.reached.example 80 | grep ^reached;"
            " nc 10.1.2.3 80; nslookup www.reached.example | grep -c 198.51.100.80");
    assert_string_equal(text_at(&r, "stdout"), "reached\n1\n");
    reply_done(&r);
    r = fetch(ADMIN, "/pool");
    assert_int_equal(int_at(&r, "pools.0.claimed"), 1);
    reply_done(&r);
    assert_isolated();
    permit("198.51.100.80", "elements = { 198.51.100.80 }");
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
suite_full(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_internet_is_reached_by_address_and_by_name),
        cmocka_unit_test(special_addresses_are_refused_however_they_are_spelled),
        cmocka_unit_test(the_host_is_out_of_reach),
        cmocka_unit_test(another_container_is_out_of_reach),
        cmocka_unit_test(a_source_that_is_made_up_is_dropped),
        cmocka_unit_test(connections_of_a_container_are_limited),
        cmocka_unit_test(blocked_domains_close_it_for_what_is_open_too),
        cmocka_unit_test(a_filter_that_somebody_takes_away_comes_back),
        cmocka_unit_test(the_filter_outlives_the_broker),
        cmocka_unit_test(a_container_keeps_its_network),
        cmocka_unit_test(a_container_of_the_pool_has_it_too),
        cmocka_unit_test(a_stopped_server_leaves_nothing_and_starts_again),
    };

    if (host_shell("tests/api/internet possible") != 0) {
        print_error("SKIPPED: full: this kernel has no network namespaces or no nftables\n");
        return 0;
    }
    return cmocka_run_group_tests_name("full", tests, setup, teardown);
}
