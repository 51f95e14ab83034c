/* What containers of each network reach, through the real proxy and a nameserver and web server of
 * the tests' own. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/net.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { PATIENCE_SECONDS = 60, LOOP = 500, NO_FILES = 1 /* the directory itself is counted */ };

/* busybox's wget prints the body, and says on stderr what the server answered. */
#define WGET "wget -q -O - "
#define HELLO WGET "http://allowed.example/hello"
/* The status of a refusal, whose body says why. */
#define STATUS(url) "wget -O /dev/null " url " 2>&1 | grep -o 'HTTP/1.1 [0-9]*'"

/* The session "net" of alice's @agent: its container, once it has one. */
static void
container_of(const char *agent, char ret[STEP_ID_SIZE])
{
    struct reply r = net_run(ALICE, agent, "Standard", "true");

    snprintf(ret, STEP_ID_SIZE, "%s", text_at(&r, "container_id"));
    reply_done(&r);
}

static void
none_has_no_route_no_names_and_no_proxy(void **state)
{
    char command[1024];
    struct reply r;

    (void)state;
    snprintf(command, sizeof(command),
             "ls /sys/class/net; tail -n +2 /proc/net/route; ls /.sandbox; env | grep -i proxy;"
             " nslookup allowed.example >/dev/null 2>&1 && echo resolved;"
             " nc -w 2 127.0.0.1 3128 </dev/null 2>&1 && echo proxied;"
             " nc -w 2 192.0.2.1 80 </dev/null 2>&1 && echo connected;"
             " nc -w 2 %s.80 80 </dev/null 2>&1 && echo connected;"
             " http_proxy=http://127.0.0.1:3128 " HELLO " 2>/dev/null && echo fetched; :",
             net_prefix());
    r = net_run(ALICE, "none", "Sandbox", command);
    snprintf(command, sizeof(command),
             "lo\nguest\nrun\n"
             "nc: can't connect to remote host (127.0.0.1): Connection refused\n"
             "nc: can't connect to remote host (192.0.2.1): Network is unreachable\n"
             "nc: can't connect to remote host (%s.80): Connection refused\n",
             net_prefix());
    assert_string_equal(text_at(&r, "stdout"), command);
    reply_done(&r);
}

static void
restricted_has_the_proxy_and_nothing_else(void **state)
{
    char command[1024];

    (void)state;
    snprintf(command, sizeof(command),
             "ls /sys/class/net; tail -n +2 /proc/net/route; ls /.sandbox;"
             " touch /.sandbox/egress/x 2>&1; rm -f /.sandbox/egress/proxy 2>&1;"
             " nslookup allowed.example >/dev/null 2>&1 && echo resolved;"
             " nc -w 2 192.0.2.1 80 </dev/null 2>&1 && echo connected;"
             " nc -w 2 %s.80 80 </dev/null >/dev/null 2>&1 && echo connected;"
             " env -u http_proxy -u HTTP_PROXY " HELLO " 2>/dev/null && echo fetched; " HELLO,
             net_prefix());
    net_prints("only", command,
               "lo\negress\nguest\nrun\n"
               "touch: /.sandbox/egress/x: Read-only file system\n"
               "rm: can't remove '/.sandbox/egress/proxy': Read-only file system\n"
               "nc: can't connect to remote host (192.0.2.1): Network is unreachable\n" NET_HELLO);
}

/* Spellings of hosts, and what they get; the rule of a name is the one that explain names too. */
static const struct {
    const char *url, *status, *domain, *rule;
} hosts[] = {
    {"http://allowed.example/hello", "", "allowed.example",
     "network_policy.allowed_domains: allowed.example"},
    {"http://ALLOWED.example./hello", "", "ALLOWED.example",
     "network_policy.allowed_domains: allowed.example"},
    {"http://deep.er.allowed.example/hello", "", "deep.er.allowed.example",
     "network_policy.allowed_domains: *.allowed.example"},
    {"http://bad.allowed.example/hello", "HTTP/1.1 403\n", "bad.allowed.example",
     "network_policy.blocked_domains: bad.allowed.example"},
    {"http://other.example/hello", "HTTP/1.1 403\n", "other.example",
     "network_policy.allowed_domains does not name it"},
    {"http://allowed.example:8080/hello", "HTTP/1.1 403\n", NULL, NULL},
    {"http://missing.example/hello", "HTTP/1.1 403\n", "missing.example",
     "network_policy.allowed_domains does not name it"},
    /* Names that are allowed, but lead where nothing is to be reached. */
    {"http://private.example/hello", "HTTP/1.1 403\n", NULL, NULL},
    {"http://metadata.example/hello", "HTTP/1.1 403\n", NULL, NULL},
    {"http://loop.example/hello", "HTTP/1.1 403\n", NULL, NULL},
    {"http://127.0.0.1./hello", "HTTP/1.1 400\n", NULL, NULL},
    {"http://2130706433/hello", "HTTP/1.1 403\n", NULL, NULL},
    {"http://[::ffff:127.0.0.1]/hello", "HTTP/1.1 403\n", NULL, NULL},
};

