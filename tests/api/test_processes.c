/*
 * What happens when processes of the service die, are told to reload, or get strange visitors; and
 * that a stop and a start lose nothing.
 */
#include "tests/test.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/fastcgi.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/suite.h"

enum { WORKERS = 2, SILENT_PEERS = 200, HALF_PEERS = 4, PARALLEL = 16, PATIENCE_SECONDS = 60 };

/* The container of a test, made before it and removed after it: alice's. */
static struct {
    char id[64];
    char path[96];
    char exec[128];
} box;

static int
box_open(void **state)
{
    struct reply r = call(ALICE, "POST", "/containers",
                          "{\"agent_id\": \"processes\", \"session_id\": \"1\"}", NULL);

    (void)state;
    assert_status(&r, 201);
    snprintf(box.id, sizeof(box.id), "%s", text_at(&r, "id"));
    snprintf(box.path, sizeof(box.path), "/containers/%s", box.id);
    snprintf(box.exec, sizeof(box.exec), "%s/exec", box.path);
    reply_done(&r);
    return 0;
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

static int
box_close(void **state)
{
    struct reply r;

    (void)state;
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    r = call(ALICE, "DELETE", box.path, NULL, NULL);
    assert_status(&r, 204);
    reply_done(&r);
    return 0;
}

static struct reply
run(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "processes", "session_id", "1",
                             "command", command);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), box.id);
    return r;
}

/* Whether as many `sleep 600` are in the sandbox as the int @arg says. */
static bool
sleepers_are(void *arg)
{
    struct reply r = run("n=0; for p in /proc/[0-9]*; do read -r name 2>/dev/null <$p/comm &&"
                         " [ \"$name\" = sleep ] && n=$((n + 1)); done; echo $n");
    bool as_many = strtol(text_at(&r, "stdout"), NULL, 10) == *(const int *)arg;

    reply_done(&r);
    return as_many;
}

static void
wait_for_sleepers(int count)
{
    wait_until(sleepers_are, &count, PATIENCE_SECONDS,
               count ? "the command to run" : "nothing of the command to be left");
}

/* The audit's word for the newest execution of `sleep 600 ...` by alice. */
static bool
sleep_is_audited_as(void *arg)
{
    struct reply r = call(ALICE, "GET", "/audit?agent_id=processes&limit=100", NULL, NULL);
    const char *status = "";
    json_t *entry;
    size_t i;
    bool equal;

    if (r.status != 200) {
        reply_done(&r);
        return false;
    }
    json_array_foreach(at(&r, "entries"), i, entry)
    {
        if (!strstr(json_string_value(json_object_get(entry, "command")), "sleep 600"))
            continue;
        status = json_string_value(json_object_get(entry, "status"));
        break;
    }
    equal = strcmp(status, arg) == 0;
    reply_done(&r);
    return equal;
}

static void
wait_for_audit(const char *status)
{
    wait_until(sleep_is_audited_as, __extension__(void *)(uintptr_t) status, PATIENCE_SECONDS,
               status);
}

static const char sleepers[] = "(setsid sleep 600 &); sleep 600";

static void
a_killed_worker_comes_back_and_its_execution_is_interrupted(void **state)
{
    struct flight *f = flight_post(ALICE, box.exec, "{s:s}", "command", sleepers);
    struct pids workers;
    struct reply r;

    (void)state;
    wait_for_sleepers(2);
    wait_for_audit("running");
    workers = host_role("worker");
    assert_int_equal(workers.count, WORKERS);
    /* Which of them serves it is not for the client to know. */
    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], SIGKILL), 0);
    r = flight_land(f);
    assert_in_range(r.status, 500, 599);
    assert_string_equal(r.content_type, "application/problem+json");
    reply_done(&r);
    for (size_t i = 0; i < workers.count; i++)
        host_wait_role("worker", WORKERS, workers.list[i]);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    wait_for_audit("interrupted");
    wait_for_sleepers(0);
}

static void
a_killed_broker_disturbs_no_execution_and_comes_back(void **state)
{
    struct flight *f = flight_post(ALICE, box.exec, "{s:s}", "command",
                                   "while [ ! -e go ]; do sleep 0.1; done; echo done");
    struct pids brokers = host_role("broker");
    struct reply r;

    (void)state;
    assert_int_equal(brokers.count, 1);
    assert_int_equal(kill(brokers.list[0], SIGKILL), 0);
    r = run("touch go"); /* goes on without a broker */
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    r = flight_land(f);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "done\n");
    reply_done(&r);
    host_wait_role("broker", 1, brokers.list[0]);
    r = execute(ALICE, "{s:s, s:s}", "agent_id", "processes", "command", "rm go; echo new");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "new\n");
    reply_done(&r);
}

