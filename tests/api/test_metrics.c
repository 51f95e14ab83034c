/* GET metrics and run/metrics.sock: what is counted is counted once, by all processes together. */
#include "tests/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/net.h"
#include "tests/api/scraped.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { WORKERS = 2, PARALLEL = 24, SILENT = 80, PATIENCE_SECONDS = 60 };

#define REQUESTS(route, status) "sandboxd_requests_total{route=\"" route "\",status=\"" status "\"}"
#define ENDED(tier, result) "sandboxd_executions_total{tier=\"" tier "\",result=\"" result "\"}"
#define DECIDED(decision, rule)                                                                    \
    "sandboxd_egress_decisions_total{decision=\"" decision "\",rule=\"" rule "\"}"
#define TAKEN(route) "sandboxd_request_duration_seconds_count{route=\"" route "\"}"

#define AGENT "some-agent"

#define SOCKET_CURL                                                                                \
    "curl --silent --show-error --max-time 60 --unix-socket \"$SANDBOX_STATE/run/metrics.sock\" "

/* Run a command of the shell that writes to a file; what it wrote, the caller's. */
static char *
output_of(const char *command)
{
    char *text;

    assert_int_equal(host_shell("{ %s ; } >\"$SANDBOX_STATE/metrics-out\" 2>&1", command), 0);
    text = state_file("metrics-out");
    host_shell("rm \"$SANDBOX_STATE/metrics-out\"");
    assert_non_null(text);
    return text;
}

static void
requests_are_counted_by_route_and_status(void **state)
{
    struct parallel calls[PARALLEL] = {0};
    json_auto_t *before = scraped(), *now = NULL;

    (void)state;
    for (size_t i = 0; i < PARALLEL; i++)
        calls[i] = (struct parallel){.user = ALICE, .method = "GET", .path = "/tiers"};
    calls[0].path = "/tiers?none=1";
    calls[1].path = "/nothing/here";
    calls[2] = (struct parallel){.user = ALICE, .method = "DELETE", .path = "/tiers"};
    calls[3] = (struct parallel){.user = ALICE, .method = "GET", .path = "/audit/entry-of-nobody"};
    calls[4] = (struct parallel){
        .user = ALICE, .method = "POST", .path = "/execute", .body = "{\"command\": 7}"};
    call_parallel(calls, PARALLEL);
    for (size_t i = 0; i < PARALLEL; i++)
        reply_done(&calls[i].reply);
    now = scraped();
    assert_scraped_rise(before, now, REQUESTS("GET /tiers", "200"), PARALLEL - 5);
    assert_scraped_rise(before, now, REQUESTS("GET /tiers", "400"), 1);
    assert_scraped_rise(before, now, REQUESTS("none", "404"), 1);
    assert_scraped_rise(before, now, REQUESTS("none", "405"), 1);
    assert_scraped_rise(before, now, REQUESTS("GET /audit/{id}", "404"), 1);
    assert_scraped_rise(before, now, REQUESTS("POST /execute", "422"), 1);
    assert_scraped_rise(before, now, REQUESTS("GET /metrics", "200"), 1);
    assert_scraped_rise(before, now, TAKEN("GET /tiers"), PARALLEL - 4);
    assert_true(scraped_value(now, "process_start_time_seconds") > 1700000000);
    assert_int_equal(scraped_value(now, "sandboxd_workers"), WORKERS);
}

static struct reply
run_as(const char *tier, const char *command, int timeout_seconds, bool background)
{
    return execute(ALICE, "{s:s, s:s, s:s, s:s, s:i, s:b}", "agent_id", AGENT, "tier", tier,
                   "session_id", "s", "command", command, "timeout_seconds", timeout_seconds,
                   "background", background);
}

static bool
is_over(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s", (const char *)arg);
    bool over = strcmp(text_at(&r, "status"), "running") != 0;

    reply_done(&r);
    return over;
}

static void
executions_are_counted_by_tier_and_result(void **state)
{
    static const struct {
        const char *tier, *command;
        int timeout_seconds;
        long status;
    } runs[] = {
        {"Sandbox", "true", 10, 200},      {"Sandbox", "exit 3", 10, 200},
        {"Sandbox", "sleep 60", 1, 200},   {"Standard", "true", 10, 200},
        {"Unrestricted", "true", 10, 403}, {"No-Such-Tier", "true", 10, 422},
    };
    json_auto_t *before = scraped(), *now = NULL;
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        r = run_as(runs[i].tier, runs[i].command, runs[i].timeout_seconds, false);
        assert_status(&r, runs[i].status);
        reply_done(&r);
    }
    r = run_as("Sandbox", "true", 10, true);
    assert_status(&r, 202);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(is_over, id, PATIENCE_SECONDS, "the end of what runs in the background");
    now = scraped();
    assert_scraped_rise(before, now, ENDED("Sandbox", "completed"), 2);
    assert_scraped_rise(before, now, ENDED("Sandbox", "failed"), 1);
    assert_scraped_rise(before, now, ENDED("Sandbox", "timed_out"), 1);
    assert_scraped_rise(before, now, ENDED("Standard", "completed"), 1);
    assert_scraped_rise(before, now, ENDED("Unrestricted", "refused"), 1);
    assert_scraped_rise(before, now, ENDED("No-Such-Tier", "refused"), 0);
    assert_scraped_rise(before, now, ENDED("other", "refused"), 0);
    assert_scraped_rise(before, now, "sandboxd_docker_call_duration_seconds_count{call=\"create\"}",
                        2);
    assert_scraped_rise(before, now, "sandboxd_containers{status=\"running\"}", 2);
    assert_true(scraped_value(now, "sandboxd_sqlite_write_wait_seconds_count") >
                scraped_value(before, "sandboxd_sqlite_write_wait_seconds_count"));
    assert_true(scraped_value(now, "sandboxd_sqlite_write_hold_seconds_sum") >
                scraped_value(before, "sandboxd_sqlite_write_hold_seconds_sum"));
    remove_containers(NULL);
}