static void
names_decide_and_so_do_their_addresses(void **state)
{
    char command[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(command, sizeof(command),
                 "wget -O /dev/null '%s' 2>&1 | grep -o 'HTTP/1.1 [0-9]*'; :", hosts[i].url);
        net_prints("names", command, hosts[i].status);
    }
    /* No literal is allowed that is not listed, also of an address that names may lead to. */
    snprintf(command, sizeof(command), STATUS("http://%s.80/hello") "; :", net_prefix());
    net_prints("names", command, "HTTP/1.1 403\n");
}

static void
explain_says_what_happens(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char body[256];
        struct reply r;

        if (!hosts[i].domain)
            continue;
        snprintf(body, sizeof(body),
                 "{\"command\": \"true\", \"tier\": \"Standard\", \"domain\": \"%s\"}",
                 hosts[i].domain);
        r = call(ALICE, "POST", "/explain", body, NULL);
        assert_status(&r, 200);
        assert_int_equal(bool_at(&r, "network.domain.allowed"), hosts[i].status[0] == '\0');
        assert_string_equal(text_at(&r, "network.domain.rule"), hosts[i].rule);
        reply_done(&r);
    }
}

static void
the_proxy_is_in_the_environment_unless_the_request_says_otherwise(void **state)
{
    static const char expected[] =
        "ALL_PROXY=http://127.0.0.1:3128\nHTTPS_PROXY=http://127.0.0.1:3128\n"
        "HTTP_PROXY=http://127.0.0.1:3128\nNO_PROXY=localhost,127.0.0.1,::1\n"
        "all_proxy=http://127.0.0.1:3128\nhttp_proxy=http://127.0.0.1:3128\n"
        "https_proxy=http://127.0.0.1:3128\nno_proxy=localhost,127.0.0.1,::1\n";
    char id[STEP_ID_SIZE], path[STEP_ID_SIZE + 32];
    struct reply r;

    (void)state;
    net_prints("environment", "env | grep -i proxy | sort", expected);
    container_of("environment", id);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(ALICE, "POST", path, "{\"command\": \"env | grep -i proxy | sort\"}", NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), expected);
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "agent_id", "environment",
                "session_id", "net", "tier", "Standard", "command",
                "echo $http_proxy,$HTTP_PROXY,$all_proxy,$MINE", "env", "http_proxy", "", "MINE",
                "too");
    assert_string_equal(text_at(&r, "stdout"),
                        ",http://127.0.0.1:3128,http://127.0.0.1:3128,too\n");
    reply_done(&r);
}

static bool
has_ended(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s", (const char *)arg);
    bool ended = strcmp(text_at(&r, "status"), "running") != 0;

    reply_done(&r);
    return ended;
}

/* Whether alice's agent has written something to the file @arg of its workspace. */
static bool
is_written(void *arg)
{
    return host_shell("test -s \"$SANDBOX_STATE/workspaces/alice/%s\"", (const char *)arg) == 0;
}

/* Start @command in the background, and wait until it has written to the file slow. */
static void
start_slow(const char *command, char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:b}", "agent_id", "slow", "session_id",
                             "net", "tier", "Standard", "command", command, "background", 1);
    char file[] = "slow/slow";

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(is_written, file, PATIENCE_SECONDS, "the first bytes");
}

static void
a_change_of_the_policy_ends_what_is_open_and_opens_what_was_refused(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    start_slow("echo $http_proxy; wget -q -O slow http://allowed.example/slow; echo $?", id);
    net_prints("slow", STATUS("http://other.example/hello"), "HTTP/1.1 403\n");
    net_policy("{\"network_policy\": {\"allowed_domains\": [\"other.example\"]}}");
    wait_until(has_ended, id, PATIENCE_SECONDS, "the end of what is not allowed any more");
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "stdout"), "http://127.0.0.1:3128\n1\n");
    reply_done(&r);
    net_comes_to_print("slow", STATUS("http://allowed.example/hello"), "HTTP/1.1 403\n");
    net_comes_to_print("slow", WGET "http://other.example/hello", NET_HELLO);
    net_policy(NET_POLICY);
    net_comes_to_print("slow", HELLO, NET_HELLO);
}