static void
a_killed_janitor_comes_back(void **state)
{
    struct pids janitors = host_role("janitor");

    (void)state;
    assert_int_equal(janitors.count, 1);
    assert_int_equal(kill(janitors.list[0], SIGKILL), 0);
    host_wait_role("janitor", 1, janitors.list[0]);
}

static void
a_killed_proxy_comes_back(void **state)
{
    struct pids proxies = host_role("egress");

    (void)state;
    assert_int_equal(proxies.count, 1);
    assert_int_equal(kill(proxies.list[0], SIGKILL), 0);
    host_wait_role("egress", 1, proxies.list[0]);
}

static void
hang_up(void)
{
    pid_t manager = host_pid_file("run/sandboxd.pid");

    assert_true(manager > 0);
    assert_int_equal(kill(manager, SIGHUP), 0);
}

/* Whether GET tiers gives the first tier as many processes as the int @arg. */
static bool
first_tier_has_processes(void *arg)
{
    struct reply r = call(ALICE, "GET", "/tiers", NULL, NULL);
    bool equal;

    assert_status(&r, 200);
    equal = int_at(&r, "tiers.0.max_processes") == *(const int *)arg;
    reply_done(&r);
    return equal;
}

/* Whether status.yaml.error is null (@arg NULL) or holds the text @arg. */
static bool
yaml_error_is(void *arg)
{
    struct reply r = call(ALICE, "GET", "/status", NULL, NULL);
    bool matches;

    assert_status(&r, 200);
    if (arg)
        matches = !null_at(&r, "yaml.error") && strstr(text_at(&r, "yaml.error"), arg);
    else
        matches = null_at(&r, "yaml.error");
    reply_done(&r);
    return matches;
}

/*
 * Each answer comes from any of the workers, and each of them reloads by itself: what has been seen
 * once has to be seen in a row, until chance is out of the question.
 */
struct repeated {
    bool (*condition)(void *);
    void *arg;
};

static bool
holds_twenty_times(void *arg)
{
    const struct repeated *repeated = arg;

    for (int i = 0; i < 20; i++)
        if (!repeated->condition(repeated->arg))
            return false;
    return true;
}

static void
wait_for_all_workers(bool (*condition)(void *), void *arg, const char *what)
{
    struct repeated repeated = {condition, arg};

    wait_until(holds_twenty_times, &repeated, PATIENCE_SECONDS, what);
}

static const char tiers_file[] = "yaml/tiers.yaml";
static char *tiers_before;

static int
keep_tiers(void **state)
{
    tiers_before = state_file(tiers_file);
    return tiers_before ? box_open(state) : -1;
}

static int
restore_tiers(void **state)
{
    host_write(tiers_file, tiers_before);
    free(tiers_before);
    hang_up();
    return box_close(state);
}

static void
hup_reloads_and_a_bad_file_keeps_the_last_good(void **state)
{
    static char place[] = "tiers.yaml:3:5";
    int old_processes = 16, new_processes = 17;

    (void)state;
    assert_true(first_tier_has_processes(&old_processes));
    assert_int_equal(host_shell("sed -i '0,/max_processes: 16/s//max_processes: 17/' "
                                "\"$SANDBOX_STATE/yaml/tiers.yaml\""),
                     0);
    hang_up();
    wait_for_all_workers(first_tier_has_processes, &new_processes, "the new limit");
    host_write(tiers_file, "tiers:\n  Sandbox:\n    bogus: 1\n");
    hang_up();
    wait_for_all_workers(yaml_error_is, place, "the place of the error");
    assert_true(first_tier_has_processes(&new_processes));
    host_write(tiers_file, tiers_before);
    hang_up();
    wait_for_all_workers(yaml_error_is, NULL, "no error any more");
    wait_for_all_workers(first_tier_has_processes, &old_processes, "the old limit");
}

