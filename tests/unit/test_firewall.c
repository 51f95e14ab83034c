/*
 * The packet filter of network Full: its text, the nameservers in it, and, where this process may
 * have a network namespace of its own, the kernel's opinion.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/broker/bridge.h"
#include "backend/broker/firewall.h"
#include "backend/cleanup.h"

#define COMMON                                                                                     \
    "\tset connections {\n"                                                                        \
    "\t\ttype ipv4_addr\n"                                                                         \
    "\t\tsize 65535\n"                                                                             \
    "\t\tflags dynamic\n"                                                                          \
    "\t}\n"                                                                                        \
    "\tchain forward {\n"                                                                          \
    "\t\ttype filter hook forward priority filter - 10; policy accept;\n"                          \
    "\t\tiifname $full jump outward\n"                                                             \
    "\t\toifname $full jump inward\n"                                                              \
    "\t}\n"                                                                                        \
    "\tchain input {\n"                                                                            \
    "\t\ttype filter hook input priority filter - 10; policy accept;\n"                            \
    "\t\tiifname $full jump refuse\n"                                                              \
    "\t}\n"                                                                                        \
    "\tchain postrouting {\n"                                                                      \
    "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"                              \
    "\t\tiifname $full masquerade\n"                                                               \
    "\t}\n"                                                                                        \
    "\tchain refuse {\n"                                                                           \
    "\t\tmeta l4proto tcp reject with tcp reset\n"                                                 \
    "\t\treject with icmpx admin-prohibited\n"                                                     \
    "\t}\n"

static const char open_end[] =
    COMMON "\tchain outward {\n"
           "\t\tmeta nfproto != ipv4 drop\n"
           "\t\tfib saddr . iif oif missing drop\n"
           "\t\toifname $full drop\n"
           "\t\tct state new add @connections { ip saddr ct count over 1024 } drop\n"
           "\t\tip daddr @nameservers meta l4proto { tcp, udp } th dport 53 accept\n"
           "\t\tip daddr @permitted accept\n"
           "\t\tip daddr @special jump refuse\n"
           "\t}\n"
           "\tchain inward {\n"
           "\t\tmeta nfproto ipv4 ct state established,related accept\n"
           "\t\tdrop\n"
           "\t}\n"
           "}\n";
static const char closed_end[] = COMMON "\tchain outward {\n"
                                        "\t\tmeta nfproto != ipv4 drop\n"
                                        "\t\tjump refuse\n"
                                        "\t}\n"
                                        "\tchain inward {\n"
                                        "\t\tdrop\n"
                                        "\t}\n"
                                        "}\n";

static const char *cidrs[] = {"10.1.0.0/16", "fd00::/8", "192.0.2.7"};
static const struct strings permitted = {.items = cidrs, .count = ARRAY_LEN(cidrs)};
static const struct strings nobody;

/* A filter with everything in it. */
static struct firewall
usual(void)
{
    struct firewall f = {.table = "sandboxd_1", .bridge = "sbx1", .permitted = &permitted};

    f.nameservers.count = 2;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.53", &f.nameservers.list[0]), 1);
    assert_int_equal(inet_pton(AF_INET, "198.51.100.53", &f.nameservers.list[1]), 1);
    return f;
}

/* The text of @f; the caller frees. */
static char *
text_of(const struct firewall *f)
{
    _cleanup_(buf_done) struct buf text;

    buf_init(&text, FIREWALL_TEXT_MAX);
    assert_int_equal(firewall_text(f, &text, NULL), 0);
    return buf_take(&text);
}

static void
assert_begins(const char *text, const char *beginning)
{
    if (strncmp(text, beginning, strlen(beginning)) != 0)
        fail_msg("does not begin with \"%s\": %s", beginning, text);
}

static void
assert_ends(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    if (len < end_len || strcmp(text + len - end_len, end) != 0)
        fail_msg("does not end with \"%s\": %s", end, text);
}

static void
the_table_is_replaced_whole_and_lets_the_internet_through(void **state)
{
    const struct firewall f = usual();
    _cleanup_(freep) char *text = text_of(&f);

    (void)state;
    assert_begins(text, "define full = \"sbx1\"\n"
                        "add table inet sandboxd_1\n"
                        "delete table inet sandboxd_1\n"
                        "table inet sandboxd_1 {\n");
    assert_ends(text, open_end);
    assert_non_null(strstr(text, "\tset permitted {\n"
                                 "\t\ttype ipv4_addr\n"
                                 "\t\tflags interval\n"
                                 "\t\tauto-merge\n"
                                 "\t\telements = { 10.1.0.0/16, 192.0.2.7 }\n"
                                 "\t}\n"));
    assert_non_null(strstr(text, "\tset nameservers {\n"
                                 "\t\ttype ipv4_addr\n"
                                 "\t\tflags interval\n"
                                 "\t\tauto-merge\n"
                                 "\t\telements = { 192.0.2.53, 198.51.100.53 }\n"
                                 "\t}\n"));
}