static void
without_a_policy_or_an_allowed_domain_restricted_reaches_nothing(void **state)
{
    (void)state;
    net_policy("{\"network_policy\": {\"allowed_domains\": []}}");
    net_comes_to_print("closed", STATUS("http://allowed.example/hello"), "HTTP/1.1 403\n");
    net_policy("{\"network_policy\": {\"enabled\": false, \"allowed_domains\": "
               "[\"allowed.example\"]}}");
    net_comes_to_print("closed", STATUS("http://allowed.example/hello"), "HTTP/1.1 403\n");
    net_policy(NET_POLICY);
    net_comes_to_print("closed", HELLO, NET_HELLO);
}

static void
without_its_proxy_a_container_reaches_nothing_until_it_is_back(void **state)
{
    struct pids proxy = host_role("egress");
    pid_t manager = host_pid_file("run/sandboxd.pid");

    (void)state;
    assert_int_equal(proxy.count, 1);
    net_prints("orphan", HELLO, NET_HELLO);
    kill(manager, SIGSTOP); /* it would have another one at once */
    kill(proxy.list[0], SIGKILL);
    net_comes_to_print("orphan", HELLO " 2>/dev/null || echo $?", "1\n");
    kill(manager, SIGCONT);
    host_wait_role("egress", 1, proxy.list[0]);
    net_comes_to_print("orphan", HELLO, NET_HELLO);
}

/* The entries of kind `network` of a container; the caller frees the reply. */
static struct reply
attempts_of(const char *user, const char *id)
{
    return fetch(user, "/audit?kind=network&container_id=%s&limit=500", id);
}

/* The entry of an attempt at port 80 of @host; fails the test if there is none. */
static const json_t *
attempt_at(const struct reply *r, const char *host)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(at(r, "entries"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "host")), host) == 0 &&
            json_integer_value(json_object_get(entry, "port")) == 80)
            return entry;
    }
    fail_msg("no attempt at %s: %s", host, r->body);
    return NULL;
}

static void
assert_attempt(const struct reply *r, const char *host, bool allowed, const char *rule)
{
    const json_t *e = attempt_at(r, host);

    assert_int_equal(json_is_true(json_object_get(e, "allowed")), allowed);
    assert_string_equal(json_string_value(json_object_get(e, "rule")), rule);
    assert_string_equal(json_string_value(json_object_get(e, "status")),
                        allowed ? "completed" : "refused");
    assert_string_equal(json_string_value(json_object_get(e, "tier")), "Standard");
}

static void
every_attempt_is_in_the_audit_log_with_the_rule_that_decided(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    container_of("audited", id);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char command[256];

        snprintf(command, sizeof(command), "wget -q -O /dev/null '%s'", hosts[i].url);
        r = net_run(ALICE, "audited", "Standard", command);
        reply_done(&r);
    }
    r = attempts_of(ALICE, id);
    assert_attempt(&r, "allowed.example", true, "network_policy.allowed_domains: allowed.example");
    assert_attempt(&r, "bad.allowed.example", false,
                   "network_policy.blocked_domains: bad.allowed.example");
    assert_attempt(&r, "other.example", false, "network_policy.allowed_domains does not name it");
    assert_attempt(&r, "private.example", false,
                   "10.1.2.3 is no address of the internet, nor in egress.permit_addresses");
    assert_attempt(&r, "metadata.example", false,
                   "169.254.169.254 is no address of the internet, nor in egress.permit_addresses");
    reply_done(&r);
}

static void
a_loop_of_attempts_makes_few_entries(void **state)
{
    char id[STEP_ID_SIZE], command[160];
    struct reply r;

    (void)state;
    container_of("loop", id);
    snprintf(
        command, sizeof(command),
        "for i in $(seq %d); do " WGET "http://bad.allowed.example/ 2>/dev/null; done; :", LOOP);
    net_prints("loop", command, "");
    r = attempts_of(ALICE, id);
    assert_in_range(json_array_size(at(&r, "entries")), 1, 20);
    reply_done(&r);
}

