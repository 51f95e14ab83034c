/*
 * sandboxd as systemd runs it: what `make install` puts where, what the manager tells the service
 * manager, what `check` says of files and sockets, and logs. That the unit's privileges are enough
 * is shown by every other group: tests/with-server starts sandboxd with those.
 */
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { NOTE_MS = 60000, NOTE_SIZE = 256 };

static void
installed(void **state)
{
    (void)state;
    assert_int_equal(host_shell("make -s install DESTDIR=\"$SANDBOX_STATE/installed\" PREFIX=/usr "
                                ">/dev/null"),
                     0);
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/installed\" && test -x usr/sbin/sandboxd &&"
                   " test -x usr/libexec/sandboxd/sandbox-guest &&"
                   " test -r usr/share/sandboxd/nginx/sandbox-api.conf &&"
                   " test -r usr/lib/sysusers.d/sandboxd.conf &&"
                   " ! grep -r @PREFIX@ usr/lib && usr/sbin/sandboxd version >/dev/null &&"
                   " usr/sbin/sandboxd check usr/share/sandboxd/yaml >/dev/null"),
        0);
}

/* As far as can be known of it without running it. */
static void
the_unit_is_one(void **state)
{
    (void)state;
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE\" && d=$PWD/installed && mkdir -p unit &&"
                   " sed \"s|/usr/sbin|$d/usr/sbin|; s|/usr/libexec|$d/usr/libexec|;"
                   " s|file:/usr|file:$d/usr|\" installed/usr/lib/systemd/system/sandboxd.service"
                   " >unit/sandboxd.service &&"
                   " said=$(systemd-analyze verify --man=no unit/sandboxd.service 2>&1 |"
                   " grep sandboxd.service); echo \"$said\" >&2; test -z \"$said\""),
        0);
}

/* The tmpfiles and sysusers are applied below a root of their own. */
static void
its_files_are_made(void **state)
{
    (void)state;
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/installed\" && mkdir -p etc var/lib &&"
                   " systemd-sysusers --root=$PWD sandboxd.conf &&"
                   " grep -q '^sandboxd:' etc/passwd &&"
                   " systemd-tmpfiles --root=$PWD --create sandboxd.conf &&"
                   " test \"$(stat -c %%a var/lib/sandboxd)\" = 1771 &&"
                   " test \"$(stat -c %%a var/lib/sandboxd/yaml/access.yaml)\" = 640 &&"
                   " cmp var/lib/sandboxd/yaml/tiers.yaml usr/share/sandboxd/yaml/tiers.yaml"),
        0);
}

/* A second sandboxd, which speaks to us instead of to systemd. */
struct spoken_to {
    int fd;
    pid_t pid;
};

static void
speak_to(struct spoken_to *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[STEP_PATH_SIZE], dir[STEP_PATH_SIZE];

    state_path("notify", path);
    state_path("second", dir);
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    unlink(path);
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(
        host_shell("mkdir -p \"$SANDBOX_STATE/second\" && chmod 755 "
                   "\"$SANDBOX_STATE/second\" && cp -r yaml \"$SANDBOX_STATE/second/\" "
                   "&& printf 'service: {log_format: json, metrics_socket: false}\\n' "
                   ">\"$SANDBOX_STATE/second/yaml/sandbox.yaml\""),
        0);
    s->pid = fork();
    if (s->pid == 0) {
        setenv("NOTIFY_SOCKET", path, 1);
        setenv("WATCHDOG_USEC", "400000", 1);
        unsetenv("WATCHDOG_PID");
        if (!freopen("/dev/null", "r", stdin) || chdir(dir) < 0 || !freopen("said", "w", stderr))
            _exit(126);
        execl(getenv("SANDBOXD"), "sandboxd", "run", "--state", ".", (char *)NULL);
        _exit(127);
    }
    assert_true(s->pid > 0);
}

/* Wait for a note with @line, whatever comes before it. */
static void
await_note(const struct spoken_to *s, const char *line)
{
    struct pollfd ready = {.fd = s->fd, .events = POLLIN};
    char note[NOTE_SIZE];

    do {
        ssize_t len;

        if (poll(&ready, 1, NOTE_MS) != 1) {
            host_shell("cat \"$SANDBOX_STATE/second/said\" >&2");
            fail_msg("no %s", line);
        }
        len = recv(s->fd, note, sizeof(note) - 1, 0);
        assert_true(len > 0);
        note[len] = '\0';
    } while (strncmp(note, line, strlen(line)) != 0);
}