/* In a child: become @account, without anything of root's. */
static bool
become(const char *account)
{
    const struct passwd *p = getpwnam(account);

    return p && initgroups(account, p->pw_gid) == 0 && setgid(p->pw_gid) == 0 &&
           setuid(p->pw_uid) == 0;
}

static int
connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[PATH_MAX];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    host_path(name, path);
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Half of a FastCGI record's header. */
static const char half_record[] = {1, 1, 0, 1};

/*
 * In a child: connect often, say nothing or, some, half a record, report over @ready, and stay. Who
 * has begun to speak holds a thread until its time is over, so that these are fewer than there are
 * threads.
 */
static void
be_silent(const char *name, int ready)
{
    char done = 'n';
    int connected = 0;

    if (become("www-data")) {
        for (int i = 0; i < SILENT_PEERS; i++) {
            int fd = connect_to(name);

            connected += fd >= 0;
            if (fd >= 0 && i < HALF_PEERS && write(fd, half_record, sizeof(half_record)) < 0)
                connected--;
        }
    }
    if (connected == SILENT_PEERS)
        done = 'y';
    if (write(ready, &done, 1) == 1)
        pause();
    _exit(0);
}

static void
silent_peers_keep_nobody_waiting(void **state)
{
    static const char *const names[] = {"run/control.sock", "run/exec.sock", "run/auth.sock"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int ready[2];
        char done = 'n';
        pid_t pid;

        print_message("    %s\n", names[i]);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0)
            be_silent(names[i], ready[1]);
        close(ready[1]);
        assert_int_equal(read(ready[0], &done, 1), 1);
        close(ready[0]);
        assert_int_equal(done, 'y');
        for (int n = 0; n < 5; n++) {
            struct reply r = run("echo hi");

            assert_string_equal(text_at(&r, "stdout"), "hi\n");
            reply_done(&r);
            assert_true(service_answers(NULL));
        }
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* they were there all the time */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void
only_nginx_account_is_served(void **state)
{
    static const struct {
        const char *account;
        long status; /* 0: closed without an answer */
    } cases[] = {{"www-data", 200}, {"root", 0}, {"nobody", 0}, {"sandboxd", 0}};
    static const char *const sockets[] = {"control.sock", "exec.sock"};
    struct fastcgi_param params[8];

    (void)state;
    fastcgi_params(params, ADMIN, "GET", "/status");
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(sockets); i++) {
        struct reply r = fastcgi_call(cases[i / 2].account, sockets[i % 2], params, NULL, 0);

        print_message("    %s, %s\n", cases[i / 2].account, sockets[i % 2]);
        assert_status(&r, cases[i / 2].status);
        reply_done(&r);
    }
}

static void
assert_process_status(pid_t pid, const char *key, const char *expected)
{
    _cleanup_(freep) char *value = host_status(pid, key);

    assert_non_null(value);
    value[strcspn(value, "\t ")] = '\0';
    if (strcmp(value, expected) != 0)
        fail_msg("%s of process %d is '%s', not '%s'", key, (int)pid, value, expected);
}

static void
only_the_broker_is_root(void **state)
{
    static const char *const unprivileged[] = {"worker", "janitor", "builder", "egress", "metrics"};
    static const char *const capabilities[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    const struct passwd *account = getpwnam("sandboxd");
    struct pids broker = host_role("broker");
    char uid[16], gid[16];

    (void)state;
    assert_non_null(account);
    snprintf(uid, sizeof(uid), "%d", (int)account->pw_uid);
    snprintf(gid, sizeof(gid), "%d", (int)account->pw_gid);
    assert_int_equal(broker.count, 1);
    assert_process_status(broker.list[0], "Uid", "0");
    for (size_t i = 0; i < ARRAY_LEN(unprivileged); i++) {
        struct pids pids = host_role(unprivileged[i]);

        assert_true(pids.count > 0);
        for (size_t n = 0; n < pids.count; n++) {
            assert_process_status(pids.list[n], "Uid", uid);
            assert_process_status(pids.list[n], "Gid", gid);
            assert_process_status(pids.list[n], "Groups", "");
            assert_process_status(pids.list[n], "NoNewPrivs", "1");
            for (size_t c = 0; c < ARRAY_LEN(capabilities); c++)
                assert_process_status(pids.list[n], capabilities[c], "0000000000000000");
        }
    }
}

/* Whether a process of the service's account gets a connection to the state directory's socket. */
static bool
service_account_connects(const char *name)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(become("sandboxd") ? connect_to(name) >= 0 : 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

static void
workers_cannot_open_dockers_socket(void **state)
{
    (void)state;
    assert_true(service_account_connects("run/broker.sock"));
    assert_false(service_account_connects("docker/docker.sock"));
}

static void
a_client_that_goes_away_ends_its_execution(void **state)
{
    struct flight *f = flight_post(ALICE, box.exec, "{s:s}", "command", sleepers);

    (void)state;
    wait_for_sleepers(2);
    flight_abort(f);
    wait_for_sleepers(0);
    wait_for_audit("killed");
}

static void
many_executions_run_in_one_container_at_once(void **state)
{
    struct flight *flights[PARALLEL];

    (void)state;
    for (int i = 0; i < PARALLEL; i++)
        flights[i] = flight_post(ALICE, box.exec, "{s:s, s:{s:s+}}", "command",
                                 "echo begin >&2; sleep 0.2; echo $NUMBER", "env", "NUMBER", "n",
                                 (const char[]){(char)('a' + i), '\0'});
    for (int i = 0; i < PARALLEL; i++) {
        const char expected[] = {'n', (char)('a' + i), '\n', '\0'};
        struct reply r = flight_land(flights[i]);

        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), expected);
        assert_string_equal(text_at(&r, "stderr"), "begin\n");
        reply_done(&r);
    }
}