static void
one_owners_attempts_are_not_anothers(void **state)
{
    struct reply alice = net_run(ALICE, "mine", "Standard", HELLO), bob, r;

    (void)state;
    bob = net_run(BOB, "mine", "Standard", WGET "http://hers.allowed.example/hello");
    assert_string_equal(text_at(&bob, "stdout"), NET_HELLO);
    r = attempts_of(ALICE, text_at(&alice, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.host"), "allowed.example");
    assert_string_equal(text_at(&r, "entries.0.owner"), ALICE);
    reply_done(&r);
    r = attempts_of(BOB, text_at(&bob, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.host"), "hers.allowed.example");
    assert_string_equal(text_at(&r, "entries.0.owner"), BOB);
    reply_done(&r);
    r = attempts_of(BOB, text_at(&alice, "container_id"));
    assert_int_equal(json_array_size(at(&r, "entries")), 0);
    reply_done(&r);
    reply_done(&alice);
    reply_done(&bob);
}

static void
services_on_the_hosts_loopback_are_not_reached(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char command[512];

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(command, sizeof(command),
             "nc -w 2 127.0.0.1 %d </dev/null 2>&1; " STATUS("http://loop.example:%d/") "; " STATUS(
                 "http://127.0.0.1:%d/") ";"
                                         " http_proxy= wget -q -O /dev/null http://127.0.0.1:%d/ "
                                         "2>/dev/null || echo $?",
             ntohs(address.sin_port), ntohs(address.sin_port), ntohs(address.sin_port),
             ntohs(address.sin_port));
    net_prints("host", command,
               "nc: can't connect to remote host (127.0.0.1): Connection refused\n"
               "HTTP/1.1 403\nHTTP/1.1 403\n1\n");
    assert_int_equal(accept(fd, NULL, NULL), -1);
}

static void
full_goes_by_the_proxy_while_domains_are_blocked(void **state)
{
    struct reply r = net_run(ALICE, "full", "Elevated",
                             "echo $http_proxy; " WGET
                             "http://other.example/hello; " STATUS("http://bad.allowed.example/"));

    (void)state;
    assert_string_equal(text_at(&r, "stdout"),
                        "http://127.0.0.1:3128\n" NET_HELLO "HTTP/1.1 403\n");
    reply_done(&r);
    net_policy("{\"network_policy\": {\"blocked_domains\": []}}");
    r = net_run(ALICE, "full", "Elevated", "env | grep -i proxy; :");
    assert_string_equal(text_at(&r, "stdout"), "");
    reply_done(&r);
    net_policy(NET_POLICY);
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
    container_of("life", id);
    before = count_files("egress");
    assert_int_equal(before, NO_FILES + 2); /* its directory, and the socket */
    r = act(ALICE, "POST", "/containers/%s/snapshots", id);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    reply_done(&r);
    net_prints("life", HELLO, NET_HELLO);
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", id, snapshot);
    assert_status(&r, 200);
    reply_done(&r);
    net_prints("life", HELLO, NET_HELLO);
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
    container_of("crowd", id);
    r = net_run(ALICE, "crowd", "Standard", "while sleep 600 & do echo one; done");
    for (const char *p = text_at(&r, "stdout"); (p = strchr(p, '\n')); p++)
        count++;
    assert_int_equal(count, 50); /* of tier Standard */
    reply_done(&r);
    net_prints("crowd", HELLO, NET_HELLO);
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
    r = net_run(ALICE, "pooled", "Standard", HELLO);
    assert_string_equal(text_at(&r, "stdout"), NET_HELLO);
    snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    assert_int_equal(warm_figure("claimed"), 1);
    assert_int_equal(ask_from_within(pid), 200);
    r = attempts_of(ALICE, id);
    assert_attempt(&r, "allowed.example", true, "network_policy.allowed_domains: allowed.example");
    reply_done(&r);
    net_pool(NULL);
}

int
suite_network(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_has_no_route_no_names_and_no_proxy),
        cmocka_unit_test(restricted_has_the_proxy_and_nothing_else),
        cmocka_unit_test(names_decide_and_so_do_their_addresses),
        cmocka_unit_test(explain_says_what_happens),
        cmocka_unit_test(the_proxy_is_in_the_environment_unless_the_request_says_otherwise),
        cmocka_unit_test(a_change_of_the_policy_ends_what_is_open_and_opens_what_was_refused),
        cmocka_unit_test(without_a_policy_or_an_allowed_domain_restricted_reaches_nothing),
        cmocka_unit_test(without_its_proxy_a_container_reaches_nothing_until_it_is_back),
        cmocka_unit_test(every_attempt_is_in_the_audit_log_with_the_rule_that_decided),
        cmocka_unit_test(a_loop_of_attempts_makes_few_entries),
        cmocka_unit_test(one_owners_attempts_are_not_anothers),
        cmocka_unit_test(services_on_the_hosts_loopback_are_not_reached),
        cmocka_unit_test(full_goes_by_the_proxy_while_domains_are_blocked),
        cmocka_unit_test(stopping_and_rolling_back_keep_the_way_out_and_removing_ends_it),
        cmocka_unit_test(a_directory_that_a_crash_left_is_cleared_up),
        cmocka_unit_test(the_relay_is_none_of_the_processes_that_a_container_may_have),
        cmocka_unit_test(a_container_of_the_pool_reaches_nothing_until_it_is_somebodys),
    };

    return cmocka_run_group_tests_name("network", tests, net_open, net_close);
}
