/* A tier of gVisor's runtime runsc: what holds under runc holds there, through the same guest. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/runtimes.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

/* `create` lets the guest make its sockets on the host. This machine may have neither KVM nor a
 * cgroup hierarchy that this version of runsc knows. */
static const char daemon_json[] =
    "{\"runtimes\": {\"runsc\": {\"path\": \"runsc\", \"runtimeArgs\": [\"--platform=ptrace\","
    " \"--network=none\", \"--ignore-cgroups\", \"--host-uds=create\"]}}}";

static int
open_group(void **state)
{
    (void)state;
    engine_settings(daemon_json, "runsc", 1);
    tier_runtime("runsc");
    return 0;
}

static int
close_group(void **state)
{
    runtimes_restore(state);
    engine_settings("{\"runtimes\": {}}", "runsc", 0);
    return 0;
}

/* Run @command in alice's container of the tier. */
static struct reply
run(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "command", command, "tier", "Sandbox",
                             "agent_id", "gvisor", "session_id", "s");

    assert_status(&r, 200);
    return r;
}

static void
assert_prints(const char *command, const char *expected)
{
    struct reply r = run(command);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: expected \"%s\" in %s", command, expected, r.body);
    reply_done(&r);
}

static void
commands_run_on_gvisors_kernel(void **state)
{
    struct reply r = run("dmesg | grep -c 'Starting gVisor'");
    char name[128], path[192];

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "1\n");
    host_engine_name(text_at(&r, "container_id"), name, sizeof(name));
    reply_done(&r);
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    assert_string_equal(text_at(&r, "HostConfig.Runtime"), "runsc");
    reply_done(&r);
}

static void
streams_codes_and_input_come_through(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:s, s:s}", "command", "cat; echo err >&2; exit 3", "stdin",
                "given", "tier", "Sandbox", "agent_id", "gvisor", "session_id", "s");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "given");
    assert_string_equal(text_at(&r, "stderr"), "err\n");
    assert_int_equal(int_at(&r, "exit_code"), 3);
    reply_done(&r);
}

static void
a_command_has_no_power_there_either(void **state)
{
    (void)state;
    assert_prints("id -un; grep -c '^Cap.*: *\\s*0000000000000000' /proc/self/status",
                  "sandbox\n4\n");
    assert_prints("for c in 'ls /.sandbox/run' 'kill -9 1' 'mount -t tmpfs none /mnt' 'rm"
                  " /.sandbox/guest' 'cat /proc/1/mem'; do $c 2>/dev/null && echo did $c; done;"
                  " ls /sys/class/net 2>/dev/null | grep -v lo; echo end",
                  "end\n");
}

/* The same workspace as under runc, both ways. */
static void
the_workspace_is_the_agents(void **state)
{
    struct reply r;

    (void)state;
    assert_prints("echo from gvisor >/workspace/file; pwd", "/workspace\n");
    r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "command",
                "cat file; stat -c %U file; echo from runc >file", "tier", "Restricted", "agent_id",
                "gvisor", "session_id", "s");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "from gvisor\nsandbox\n");
    reply_done(&r);
    assert_prints("cat file", "from runc\n");
    r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:s}", "command", "cat file; echo no >file", "tier",
                "Sandbox", "agent_id", "gvisor", "session_id", "ro", "workspace_access", "ro");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "from runc\n");
    assert_true(int_at(&r, "exit_code") != 0);
    reply_done(&r);
}

static void
what_a_command_leaves_is_ended_with_it(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:s, s:i}", "command",
                "sleep 1001 & (setsid sleep 1002 &) ; (sleep 1003 &) ; sleep 1004", "tier",
                "Sandbox", "agent_id", "gvisor", "session_id", "s", "timeout_seconds", 1);

    (void)state;
    assert_status(&r, 200);
    assert_true(bool_at(&r, "timed_out"));
    reply_done(&r);
    assert_prints("for i in 1 2 3 4 5 6 7 8 9 10; do ps -o args | grep -q '^sleep 100[1-4]' ||"
                  " { echo none; break; }; sleep 1; done",
                  "none\n");
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
a_background_execution_keeps_its_result(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:b}", "command", "echo later", "tier",
                             "Sandbox", "agent_id", "gvisor", "session_id", "s", "background", 1);
    char id[STEP_ID_SIZE];

    (void)state;
    assert_status(&r, 202);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(has_ended, id, 60, "the background execution to end");
    r = fetch(ALICE, "/audit/%s/output", id);
    assert_string_equal(text_at(&r, "stdout"), "later\n");
    reply_done(&r);
}

static void
files_outlive_a_restart_and_come_back_by_a_rollback(void **state)
{
    struct reply r = run("echo one >~/file");
    char path[STEP_ID_SIZE + 16], snapshot[STEP_ID_SIZE];

    (void)state;
    snprintf(path, sizeof(path), "/containers/%s", text_at(&r, "container_id"));
    reply_done(&r);
    r = act(ALICE, "POST", "%s/restart", path);
    assert_status(&r, 200);
    reply_done(&r);
    assert_prints("cat ~/file", "one\n");
    r = act(ALICE, "POST", "%s/snapshots", path);
    assert_status(&r, 201);
    snprintf(snapshot, sizeof(snapshot), "%s", text_at(&r, "id"));
    reply_done(&r);
    assert_prints("echo two >~/file; cat ~/file", "two\n");
    r = act(ALICE, "POST", "%s/snapshots/%s/rollback", path, snapshot);
    assert_status(&r, 200);
    reply_done(&r);
    assert_prints("cat ~/file; dmesg | grep -c 'Starting gVisor'", "one\n1\n");
}

int
suite_gvisor(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_run_on_gvisors_kernel),
        cmocka_unit_test(streams_codes_and_input_come_through),
        cmocka_unit_test(a_command_has_no_power_there_either),
        cmocka_unit_test(the_workspace_is_the_agents),
        cmocka_unit_test(what_a_command_leaves_is_ended_with_it),
        cmocka_unit_test(a_background_execution_keeps_its_result),
        cmocka_unit_test(files_outlive_a_restart_and_come_back_by_a_rollback),
    };

    return cmocka_run_group_tests_name("api: gvisor", tests, open_group, close_group);
}