static void
a_second_manager_on_the_same_state_is_refused(void **state)
{
    pid_t manager = host_pid_file("run/sandboxd.pid");

    (void)state;
    assert_true(manager > 0);
    assert_int_equal(
        host_shell("timeout 30 /proc/%d/exe run --state \"$SANDBOX_STATE\" --guest /bin/true"
                   " >/dev/null 2>\"$SANDBOX_STATE/second\"",
                   (int)manager),
        1);
    assert_int_equal(
        host_shell("grep -q 'in use by another sandboxd (pid %d)' \"$SANDBOX_STATE/second\"",
                   (int)manager),
        0);
    assert_int_equal(host_pid_file("run/sandboxd.pid"), manager);
    assert_true(service_answers(NULL));
}

static void
state_survives_a_stop_and_a_start(void **state)
{
    struct reply r = run("echo kept > /home/sandbox/file; echo marked");
    char entry[96];

    (void)state;
    snprintf(entry, sizeof(entry), "/audit/%s/output", text_at(&r, "id"));
    reply_done(&r);
    assert_int_equal(host_shell("nginx/standalone/down \"$SANDBOX_STATE\" >/dev/null"), 0);
    assert_int_equal(host_pid_file("run/sandboxd.pid"), 0);
    assert_int_equal(
        host_shell("port=${SANDBOX_URL##*localhost:} && ENGINE=private "
                   "nginx/standalone/up \"$SANDBOX_STATE\" \"${port%%%%/*}\" >/dev/null"),
        0);
    r = call(ALICE, "GET", box.path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "id"), box.id);
    reply_done(&r);
    r = run("cat /home/sandbox/file");
    assert_string_equal(text_at(&r, "stdout"), "kept\n");
    reply_done(&r);
    r = call(ALICE, "GET", entry, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "marked\n");
    reply_done(&r);
}

#define process_test(f) cmocka_unit_test_setup_teardown(f, box_open, box_close)

int
suite_processes(void)
{
    const struct CMUnitTest tests[] = {
        process_test(a_killed_worker_comes_back_and_its_execution_is_interrupted),
        process_test(a_killed_broker_disturbs_no_execution_and_comes_back),
        process_test(a_killed_janitor_comes_back),
        process_test(a_killed_proxy_comes_back),
        cmocka_unit_test_setup_teardown(hup_reloads_and_a_bad_file_keeps_the_last_good, keep_tiers,
                                        restore_tiers),
        process_test(silent_peers_keep_nobody_waiting),
        process_test(only_nginx_account_is_served),
        process_test(only_the_broker_is_root),
        process_test(workers_cannot_open_dockers_socket),
        process_test(a_client_that_goes_away_ends_its_execution),
        process_test(many_executions_run_in_one_container_at_once),
        process_test(a_second_manager_on_the_same_state_is_refused),
        process_test(state_survives_a_stop_and_a_start),
    };

    return cmocka_run_group_tests_name("api: processes", tests, NULL, NULL);
}