static bool
series_is(const char *series, double value)
{
    json_auto_t *now = scraped();

    return scraped_value(now, series) == value;
}

static bool
one_thread_is_busy(void *arg)
{
    (void)arg;
    return series_is("sandboxd_threads_busy{lane=\"execution\"}", 1) &&
           series_is("sandboxd_executions_running", 1);
}

static bool
service_answers(void *arg)
{
    struct reply r = call(ALICE, "GET", "/status", NULL, NULL);
    bool answers = r.status == 200;

    (void)arg;
    reply_done(&r);
    return answers;
}

static bool
nothing_runs(void *arg)
{
    (void)arg;
    return series_is("sandboxd_executions_running", 0);
}

/* What dead workers have counted stays; what they were at does not. */
static void
counts_outlive_killed_workers(void **state)
{
    struct pids workers = host_role("worker");
    json_auto_t *before = scraped(), *running = NULL, *now = NULL;
    struct flight *flight = flight_post(ALICE, "/execute", "{s:s, s:s, s:s}", "agent_id", AGENT,
                                        "tier", "Sandbox", "command", "sleep 600");
    struct reply r;

    (void)state;
    for (int i = 0; i < PARALLEL; i++) {
        r = fetch(ALICE, "/whoami");
        reply_done(&r);
    }
    wait_until(one_thread_is_busy, NULL, PATIENCE_SECONDS, "the execution to be counted");
    running = scraped();
    assert_scraped_rise(before, running, REQUESTS("GET /whoami", "200"), PARALLEL);
    assert_int_equal(workers.count, WORKERS);
    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], SIGKILL), 0);
    r = flight_land(flight);
    reply_done(&r);
    for (size_t i = 0; i < workers.count; i++)
        host_wait_role("worker", WORKERS, workers.list[i]);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    wait_until(nothing_runs, NULL, PATIENCE_SECONDS, "what ran to be recorded");
    r = fetch(ALICE, "/whoami");
    reply_done(&r);
    now = scraped();
    assert_scraped_rise(running, now, REQUESTS("GET /whoami", "200"), 1);
    assert_scraped_rise(running, now, TAKEN("GET /whoami"), 1);
    assert_scraped_rise(running, now, ENDED("Sandbox", "interrupted"), 1);
    assert_int_equal(scraped_value(now, "sandboxd_threads_busy{lane=\"execution\"}"), 0);
    assert_int_equal(scraped_value(now, "sandboxd_threads_busy{lane=\"control\"}"), 1);
    remove_containers(NULL);
}

static void
egress_decisions_are_counted_by_kind(void **state)
{
    json_auto_t *before = scraped(), *now = NULL;

    (void)state;
    net_prints(AGENT, NET_FETCH, NET_HELLO);
    net_prints(AGENT, NET_WGET "http://bad.allowed.example/hello 2>/dev/null; echo $?", "1\n");
    net_prints(AGENT, NET_WGET "http://other.example/hello 2>/dev/null; echo $?", "1\n");
    net_prints(AGENT, NET_WGET "http://private.example/hello 2>/dev/null; echo $?", "1\n");
    now = scraped();
    assert_scraped_rise(before, now, DECIDED("allowed", "allowed_domains"), 1);
    assert_scraped_rise(before, now, DECIDED("refused", "blocked_domains"), 1);
    assert_scraped_rise(before, now, DECIDED("refused", "allowed_domains"), 1);
    assert_scraped_rise(before, now, DECIDED("refused", "address"), 1);
    assert_scraped_rise(before, now, DECIDED("refused", "other"), 0);
}

/* After the tests above, which have names enough to leak. */
static void
nobody_is_named(void **state)
{
    static const char *const secrets[] = {ALICE,      BOB,          ADMIN,   AGENT,
                                          "example",  "container_", "exec_", "No-Such-Tier",
                                          "/nothing", "sleep"};
    struct reply r = call(ADMIN, "GET", "/metrics", NULL, NULL);

    (void)state;
    assert_status(&r, 200);
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (strstr(r.body, secrets[i]))
            fail_msg("'%s' is in %s", secrets[i], r.body);
    reply_done(&r);
}

