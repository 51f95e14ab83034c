/*
 * What the engine says of a container that it just made, against what it was asked for: see
 * posture.h. Docker API v1.41 to v1.52: ContainerInspect repeats ContainerCreate's body as "Config"
 * and "HostConfig", with the engine's defaults and the image's wishes filled in.
 *
 * Engines say "nothing" in many ways: null, false, 0, "", [], {}, or no key at all; they are one
 * here. Not seen is what an engine or a runtime adds on start alone, such as a plugin's changes of
 * the OCI spec.
 */
#include "backend/docker/posture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/docker/call.h"

enum { DETAIL_SIZE = 320 };

/* How a field has to compare. */
enum rule {
    SAME,        /* what was asked, which may be nothing */
    SAME_SET,    /* the same, in any order */
    SAME_IF_SET, /* what was asked; where nothing was, the engine's default is fine */
    SUPERSET,    /* all that was asked, with the values asked */
};

/*
 * What no image, configuration or plugin is to change. A path below HostConfig is the same in body
 * and answer; one below Config is at the body's top.
 */
/* clang-format off */
static const struct {
    const char *path;
    enum rule rule;
} fields[] = {
    {"HostConfig.Privileged", SAME},
    {"HostConfig.CapAdd", SAME_SET},
    {"HostConfig.CapDrop", SAME_SET},
    {"HostConfig.SecurityOpt", SAME_SET},
    {"HostConfig.ReadonlyRootfs", SAME},
    {"HostConfig.Init", SAME},
    {"HostConfig.Runtime", SAME_IF_SET},
    {"HostConfig.Annotations", SAME}, /* a runtime may take orders from them */

    {"HostConfig.NetworkMode", SAME},
    {"HostConfig.IpcMode", SAME},
    {"HostConfig.PidMode", SAME},
    {"HostConfig.UTSMode", SAME},
    {"HostConfig.UsernsMode", SAME},
    {"HostConfig.CgroupnsMode", SAME_IF_SET},
    {"HostConfig.Cgroup", SAME},
    {"HostConfig.CgroupParent", SAME},
    {"HostConfig.Sysctls", SAME},
    {"HostConfig.PortBindings", SAME},
    {"HostConfig.PublishAllPorts", SAME},
    {"HostConfig.Links", SAME},
    {"HostConfig.ExtraHosts", SAME},
    {"HostConfig.Dns", SAME},
    {"HostConfig.DnsSearch", SAME},
    {"HostConfig.DnsOptions", SAME},

    {"HostConfig.Devices", SAME},
    {"HostConfig.DeviceRequests", SAME},
    {"HostConfig.DeviceCgroupRules", SAME},
    {"HostConfig.GroupAdd", SAME},

    {"HostConfig.Memory", SAME},
    {"HostConfig.MemorySwap", SAME}, /* -1 where the kernel does not count swap */
    {"HostConfig.MemorySwappiness", SAME},
    {"HostConfig.OomKillDisable", SAME},
    {"HostConfig.OomScoreAdj", SAME},
    {"HostConfig.PidsLimit", SAME},
    {"HostConfig.CpuPeriod", SAME},
    {"HostConfig.CpuQuota", SAME},
    {"HostConfig.CpuRealtimePeriod", SAME},
    {"HostConfig.CpuRealtimeRuntime", SAME},
    {"HostConfig.NanoCpus", SAME},
    {"HostConfig.ShmSize", SAME},
    {"HostConfig.StorageOpt", SAME},
    {"HostConfig.Ulimits", SAME_SET}, /* default-ulimits of the engine's configuration are added */

    {"HostConfig.Binds", SAME_SET},
    {"HostConfig.Mounts", SAME},
    {"HostConfig.Tmpfs", SAME},
    {"HostConfig.VolumesFrom", SAME},
    {"HostConfig.VolumeDriver", SAME},

    {"HostConfig.AutoRemove", SAME},
    {"HostConfig.RestartPolicy.Name", SAME},
    {"HostConfig.LogConfig.Type", SAME},

    {"Config.Image", SAME},
    {"Config.Hostname", SAME_IF_SET},
    {"Config.Domainname", SAME},
    {"Config.User", SAME},
    {"Config.WorkingDir", SAME},
    {"Config.Entrypoint", SAME},
    {"Config.Cmd", SAME},
    {"Config.Healthcheck.Test", SAME}, /* the image's intervals stay, and time nothing */
    {"Config.StopSignal", SAME},
    {"Config.Tty", SAME},
    {"Config.OpenStdin", SAME},
    {"Config.StdinOnce", SAME},
    {"Config.AttachStdin", SAME},
    {"Config.AttachStdout", SAME},
    {"Config.AttachStderr", SAME},
    {"Config.NetworkDisabled", SAME},
    {"Config.Labels", SUPERSET}, /* the image's own stay */
};
/* clang-format on */

/* What every engine from 1.41 on keeps from a container; newer ones keep more. The body leaves them
 * out. */
