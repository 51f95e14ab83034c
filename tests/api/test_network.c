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

enum { PATIENCE_SECONDS = 60 };

/* The status of a refusal, whose body says why. */
#define STATUS(url) "wget -O /dev/null " url " 2>&1 | grep -o 'HTTP/1.1 [0-9]*'"

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
             " http_proxy=http://127.0.0.1:3128 " NET_FETCH " 2>/dev/null && echo fetched; :",
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
             " env -u http_proxy -u HTTP_PROXY " NET_FETCH
             " 2>/dev/null && echo fetched; " NET_FETCH,
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
    net_container_of("environment", id);
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
    wait_until(net_has_ended, id, PATIENCE_SECONDS, "the end of what is not allowed any more");
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "stdout"), "http://127.0.0.1:3128\n1\n");
    reply_done(&r);
    net_comes_to_print("slow", STATUS("http://allowed.example/hello"), "HTTP/1.1 403\n");
    net_comes_to_print("slow", NET_WGET "http://other.example/hello", NET_HELLO);
    net_policy(NET_POLICY);
    net_comes_to_print("slow", NET_FETCH, NET_HELLO);
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
    net_comes_to_print("closed", NET_FETCH, NET_HELLO);
}

static void
without_its_proxy_a_container_reaches_nothing_until_it_is_back(void **state)
{
    struct pids proxy = host_role("egress");
    pid_t manager = host_pid_file("run/sandboxd.pid");

    (void)state;
    assert_int_equal(proxy.count, 1);
    net_prints("orphan", NET_FETCH, NET_HELLO);
    kill(manager, SIGSTOP); /* it would have another one at once */
    kill(proxy.list[0], SIGKILL);
    net_comes_to_print("orphan", NET_FETCH " 2>/dev/null || echo $?", "1\n");
    kill(manager, SIGCONT);
    host_wait_role("egress", 1, proxy.list[0]);
    net_comes_to_print("orphan", NET_FETCH, NET_HELLO);
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
                             "echo $http_proxy; " NET_WGET
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

#define DISABLED "{\"network_policy\": {\"enabled\": false}}"
#define BY_THE_PROXY "http_proxy=http://127.0.0.1:3128 "

/* An execution of alice's agent "untiered", which names no tier, prints @expected. */
struct print {
    const char *command, *expected;
};

static bool
is_printed(void *arg)
{
    const struct print *p = arg;
    struct reply r = net_run(ALICE, "untiered", NULL, p->command);
    bool printed = strcmp(text_at(&r, "stdout"), p->expected) == 0;

    reply_done(&r);
    return printed;
}

static void
untiered_comes_to_print(const char *command, const char *expected)
{
    struct print print = {command, expected};

    wait_until(is_printed, &print, PATIENCE_SECONDS, command);
}

/* The container @id is shown with @network, and explain says so too, and what it makes of
 * allowed.example. */
static void
assert_untiered(const char *id, const char *network, bool allowed, const char *rule)
{
    struct reply r = fetch(ALICE, "/containers/%s", id);

    assert_true(null_at(&r, "tier"));
    assert_string_equal(text_at(&r, "network"), network);
    reply_done(&r);
    r = fetch(ALICE, "/containers?agent_id=untiered");
    assert_string_equal(text_at(&r, "containers.0.id"), id);
    assert_string_equal(text_at(&r, "containers.0.network"), network);
    reply_done(&r);
    r = call(
        ALICE, "POST", "/explain",
        "{\"agent_id\": \"untiered\", \"session_id\": \"net\", \"domain\": \"allowed.example\"}",
        NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), id);
    assert_string_equal(text_at(&r, "network.mode"), network);
    assert_string_equal(text_at(&r, "network.source"), "PUT config: network_policy.enabled");
    assert_int_equal(bool_at(&r, "network.domain.allowed"), allowed);
    assert_string_equal(text_at(&r, "network.domain.rule"), rule);
    reply_done(&r);
}

static void
assert_untiered_while_disabled(const char *id)
{
    assert_untiered(id, "None", false, "network_policy.enabled is false");
    untiered_comes_to_print(
        "env | grep -i proxy; ls /sys/class/net;"
        " tail -n +2 /proc/net/route; " NET_FETCH
        " 2>/dev/null || echo $?; " BY_THE_PROXY STATUS("http://allowed.example/hello"),
        "lo\n1\nHTTP/1.1 403\n");
}

