/* What a container may do: see posture.h. */
#include "tests/test.h"

#include "tests/api/posture.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/steps.h"

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

json_t *
posture_member(json_t *object, const char *path)
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
    json_t *options = posture_member(what, "HostConfig.SecurityOpt"), *option;
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
    assert_true(json_array_size(posture_member(what, "HostConfig.MaskedPaths")) >= 8);
    assert_true(json_array_size(posture_member(what, "HostConfig.ReadonlyPaths")) >= 5);
    assert_int_equal(json_integer_value(posture_member(what, "HostConfig.Memory")),
                     json_integer_value(posture_member(what, "HostConfig.MemorySwap")));
    assert_true(json_integer_value(posture_member(what, "HostConfig.PidsLimit")) > 0);
}

void
posture_engine_says(json_t *what, const char *id)
{

    for (size_t i = 0; i < ARRAY_LEN(inspected); i++) {
        json_t *value = posture_member(what, inspected[i].path);
        _cleanup_(freep) char *text =
            value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("null");

        if (strcmp(text, "[]") == 0 || strcmp(text, "{}") == 0)
            snprintf(text, 3, "%s", ""); /* an engine says nothing in several ways */
        if (strcmp(text, inspected[i].expected) != 0 &&
            !(text[0] == '\0' && strcmp(inspected[i].expected, "null") == 0))
            fail_msg("%s is %s", inspected[i].path, text);
    }
    assert_string_equal(json_string_value(posture_member(what, "Config.Hostname")), id);
    assert_secured(what);
}

void
posture_prints(const char *user, const char *id, const char *command, const char *expected)
{
    json_auto_t *body = json_pack("{s:s}", "command", command);
    _cleanup_(freep) char *text = json_dumps(body, JSON_COMPACT);
    char path[STEP_ID_SIZE + 32];
    struct reply r;

    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(user, "POST", path, text, NULL);
    assert_status(&r, 200);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: %s", command, r.body);
    reply_done(&r);
}

void
posture_seen_inside(const char *user, const char *id)
{
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        posture_prints(user, id, seen[i].command, seen[i].expected);
}