/* Of the sockets, the one that the settings turn off is not there. */
static void
assert_no_metrics_socket(void)
{
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/second/run\" && test -S exec.sock && "
                                "test ! -e metrics.sock"),
                     0);
}

/* Every line of the file is a JSON object with these members. */
static void
assert_json_log(const char *name)
{
    char path[STEP_PATH_SIZE], line[4096];
    size_t count = 0;
    FILE *log;

    state_path(name, path);
    log = fopen(path, "r");
    assert_non_null(log);
    for (; fgets(line, sizeof(line), log); count++) {
        json_auto_t *record = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_string(json_object_get(record, "time")) ||
            !json_is_string(json_object_get(record, "level")) ||
            !json_is_string(json_object_get(record, "role")) ||
            !json_is_integer(json_object_get(record, "pid")) ||
            !json_is_string(json_object_get(record, "msg")))
            fail_msg("no record: %s", line);
    }
    fclose(log);
    assert_true(count >= 5);
}

static void
the_service_manager_is_told(void **state)
{
    struct spoken_to s = {.fd = -1};
    int status = -1;

    (void)state;
    speak_to(&s);
    await_note(&s, "READY=1");
    assert_no_metrics_socket();
    await_note(&s, "WATCHDOG=1");
    await_note(&s, "WATCHDOG=1");
    assert_int_equal(kill(s.pid, SIGHUP), 0);
    await_note(&s, "RELOADING=1");
    await_note(&s, "READY=1");
    assert_int_equal(kill(s.pid, SIGTERM), 0);
    await_note(&s, "STOPPING=1");
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_int_equal(status, 0);
    close(s.fd);
    assert_json_log("second/said");
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE\" && nft delete table inet "
                                "\"sandboxd_$(cat second/instance)\" 2>/dev/null; "
                                "rm -rf \"$SANDBOX_STATE/second\" \"$SANDBOX_STATE/notify\""),
                     0);
}

/* `check` of the server's state: its exit status. What it says is in the state directory's file
 * "checked". */
static int
check_state_dir(void)
{
    return host_shell("\"$SANDBOXD\" check --state \"$SANDBOX_STATE\" --docker \"unix://"
                      "$SANDBOX_STATE/docker/docker.sock\" >\"$SANDBOX_STATE/checked\" 2>&1");
}

static int
said(const char *words)
{
    return host_shell("grep -q '%s' \"$SANDBOX_STATE/checked\"", words) == 0;
}

static void
check_looks_at_files_and_sockets(void **state)
{
    (void)state;
    assert_int_equal(host_shell("chgrp sandboxd \"$SANDBOX_STATE/yaml/access.yaml\"; "
                                "chmod 640 \"$SANDBOX_STATE/yaml/access.yaml\""),
                     0);
    assert_int_equal(check_state_dir(), 0);
    assert_false(said("access.yaml can be read"));
    assert_false(said("sandboxd does not run"));
    assert_false(said("token-key"));
    assert_false(said("auth.sock"));
    host_shell("chmod 666 \"$SANDBOX_STATE/yaml/access.yaml\"; "
               "chmod 777 \"$SANDBOX_STATE/run/exec.sock\"; "
               "chmod 644 \"$SANDBOX_STATE/token-key\"");
    assert_int_equal(check_state_dir(), 0);
    assert_true(said("access.yaml can be read by everybody"));
    assert_true(said("access.yaml can be changed by others"));
    assert_true(said("exec.sock is open to every account"));
    assert_true(said("token-key can be read or changed by others"));
    host_shell("chmod 600 \"$SANDBOX_STATE/yaml/access.yaml\"; "
               "chmod 660 \"$SANDBOX_STATE/run/exec.sock\"; "
               "chmod 600 \"$SANDBOX_STATE/token-key\"; "
               "mv \"$SANDBOX_STATE/run/control.sock\" \"$SANDBOX_STATE/run/moved\"");
    assert_int_equal(check_state_dir(), 1);
    assert_true(said("access.yaml cannot be read by the account"));
    assert_true(said("control.sock is not there"));
    host_shell("chmod 644 \"$SANDBOX_STATE/yaml/access.yaml\"; "
               "mv \"$SANDBOX_STATE/run/moved\" \"$SANDBOX_STATE/run/control.sock\"");
}

int
suite_service(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(installed),
        cmocka_unit_test(the_unit_is_one),
        cmocka_unit_test(its_files_are_made),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(check_looks_at_files_and_sockets),
    };

    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
