/*
 * What a container may do, as the engine says and as is seen from inside, whichever way it came to
 * its owner: made cold, restarted, rolled back, or out of the pool.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

/* Members of the engine's inspect, as JSON; for both networks that have no bridge. */
static const struct {
    const char *path, *expected;
} inspected[] = {
    {"HostConfig.Privileged", "false"},
    {"HostConfig.CapDrop", "[\"ALL\"]"},
    {"HostConfig.CapAdd", "[\"SETUID\",\"SETGID\",\"SETPCAP\",\"KILL\"]"},
    {"HostConfig.NetworkMode", "\"none\""},
    {"HostConfig.IpcMode", "\"private\""},
    {"HostConfig.PidMode", "\"\""},
    {"HostConfig.UTSMode", "\"\""},
    {"HostConfig.UsernsMode", "\"\""},
    {"HostConfig.Devices", "null"},
    {"HostConfig.DeviceRequests", "null"},
    {"HostConfig.GroupAdd", "null"},
    {"HostConfig.VolumesFrom", "null"},
    {"HostConfig.Links", "null"},
    {"HostConfig.Sysctls", "null"},
    {"HostConfig.PortBindings", "null"},
    {"HostConfig.PublishAllPorts", "false"},
    {"HostConfig.AutoRemove", "false"},
    {"HostConfig.OomKillDisable", "false"},
    {"HostConfig.OomScoreAdj", "500"},
    {"HostConfig.Runtime", "\"runc\""},
    {"HostConfig.LogConfig.Type", "\"none\""},
    {"HostConfig.RestartPolicy.Name", "\"no\""},
    {"Config.User", "\"0:0\""},
    {"Config.Tty", "false"},
    {"Config.OpenStdin", "false"},
    {"Config.Volumes", "null"},
    {"Config.Healthcheck.Test", "[\"NONE\"]"},
    {"Path", "\"/.sandbox/guest\""},
};

/* Shell text, and what it prints inside. */
static const struct {
    const char *command, *expected;
} seen[] = {
    {"grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\n'",
     "CapInh:\t0000000000000000CapPrm:\t0000000000000000CapEff:\t0000000000000000"
     "CapBnd:\t0000000000000000CapAmb:\t0000000000000000NoNewPrivs:\t1Seccomp:\t2"},
    {"test $(id -u) -ge 10000 && test $(id -u) = $(id -g) && id -G | wc -w", "1\n"},
    {"cat /proc/1/comm; ls /proc/1/fd", "guest\n"},
    {"env | grep -Ev '^(HOME|HOSTNAME|LOGNAME|PATH|PWD|SHLVL|USER|_)='", ""},
    {"ls /dev | grep -v core | tr '\\n' ' '",
     "fd full mqueue null ptmx pts random shm stderr stdin stdout "
     "tty urandom zero "},
    {"ulimit -c; ulimit -n", "0\n4096\n"},
    {"grep -E '^[^ ]+ /.sandbox/guest [^ ]+ ro[, ]' /proc/mounts | wc -l", "1\n"},
    {"grep -cE '^tmpfs /tmp tmpfs rw,nosuid,nodev,' /proc/mounts", "1\n"},
    {"(echo 1 >/proc/sys/kernel/hostname) 2>/dev/null || echo refused", "refused\n"},
    {"head -c 1 /proc/kcore 2>/dev/null | wc -c", "0\n"},
    {"find /sys/firmware /proc/acpi /proc/scsi -mindepth 1 2>/dev/null", ""},
    {"cat /proc/self/oom_score_adj | grep -c -E '^[5-9][0-9][0-9]$|^1000$'", "1\n"},
};

static json_t *
member(json_t *object, const char *path)
{
    char name[64];
    size_t len;

    while (object && *path) {
        len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        object = json_object_get(object, name);
        path += len + (path[len] == '.');
    }
    return object;
}

/* The profile that is sent is not the engine's own, and what tests cannot list whole. */
static void
assert_secured(json_t *what)
{
    json_t *options = member(what, "HostConfig.SecurityOpt"), *option;
    size_t i, profiles = 0, promises = 0;

    json_array_foreach(options, i, option)
    {
        const char *text = json_string_value(option);

        profiles += strncmp(text, "seccomp={", 9) == 0;
        promises += strcmp(text, "no-new-privileges") == 0;
    }
    assert_int_equal(json_array_size(options), 2);
    assert_int_equal(profiles, 1);
    assert_int_equal(promises, 1);
    assert_true(json_array_size(member(what, "HostConfig.MaskedPaths")) >= 8);
    assert_true(json_array_size(member(what, "HostConfig.ReadonlyPaths")) >= 5);
    assert_int_equal(json_integer_value(member(what, "HostConfig.Memory")),
                     json_integer_value(member(what, "HostConfig.MemorySwap")));
    assert_true(json_integer_value(member(what, "HostConfig.PidsLimit")) > 0);
}

static void
assert_engine_says(const char *id)
{
    json_auto_t *what = warm_inspect(id);

    for (size_t i = 0; i < ARRAY_LEN(inspected); i++) {
        json_t *value = member(what, inspected[i].path);
        _cleanup_(freep) char *text =
            value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("null");

        if (strcmp(text, "[]") == 0 || strcmp(text, "{}") == 0)
            snprintf(text, 3, "%s", ""); /* an engine says nothing in several ways */
        if (strcmp(text, inspected[i].expected) != 0 &&
            !(text[0] == '\0' && strcmp(inspected[i].expected, "null") == 0))
            fail_msg("%s is %s", inspected[i].path, text);
    }
    assert_string_equal(json_string_value(member(what, "Config.Hostname")), id);
    assert_secured(what);
}

static void
assert_seen_inside(const char *id)
{
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        json_auto_t *body = json_pack("{s:s}", "command", seen[i].command);
        _cleanup_(freep) char *text = json_dumps(body, JSON_COMPACT);
        char path[STEP_ID_SIZE + 32];
        struct reply r;

        snprintf(path, sizeof(path), "/containers/%s/exec", id);
        r = call(ALICE, "POST", path, text, NULL);
        assert_status(&r, 200);
        if (strcmp(text_at(&r, "stdout"), seen[i].expected) != 0)
            fail_msg("%s: %s", seen[i].command, r.body);
        reply_done(&r);
    }
}

static void
assert_posture(const char *id)
{
    assert_engine_says(id);
    assert_seen_inside(id);
}

static void
made_cold(void **state)
{
    (void)state;
    assert_posture(snap.id);
}

static void
restarted(void **state)
{
    struct reply r = act(ALICE, "POST", "%s/restart", snap.path);

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    assert_posture(snap.id);
}

static void
rolled_back(void **state)
{
    char id[STEP_ID_SIZE];

    (void)state;
    snap_make(NULL, id);
    snap_roll_back(id);
    assert_posture(snap.id);
}

static void
out_of_the_pool(void **state)
{
    long long claimed = warm_figure("claimed");
    char id[STEP_ID_SIZE];

    (void)state;
    make_container(ALICE,
                   "{\"agent_id\": \"pooled\", \"session_id\": \"s\", \"tier\": \"Sandbox\"}", id);
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    assert_posture(id);
}

int
suite_posture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_cold, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(restarted, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(rolled_back, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(out_of_the_pool, warm_open, warm_close),
    };

    return cmocka_run_group_tests_name("posture", tests, NULL, remove_containers);
}