static void
a_closed_one_lets_nothing_through(void **state)
{
    struct firewall f = usual();
    _cleanup_(freep) char *text = NULL;

    (void)state;
    f.closed = true;
    text = text_of(&f);
    assert_ends(text, closed_end);
    assert_int_equal(strlen(strstr(text, "\tset connections")), strlen(closed_end));
    assert_null(strstr(text, "accept\n"));
}

/* Ranges that nobody may leave out: each has to be named, or to lie in one that is. */
static void
special_ranges_are_in_it(void **state)
{
    static const char *const ranges[] = {"0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",
                                         "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12",
                                         "192.168.0.0/16", "198.18.0.0/15",  "203.0.113.0/24",
                                         "224.0.0.0/4",    "240.0.0.0/4"};
    const struct firewall f = usual();
    _cleanup_(freep) char *text = text_of(&f);
    char *set = strstr(text, "set special {");

    (void)state;
    assert_non_null(set);
    *strstr(set, "set permitted {") = '\0';
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (!strstr(set, ranges[i]))
            fail_msg("%s is not among %s", ranges[i], set);
}

static void
what_is_no_cidr_never_gets_into_the_text(void **state)
{
    static const char *const bad[] = {"10.0.0.1/8", "10.0.0.0/33", "example.org", "",
                                      "10.0.0.0/8 } } ; flush ruleset"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *items[] = {"10.1.0.0/16", bad[i]};
        const struct strings list = {.items = items, .count = ARRAY_LEN(items)};
        struct firewall f = usual();
        _cleanup_(buf_done) struct buf text;
        struct error err = {0};

        f.permitted = &list;
        buf_init(&text, FIREWALL_TEXT_MAX);
        if (firewall_text(&f, &text, &err) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(err.code, ERR_VALIDATION);
    }
}

static void
assert_nameservers(const struct nameservers *n, const char *expected)
{
    char text[128] = "", address[INET_ADDRSTRLEN];

    for (size_t i = 0; i < n->count; i++) {
        inet_ntop(AF_INET, &n->list[i], address, sizeof(address));
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", address);
    }
    assert_string_equal(text, expected);
}

static void
nameservers_are_the_configured_ones_that_a_container_can_ask(void **state)
{
    const char *items[] = {"127.0.0.1",        "192.0.2.1:5353", "2001:db8::1", "0.0.0.0",
                           "[2001:db8::1]:53", "192.0.2.2:53",   "192.0.2.3",   "127.9.9.9:53",
                           "192.0.2.4",        "192.0.2.5"};
    const struct strings all = {.items = items, .count = ARRAY_LEN(items)};
    const struct strings loopback = {.items = items, .count = 1};
    struct nameservers n = nameservers_find(&all, "/etc/resolv.conf");

    (void)state;
    assert_nameservers(&n, "192.0.2.2 192.0.2.3 192.0.2.4 ");
    n = nameservers_find(&loopback, "/etc/resolv.conf"); /* what is configured is not replaced */
    assert_nameservers(&n, "");
}

static void
nameservers_are_else_those_of_resolv_conf(void **state)
{
    static const char text[] = "# nameserver 192.0.2.9\n"
                               "search example.org\n"
                               "nameserver 127.0.0.53\n"
                               "nameserver\t192.0.2.1 # the first\n"
                               "nameserver 2001:db8::1\n"
                               "nameserver192.0.2.8\n"
                               "nameserver\n"
                               "nameserver 192.0.2.1000000000000000000\n"
                               "options ndots:2\n"
                               "nameserver   192.0.2.2";
    char path[] = "/tmp/test-firewall.XXXXXX";
    int fd = mkstemp(path);
    struct nameservers n;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    n = nameservers_find(&nobody, path);
    unlink(path);
    assert_nameservers(&n, "192.0.2.1 192.0.2.2 ");
    n = nameservers_find(&nobody, path);
    assert_nameservers(&n, "");
}

static void
nameservers_are_written_in_place(void **state)
{
    struct nameservers n = usual().nameservers, none = {0};
    char path[] = "/tmp/test-firewall.XXXXXX", text[128] = "";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(nameservers_write(&n, path, NULL), 0);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "nameserver 192.0.2.53\nnameserver 198.51.100.53\n");
    assert_int_equal(nameservers_write(&none, path, NULL), 0);
    memset(text, 0, sizeof(text));
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "nameserver 240.0.0.1\n");
    close(fd);
    unlink(path);
    assert_int_equal(nameservers_write(&n, "/nonexistent/resolv.conf", NULL), -EIO);
    assert_true(nameservers_same(&n, &n));
    assert_false(nameservers_same(&n, &none));
}

/* Whether the tests that follow have a network namespace for themselves. */
static bool alone;