static const char *const masked_paths[] = {
    "/proc/acpi",        "/proc/asound",  "/proc/kcore",         "/proc/keys",
    "/proc/sched_debug", "/proc/scsi",    "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/sys/firmware",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static bool
is_nothing(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) == 0;
    if (json_is_integer(value))
        return json_integer_value(value) == 0;
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool is_same(json_t *a, json_t *b);

static bool
is_same_array(json_t *a, json_t *b)
{
    size_t count = json_array_size(a);

    if (json_array_size(b) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_same(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

/* Whether every member of @part is the same in @whole. */
static bool
has_members(json_t *whole, json_t *part)
{
    const char *name;
    json_t *value;

    json_object_foreach(part, name, value)
    {
        if (!is_same(json_object_get(whole, name), value))
            return false;
    }
    return true;
}

static bool
is_same(json_t *a, json_t *b)
{
    if (is_nothing(a) || is_nothing(b))
        return is_nothing(a) && is_nothing(b);
    if (json_is_array(a) && json_is_array(b))
        return is_same_array(a, b);
    if (json_is_object(a) && json_is_object(b))
        return has_members(a, b) && has_members(b, a);
    return json_equal(a, b);
}

static bool
has_element(json_t *list, json_t *wanted)
{
    json_t *element;
    size_t i;

    json_array_foreach(list, i, element)
    {
        if (is_same(element, wanted))
            return true;
    }
    return false;
}

/* Whether both lists have the same elements; what is no list has none. */
static bool
is_same_set(json_t *a, json_t *b)
{
    json_t *element;
    size_t i;

    if (!json_is_array(a) || !json_is_array(b))
        return is_nothing(a) && is_nothing(b);
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, element)
    {
        if (!has_element(b, element))
            return false;
    }
    json_array_foreach(b, i, element)
    {
        if (!has_element(a, element))
            return false;
    }
    return true;
}

static bool
follows(enum rule rule, json_t *made, json_t *asked)
{
    switch (rule) {
    case SAME:
        return is_same(made, asked);
    case SAME_SET:
        return is_same_set(made, asked);
    case SAME_IF_SET:
        return is_nothing(asked) || is_same(made, asked);
    case SUPERSET:
        return has_members(made, asked);
    }
    return false;
}

/* The value at "One.Two" of @object; NULL: there is none. */
static json_t *
member(json_t *object, const char *path)
{
    char name[64];

    while (object && *path) {
        size_t len = strcspn(path, ".");

        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        object = json_object_get(object, name);
        path += len + (path[len] == '.');
    }
    return object;
}

int
docker_posture_refuse(const char *path, json_t *made, struct error *err)
{
    _cleanup_(freep) char *text = made ? json_dumps(made, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char value[DETAIL_SIZE - 96], detail[DETAIL_SIZE];

    docker_message(text ? text : "missing", value, sizeof(value));
    snprintf(detail, sizeof(detail), "%s is %s", path, value);
    return error_set_detail(err, ERR_DOCKER, detail,
                            "the engine made the container otherwise than it was asked to (%s); "
                            "its configuration, a plugin or the image may be why",
                            path);
}

static int
check_fields(json_t *inspect, json_t *body, struct error *err)
{
    static const char config[] = "Config.";

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *path = fields[i].path;
        bool at_top = strncmp(path, config, strlen(config)) == 0;
        json_t *made = member(inspect, path);

        if (!follows(fields[i].rule, made, member(body, at_top ? path + strlen(config) : path)))
            return docker_posture_refuse(path, made, err);
    }
    return 0;
}

/* What is run: the entrypoint's first word, and the others as its arguments. */
static int
check_program(json_t *inspect, json_t *body, struct error *err)
{
    json_t *entrypoint = json_object_get(body, "Entrypoint");
    json_t *path = json_object_get(inspect, "Path"), *args = json_object_get(inspect, "Args");
    size_t count = json_array_size(entrypoint);

    if (count == 0)
        return 0;
    if (!is_same(path, json_array_get(entrypoint, 0)))
        return docker_posture_refuse("Path", path, err);
    if (json_array_size(args) != count - 1)
        return docker_posture_refuse("Args", args, err);
    for (size_t i = 1; i < count; i++)
        if (!is_same(json_array_get(args, i - 1), json_array_get(entrypoint, i)))
            return docker_posture_refuse("Args", args, err);
    return 0;
}

static int
check_listed(json_t *inspect, const char *path, const char *const *wanted, size_t count,
             struct error *err)
{
    json_t *list = member(inspect, path);

    for (size_t i = 0; i < count; i++) {
        json_auto_t *entry = json_string(wanted[i]);

        if (!entry)
            return error_errno(err, ENOMEM, "docker_posture_check");
        if (!has_element(list, entry))
            return docker_posture_refuse(path, list, err);
    }
    return 0;
}

/* Networks that it is to be connected to on start: the one asked for. */
static int
check_networks(json_t *inspect, json_t *body, struct error *err)
{
    static const char path[] = "NetworkSettings.Networks";
    const char *mode = json_string_value(member(body, "HostConfig.NetworkMode"));
    json_t *networks = member(inspect, path), *network;
    const char *name;

    json_object_foreach(networks, name, network)
    {
        if (!mode || strcmp(name, mode) != 0)
            return docker_posture_refuse(path, networks, err);
    }
    return 0;
}

static int
check_apparmor(json_t *inspect, struct error *err)
{
    json_t *profile = json_object_get(inspect, "AppArmorProfile");
    const char *name = json_string_value(profile);

    return name && strcmp(name, "unconfined") == 0
               ? docker_posture_refuse("AppArmorProfile", profile, err)
               : 0;
}

int
docker_posture_check(json_t *inspect, json_t *body, struct error *err)
{
    int r = check_fields(inspect, body, err);

    if (r == 0)
        r = check_program(inspect, body, err);
    if (r == 0)
        r = check_listed(inspect, "HostConfig.MaskedPaths", masked_paths, ARRAY_LEN(masked_paths),
                         err);
    if (r == 0)
        r = check_listed(inspect, "HostConfig.ReadonlyPaths", readonly_paths,
                         ARRAY_LEN(readonly_paths), err);
    if (r == 0)
        r = check_networks(inspect, body, err);
    if (r == 0)
        r = check_apparmor(inspect, err);
    return r < 0 ? r : docker_posture_check_mounts(inspect, body, err);
}
