/*
 * Containers of network Full, on a real bridge, in front of an internet of the tests' own
 * (tests/api/internet). What is not reached is there, too: the same servers answer where they may
 * be reached.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/full.h"
#include "tests/api/host.h"
#include "tests/api/suite.h"

enum { CONNECTIONS_MAX = 1024 };

#define SPECIAL                                                                                    \
    "10.1.2.3 10.255.0.1 172.16.5.5 172.31.0.1 192.168.7.7 169.254.169.254 169.254.1.1 "           \
    "100.64.0.1 100.127.255.254 192.0.0.8 192.0.2.99 198.18.0.1 203.0.113.5 240.0.0.9"
#define SPELLINGS                                                                                  \
    "0x0a010203 167838211 012.01.02.03 10.1.515 ::ffff:10.1.2.3 ::ffff:a01:203 "                   \
    "host.private.example"

static void
the_internet_is_reached_by_address_and_by_name(void **state)
{
    struct reply r = fetch(ALICE, "/containers/%s", full_box);

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
    full_permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    assert_reached(SPECIAL " 198.51.100.53", SPECIAL " 198.51.100.53 ");
    assert_reached(SPELLINGS, SPELLINGS " ");
    full_permit("198.51.100.80, 'fd00::/8'", "elements = { 198.51.100.80 }");
    assert_reached(SPECIAL " 198.51.100.53", "");
    assert_reached(SPELLINGS, "");
    full_permit("198.51.100.80, 10.1.2.0/24", "elements = { 10.1.2.0/24, 198.51.100.80 }");
    assert_reached(SPECIAL, "10.1.2.3 ");
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

static void
the_host_is_out_of_reach(void **state)
{
    (void)state;
    assert_host_out_of_reach("1");
}

static void
another_container_is_out_of_reach(void **state)
{
    static const struct {
        const char *user, *session;
    } others[] = {{ALICE, "2"}, {ADMIN, "1"}};

    (void)state;
    full_permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char command[FULL_SCRIPT_SIZE];
        _cleanup_(freep) char *address = full_listen(others[i].user, others[i].session);
        struct reply r;

        snprintf(command, sizeof(command), "nc -w 5 %s 8000 </dev/null", address);
        r = full_run(others[i].user, others[i].session, command);
        assert_string_equal(text_at(&r, "stdout"), "reached\n");
        reply_done(&r);
        r = full_run(ALICE, "1", command);
        assert_string_equal(text_at(&r, "stdout"), "");
        assert_int_not_equal(int_at(&r, "exit_code"), 0);
        reply_done(&r);
    }
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

/* Names and addresses of other containers, from the engine's own nameserver. */
static void
another_container_is_not_heard_of(void **state)
{
    _cleanup_(freep) char *address = full_listen(ADMIN, "1");
    char command[FULL_SCRIPT_SIZE];
    struct reply r = full_run(ALICE, "1", "cat /etc/resolv.conf");

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "nameserver 198.51.100.53\n");
    reply_done(&r);
    snprintf(command, sizeof(command),
             "nslookup %s; nslookup %s 127.0.0.11;"
             " for p in $(awk '/0B00007F/ { split($2, a, \":\"); print a[2] }' /proc/net/udp);"
             " do nslookup -port=$((0x$p)) %s 127.0.0.11; done",
             address, address, address);
    r = full_run(ALICE, "1", command);
    assert_null(strstr(text_at(&r, "stdout"), "container_"));
    assert_non_null(strstr(text_at(&r, "stdout"), "NXDOMAIN")); /* the internet's */
    reply_done(&r);
}

/* The container's first process, as the host numbers it. */
static long long
pid_of_box(void)
{
    char name[128], path[192];
    struct reply r;
    long long pid;

    host_engine_name(full_box, name, sizeof(name));
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
    struct reply r = full_run(ALICE, "1", "ping -c 1 -W 1 198.51.100.80");
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

/*
 * While somebody else's network has the name of ours, there is none to give: the container has the
 * loopback alone.
 */
static void
a_container_without_a_bridge_has_no_network(void **state)
{
    _cleanup_(freep) char *instance = state_file("instance");
    char path[128], body[128];
    struct reply r;

    remove_containers(state);
    snprintf(path, sizeof(path), "/networks/sandbox-%s-full", instance);
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    snprintf(body, sizeof(body), "{\"Name\": \"sandbox-%s-full\"}", instance);
    r = host_engine("POST", "/networks/create", body);
    assert_status(&r, 201);
    reply_done(&r);
    r = full_run(ALICE, "without", "ls /sys/class/net");
    assert_string_equal(text_at(&r, "stdout"), "lo\n");
    reply_done(&r);
    assert_full_network("none");
    r = host_engine("DELETE", path, NULL);
    assert_status(&r, 204);
    reply_done(&r);
}

int
suite_full(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_internet_is_reached_by_address_and_by_name),
        cmocka_unit_test(special_addresses_are_refused_however_they_are_spelled),
        cmocka_unit_test(the_host_is_out_of_reach),
        cmocka_unit_test(another_container_is_out_of_reach),
        cmocka_unit_test(another_container_is_not_heard_of),
        cmocka_unit_test(a_source_that_is_made_up_is_dropped),
        cmocka_unit_test(connections_of_a_container_are_limited),
        cmocka_unit_test(a_container_without_a_bridge_has_no_network), /* removes the others */
    };

    return full_possible() ? cmocka_run_group_tests_name("full", tests, full_open, full_close) : 0;
}