static void
need_namespace(void)
{
    if (alone)
        return;
    print_error("SKIPPED: no network namespace of one's own here (not root?)\n");
    skip();
}

static int
shell(const char *command)
{
    return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): the test's own words */
}

static void
the_kernel_takes_it_and_shows_what_becomes_of_it(void **state)
{
    struct firewall f = usual();
    _cleanup_(freep) char *put = NULL, *again = NULL, *now = NULL, *shut = NULL;

    (void)state;
    need_namespace();
    assert_int_equal(firewall_list(&f, &now, NULL), -ENOENT);
    assert_int_equal(firewall_apply(&f, &put, NULL), 0);
    assert_int_equal(firewall_list(&f, &now, NULL), 0);
    assert_string_equal(now, put);
    assert_int_equal(firewall_apply(&f, &again, NULL), 0); /* in its own place */
    assert_string_equal(again, put);
    f.closed = true;
    assert_int_equal(firewall_apply(&f, &shut, NULL), 0);
    assert_string_not_equal(shut, put);
    assert_null(strstr(shut, "@permitted"));
}

static void
a_filter_that_the_kernel_refuses_leaves_the_old_one(void **state)
{
    struct firewall f = usual(), bad = usual();
    _cleanup_(freep) char *put = NULL, *now = NULL, *none = NULL;
    struct error err = {0};

    (void)state;
    need_namespace();
    assert_int_equal(firewall_apply(&f, &put, NULL), 0);
    snprintf(bad.bridge, sizeof(bad.bridge), "\"");
    assert_int_equal(firewall_apply(&bad, &none, &err), -EIO);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_null(none);
    assert_int_equal(firewall_list(&f, &now, NULL), 0);
    assert_string_equal(now, put);
}

/* The engine's nameserver is refused to a container, and to nobody else. */
static void
a_container_does_not_hear_of_others(void **state)
{
    struct error err = {0};
    int ready[2], status = 0;
    char command[160], byte;
    pid_t pid;

    (void)state;
    need_namespace();
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(firewall_silence(pid, NULL), 0);
    assert_int_equal(firewall_silence(pid, NULL), 0); /* again, after a restart */
    snprintf(command, sizeof(command),
             "nsenter --net=/proc/%d/ns/net nft list ruleset | grep -q '127.0.0.11 reject'", pid);
    assert_int_equal(shell(command), 0);
    assert_int_not_equal(shell("nft list ruleset | grep -q '127.0.0.11 reject'"), 0);
    assert_int_equal(firewall_silence(getpid(), &err), -EIO); /* this machine's own */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(firewall_silence(pid, NULL), -EIO);
    close(ready[0]);
    close(ready[1]);
}

static void
a_bridge_is_taken_up_and_down_and_its_ports_apart(void **state)
{
    (void)state;
    need_namespace();
    assert_false(bridge_exists("sbx1"));
    assert_int_equal(bridge_set_up("sbx1", true, NULL), 0);
    assert_int_equal(bridge_isolate("sbx1", NULL), 0);
    assert_int_equal(shell("ip link add sbx1 type bridge && ip link add one type veth peer name two"
                           " && ip link set one master sbx1"),
                     0);
    assert_true(bridge_exists("sbx1"));
    assert_int_equal(bridge_set_up("sbx1", true, NULL), 0);
    assert_int_equal(shell("ip -o link show sbx1 up | grep -q sbx1"), 0);
    assert_int_equal(bridge_set_up("sbx1", false, NULL), 0);
    assert_int_not_equal(shell("ip -o link show sbx1 up | grep -q sbx1"), 0);
    assert_int_not_equal(shell("ip -d link show one | grep -q 'isolated on'"), 0);
    assert_int_equal(bridge_isolate("sbx1", NULL), 0);
    assert_int_equal(shell("ip -d link show one | grep -q 'isolated on'"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_replaced_whole_and_lets_the_internet_through),
        cmocka_unit_test(a_closed_one_lets_nothing_through),
        cmocka_unit_test(special_ranges_are_in_it),
        cmocka_unit_test(what_is_no_cidr_never_gets_into_the_text),
        cmocka_unit_test(nameservers_are_the_configured_ones_that_a_container_can_ask),
        cmocka_unit_test(nameservers_are_else_those_of_resolv_conf),
        cmocka_unit_test(nameservers_are_written_in_place),
        cmocka_unit_test(the_kernel_takes_it_and_shows_what_becomes_of_it),
        cmocka_unit_test(a_filter_that_the_kernel_refuses_leaves_the_old_one),
        cmocka_unit_test(a_container_does_not_hear_of_others),
        cmocka_unit_test(a_bridge_is_taken_up_and_down_and_its_ports_apart),
    };

    /* What /sys shows of the network is that of whoever mounted it. */
    alone = unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            mount("sysfs", "/sys", "sysfs", 0, NULL) == 0;
    return cmocka_run_group_tests_name("firewall", tests, NULL, NULL);
}