/* The execution @id has printed @stdout_text so far. */
struct so_far {
    const char *id, *stdout_text;
};

static bool
has_printed(void *arg)
{
    const struct so_far *s = arg;
    struct reply r = fetch(ALICE, "/audit/%s/output", s->id);
    bool printed = strcmp(text_at(&r, "stdout"), s->stdout_text) == 0;

    reply_done(&r);
    return printed;
}

static void
comes_to_have_printed(const char *execution, const char *expected)
{
    struct so_far so_far = {execution, expected};

    wait_until(has_printed, &so_far, PATIENCE_SECONDS, expected);
}

/* A command that is refused, comes through later, and then holds a connection open. */
static void
start_patient(char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "agent_id", "untiered", "session_id",
                             "net", "command",
                             "export " BY_THE_PROXY "; " NET_FETCH " 2>/dev/null || echo refused;"
                             " until " NET_FETCH " 2>/dev/null; do usleep 50000; done;"
                             " wget -q -O slow http://allowed.example/slow; echo cut: $?",
                             "background", 1);

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
    comes_to_have_printed(ret_id, "refused\n");
}

/* How many attempts of the container @id an entry with this @rule is about. */
static size_t
count_attempts(const char *id, const char *rule)
{
    struct reply r = net_attempts_of(ALICE, id);
    const json_t *entry;
    size_t i, count = 0;

    json_array_foreach(at(&r, "entries"), i, entry)
    {
        assert_true(json_is_null(json_object_get(entry, "tier")));
        count += strcmp(json_string_value(json_object_get(entry, "rule")), rule) == 0;
    }
    reply_done(&r);
    return count;
}

static void
without_a_tier_the_policy_opens_and_closes_what_runs_already(void **state)
{
    char id[STEP_ID_SIZE], patient[STEP_ID_SIZE], slow[] = "untiered/slow";
    struct reply r;

    (void)state;
    net_policy(DISABLED);
    r = net_run(ALICE, "untiered", NULL, "true");
    snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    assert_untiered_while_disabled(id);
    start_patient(patient);

    net_policy(NET_POLICY);
    comes_to_have_printed(patient, "refused\n" NET_HELLO);
    wait_until(is_written, slow, PATIENCE_SECONDS, "the first bytes");
    untiered_comes_to_print(
        "echo $http_proxy; " NET_FETCH "; ls /sys/class/net;"
        " tail -n +2 /proc/net/route; " STATUS("http://bad.allowed.example/hello"),
        "http://127.0.0.1:3128\n" NET_HELLO "lo\nHTTP/1.1 403\n");
    assert_untiered(id, "Restricted", true, "network_policy.allowed_domains: allowed.example");

    net_policy(DISABLED);
    wait_until(net_has_ended, patient, PATIENCE_SECONDS, "the end of what was open");
    comes_to_have_printed(patient, "refused\n" NET_HELLO "cut: 1\n");
    assert_untiered_while_disabled(id);
    assert_int_not_equal(count_attempts(id, "network_policy.enabled is false"), 0);
    assert_int_not_equal(count_attempts(id, "network_policy.allowed_domains: allowed.example"), 0);
    net_policy(NET_POLICY);
}

/* However it came to run again while the policy was disabled, it can be opened. */
static void
without_a_tier_starts_and_rollbacks_keep_the_way_out(void **state)
{
    char id[STEP_ID_SIZE], snapshot[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    net_policy(DISABLED);
    r = net_run(ALICE, "untiered", NULL, "true");
    snprintf(id, sizeof(id), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/snapshots", id);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "network"), "None");
    reply_done(&r);
    net_policy(NET_POLICY);
    untiered_comes_to_print(NET_FETCH, NET_HELLO);
    net_policy(DISABLED);
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", id, snapshot);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "network"), "None");
    reply_done(&r);
    assert_untiered_while_disabled(id);
    net_policy(NET_POLICY);
    untiered_comes_to_print(NET_FETCH, NET_HELLO);
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
        cmocka_unit_test(services_on_the_hosts_loopback_are_not_reached),
        cmocka_unit_test(full_goes_by_the_proxy_while_domains_are_blocked),
        cmocka_unit_test(without_a_tier_the_policy_opens_and_closes_what_runs_already),
        cmocka_unit_test(without_a_tier_starts_and_rollbacks_keep_the_way_out),
    };

    return cmocka_run_group_tests_name("network", tests, net_open, net_close);
}