static void
only_admins_may_ask(void **state)
{
    static const struct {
        const char *user;
        long status;
        const char *code;
    } cases[] = {{ALICE, 403, "forbidden"}, {VIEWER, 403, "forbidden"}};
    json_auto_t *before = scraped(), *now = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(cases[i].user, "GET", "/metrics", NULL, NULL);

        assert_problem(&r, cases[i].status, cases[i].code);
        reply_done(&r);
    }
    now = scraped();
    assert_scraped_rise(before, now, REQUESTS("GET /metrics", "403"), 2);
}

static void
the_socket_says_the_same(void **state)
{
    static const struct {
        const char *arguments, *status;
    } refused[] = {
        {"http://localhost/", "404"},
        {"http://localhost/metrics/", "404"},
        {"--data x http://localhost/metrics", "413"},
        {"--request DELETE http://localhost/metrics", "501"},
        {"--header \"x: $(head -c 9000 /dev/zero | tr '\\0' x)\" http://localhost/metrics", "400"},
    };
    _cleanup_(freep) char *text = output_of(SOCKET_CURL "http://localhost/metrics");
    _cleanup_(freep) char *head = output_of(SOCKET_CURL "--head http://localhost/metrics");
    json_auto_t *from_socket = scraped_parse(text), *from_api = scraped();
    const char *series;
    json_t *value;

    (void)state;
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    json_object_foreach(from_socket, series, value)
        assert_non_null(json_object_get(from_api, series));
    assert_scraped_rise(from_socket, from_api, REQUESTS("GET /tiers", "200"), 0);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char command[1024];
        _cleanup_(freep) char *status = NULL;

        snprintf(command, sizeof(command),
                 SOCKET_CURL "--output /dev/null --write-out '%%{http_code}' %s",
                 refused[i].arguments);
        status = output_of(command);
        if (strcmp(status, refused[i].status) != 0)
            fail_msg("%s: %s, not %s", refused[i].arguments, status, refused[i].status);
    }
}

static void
the_socket_is_for_root_and_the_service(void **state)
{
    _cleanup_(freep) char *mode =
        output_of("stat -c '%a %U %G' \"$SANDBOX_STATE/run/metrics.sock\"");

    (void)state;
    assert_string_equal(mode, "660 root sandboxd\n");
    assert_int_equal(host_shell("setpriv --reuid nobody --regid nogroup --clear-groups " SOCKET_CURL
                                "http://localhost/metrics >/dev/null 2>&1"),
                     7);
    assert_int_equal(
        host_shell("setpriv --reuid www-data --regid www-data --clear-groups " SOCKET_CURL
                   "http://localhost/metrics >/dev/null 2>&1"),
        7);
    assert_int_equal(
        host_shell("setpriv --reuid sandboxd --regid sandboxd --clear-groups " SOCKET_CURL
                   "http://localhost/metrics >/dev/null"),
        0);
}

/* As many as say nothing are let go in time, and who asks then is answered. */
static void
silent_connections_are_bounded(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[STEP_PATH_SIZE];
    _cleanup_(freep) char *text = NULL;
    json_auto_t *samples = NULL;
    int fds[SILENT];

    (void)state;
    state_path("run/metrics.sock", path);
    assert_true(snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) <
                (int)sizeof(address.sun_path));
    for (size_t i = 0; i < SILENT; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&address, sizeof(address)), 0);
        if (i % 2)
            assert_int_equal(write(fds[i], "GET /met", 8), 8);
    }
    text = output_of(SOCKET_CURL "http://localhost/metrics");
    samples = scraped_parse(text);
    assert_true(json_object_size(samples) > 0);
    for (size_t i = 0; i < SILENT; i++)
        close(fds[i]);
}

static void
its_process_comes_back(void **state)
{
    struct pids pids = host_role("metrics");
    json_auto_t *before = scraped(), *now = NULL;
    _cleanup_(freep) char *text = NULL;

    (void)state;
    assert_int_equal(pids.count, 1);
    assert_int_equal(kill(pids.list[0], SIGKILL), 0);
    host_wait_role("metrics", 1, pids.list[0]);
    text = output_of(SOCKET_CURL "http://localhost/metrics");
    now = scraped_parse(text);
    assert_scraped_rise(before, now, REQUESTS("GET /tiers", "200"), 0);
}

int
suite_metrics(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_counted_by_route_and_status),
        cmocka_unit_test(executions_are_counted_by_tier_and_result),
        cmocka_unit_test(counts_outlive_killed_workers),
        cmocka_unit_test(egress_decisions_are_counted_by_kind),
        cmocka_unit_test(nobody_is_named),
        cmocka_unit_test(only_admins_may_ask),
        cmocka_unit_test(the_socket_says_the_same),
        cmocka_unit_test(the_socket_is_for_root_and_the_service),
        cmocka_unit_test(silent_connections_are_bounded),
        cmocka_unit_test(its_process_comes_back),
    };

    return cmocka_run_group_tests_name("metrics", tests, net_open, net_close);
}
