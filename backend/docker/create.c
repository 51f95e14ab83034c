/*
 * ContainerCreate (Docker API v1.41), and with it the posture: what a container of ours may do,
 * whatever its image says. Each line of the body below is a decision; threats.md "Hardening
 * checklist" is where they come from.
 *
 * PID 1 is our guest as root, because it gives every execution a user of its own; it keeps only the
 * four capabilities for that. There is no network but the one asked for, no swap, no log of the
 * engine (output goes through the guest) and no restart by the engine (the broker decides).
 * MaskedPaths and ReadonlyPaths are left out of the body: the engine's defaults are the strict
 * ones. An image's VOLUMEs cannot be refused here; docker_container_remove() deletes what the
 * engine makes of them.
 *
 * What comes of it is looked at before anybody can start it: posture.h.
 */
#include "backend/docker/call.h"
#include "backend/docker/posture.h"
#include "backend/docker/seccomp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    CREATE_TIMEOUT_MS = 60000,
    INSPECT_TIMEOUT_MS = 10000,
    CPU_CORES_MAX = 4096,
    MEMORY_MIN_MB = 6,                /* the engine takes no less */
    MEMORY_MAX_MB = 64 * 1024 * 1024, /* its bytes fit an int64_t, with room */
    OOM_SCORE_ADJ = 500,              /* the host's own processes are to survive ours */
    SHM_MAX_MB = 64,
    TMP_MAX_KB = 256 * 1024,
    PAGE_KB = 4,
    GPUS_MAX = 63, /* a mask of them is not negative */
};

/*
 * No nproc among them: the kernel counts it per uid over all containers, so that one tenant would
 * use up another's; PidsLimit is per container. msgqueue and sigpending are counted per uid as
 * well, but their default is the host's, which for signals grows with its memory.
 */
/* clang-format off */
static const struct {
    const char *name;
    json_int_t soft, hard;
} ulimits[] = {
    {"nofile", 4096, 16384}, /* old programs close all up to the soft one; node raises it itself */
    {"core", 0, 0},
    {"memlock", 65536, 65536},
    {"msgqueue", 819200, 819200},
    {"sigpending", 4096, 4096},
};
/* clang-format on */

/* Docker reads "no limit" in a 0 or less. */
static int
check_limits(const struct docker_create *spec, struct error *err)
{
    if (spec->memory_mb < MEMORY_MIN_MB || spec->memory_mb > MEMORY_MAX_MB)
        return error_set(err, ERR_VALIDATION, "the memory of a container is %d to %d MB",
                         MEMORY_MIN_MB, MEMORY_MAX_MB);
    if (!(spec->cpu_cores > 0 && spec->cpu_cores <= CPU_CORES_MAX))
        return error_set(err, ERR_VALIDATION,
                         "a container has more than 0 and at most %d CPU cores", CPU_CORES_MAX);
    if (spec->pids_limit < 1)
        return error_set(err, ERR_VALIDATION, "a container has a limit of at least 1 process");
    if (spec->gpu_mask < 0 || (spec->gpu_mask != 0 && !(spec->gpu_runtime && spec->gpu_runtime[0])))
        return error_set(err, ERR_VALIDATION, "a container gets GPUs by 'nvidia' or 'cdi'");
    return 0;
}

static bool
has_network(const struct docker_create *spec)
{
    return spec->network && spec->network[0];
}

/*
 * A network without nameservers of its own would be given the host's, which the engine asks from
 * the host's side where they are on its loopback: past every rule for the container.
 */
static int
check_network(const struct docker_create *spec, struct error *err)
{
    if (!has_network(spec))
        return 0;
    if (!spec->dns || !spec->dns[0])
        return error_set(err, ERR_VALIDATION, "a container with a network has nameservers");
    return docker_name_check(spec->network, err);
}

/* The functions below return NULL where memory is short; json_pack() passes that on. */

static json_t *
ulimits_json(void)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(ulimits); i++) {
        json_t *entry = json_pack("{s:s, s:I, s:I}", "Name", ulimits[i].name, "Soft",
                                  ulimits[i].soft, "Hard", ulimits[i].hard);

        if (json_array_append_new(list, entry) < 0)
            return NULL;
    }
    return TAKE(list);
}

/* A NULL-terminated array of strings; NULL is an empty one. */
static json_t *
strings_json(const char *const *strings)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; strings && strings[i]; i++) {
        if (json_array_append_new(list, json_string(strings[i])) < 0)
            return NULL;
    }
    return TAKE(list);
}

/*
 * What is written to /tmp is the container's memory: half of it at most, or filling /tmp would kill
 * the container; and 256 MiB at most, enough for compilers and package managers, for more there is
 * the workspace. A file of any content takes a page, so more inodes than pages would only hold the
 * kernel's memory. "exec" because the engine's default is noexec, and npm and gcc run what they put
 * here.
 */
static json_t *
tmpfs_json(int64_t memory_mb)
{
    long long kb = memory_mb * 1024 / 2;

    if (kb > TMP_MAX_KB)
        kb = TMP_MAX_KB;
    return json_pack(
        "{s:o}", "/tmp",
        json_sprintf("rw,exec,nosuid,nodev,mode=1777,size=%lldk,nr_inodes=%lld", kb, kb / PAGE_KB));
}

/* As with /tmp, but a quarter: what is left in both must not take all of the memory. */
static json_int_t
shm_bytes(int64_t memory_mb)
{
    return (memory_mb / 4 > SHM_MAX_MB ? SHM_MAX_MB : memory_mb / 4) * 1024 * 1024;
}

/* The GPUs by their numbers: a mere count would give every container the first ones. */
static json_t *
device_requests_json(const struct docker_create *spec)
{
    bool cdi = strcmp(spec->gpu_runtime, "cdi") == 0;
    json_auto_t *ids = json_array();
    json_t *request;

    for (int i = 0; i < GPUS_MAX; i++) {
        if (!(spec->gpu_mask & INT64_C(1) << i))
            continue;
        if (json_array_append_new(ids, json_sprintf(cdi ? "nvidia.com/gpu=%d" : "%d", i)) < 0)
            return NULL;
    }
    request = cdi ? json_pack("{s:s, s:O}", "Driver", "cdi", "DeviceIDs", ids)
                  : json_pack("{s:s, s:O, s:[[s]]}", "Driver", "nvidia", "DeviceIDs", ids,
                              "Capabilities", "gpu");
    return json_pack("[o]", request);
}

/* What HostConfig has only for some containers; NULL leaves a key out. */
static json_t *
optional_json(const struct docker_create *spec)
{
    bool has_runtime = spec->runtime && spec->runtime[0];
    /* Swappiness and shared cgroup namespaces are v1's: with v2 there is no such file to write. */
    json_t *swappiness = spec->cgroup_v1 ? json_integer(0) : NULL;
    json_t *storage = NULL;

    if (spec->disk_mb > 0)
        storage = json_pack("{s:o}", "size", json_sprintf("%lldM", (long long)spec->disk_mb));
    if ((spec->cgroup_v1 && !swappiness) || (spec->disk_mb > 0 && !storage)) {
        json_decref(swappiness);
        json_decref(storage);
        return NULL;
    }
    /* clang-format off */
    return json_pack("{s:s*, s:s*, s:o*, s:o*}",
        "Runtime", has_runtime ? spec->runtime : NULL,
        "CgroupnsMode", spec->cgroup_v1 ? NULL : "private",
        "MemorySwappiness", swappiness,
        "StorageOpt", storage);
    /* clang-format on */
}

static json_t *
host_config_json(const struct docker_create *spec)
{
    json_int_t memory = (json_int_t)spec->memory_mb * 1024 * 1024;
    json_t *seccomp = json_sprintf("seccomp=%s", docker_seccomp_profile);

    /* clang-format off */
    json_auto_t *host = json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:I, s:o, s:o, s:o,"
                                  " s:s, s:s, s:b, s:b, s:b, s:b, s:b,"
                                  " s:[s], s:[s,s,s,s], s:[s,o], s:{s:s}, s:{s:s,s:{}}}",
        "Memory", memory,
        "MemorySwap", memory, /* memory and swap together: no swap */
        "CpuPeriod", (json_int_t)DOCKER_CPU_PERIOD_US,
        "CpuQuota", docker_cpu_quota(spec->cpu_cores),
        "PidsLimit", (json_int_t)spec->pids_limit,
        "OomScoreAdj", (int)OOM_SCORE_ADJ,
        "ShmSize", shm_bytes(spec->memory_mb),
        "Ulimits", ulimits_json(),
        "Tmpfs", tmpfs_json(spec->memory_mb),
        "Binds", strings_json(spec->binds),

        "NetworkMode", has_network(spec) ? spec->network : "none",
        "IpcMode", "private",
        "Privileged", 0,
        "PublishAllPorts", 0,
        "ReadonlyRootfs", 0, /* tenants install packages */
        "AutoRemove", 0,     /* what stopped is still asked about */
        "Init", 0,           /* the guest reaps */

        "CapDrop", "ALL",
        "CapAdd", "SETUID", "SETGID", "SETPCAP", "KILL",
        "SecurityOpt", "no-new-privileges", seccomp,
        "RestartPolicy", "Name", "no",
        "LogConfig", "Type", "none", "Config");
    /* clang-format on */
    json_auto_t *optional = optional_json(spec);

    if (!host || !optional || json_object_update(host, optional) < 0)
        return NULL;
    if (spec->gpu_mask != 0 &&
        json_object_set_new(host, "DeviceRequests", device_requests_json(spec)) < 0)
        return NULL;
    if (has_network(spec) &&
        (json_object_set_new(host, "Dns", strings_json(spec->dns)) < 0 ||
         json_object_set_new(host, "DnsSearch", json_pack("[s]", ".")) < 0)) /* not the host's */
        return NULL;
    return TAKE(host);
}

static json_t *
body_json(const struct docker_create *spec)
{
    /* clang-format off */
    return json_pack("{s:s, s:s*, s:s, s:s, s:s, s:o, s:[], s:[], s:o,"
                     " s:b, s:b, s:b, s:b, s:b, s:b, s:{s:[s]}, s:o}",
        "Image", spec->image,
        "Hostname", spec->hostname,
        "User", "0:0",
        "WorkingDir", "/",
        "StopSignal", "SIGTERM",
        "Entrypoint", strings_json(spec->entrypoint),
        "Cmd",
        "Env", /* the image's own stays: its PATH, say */
        "Labels", spec->labels ? json_incref(spec->labels) : json_object(),

        "Tty", 0,
        "OpenStdin", 0,
        "AttachStdin", 0,
        "AttachStdout", 0,
        "AttachStderr", 0,
        "NetworkDisabled", !has_network(spec),
        "Healthcheck", "Test", "NONE",
        "HostConfig", host_config_json(spec));
    /* clang-format on */
}

/* The body's answer: {"Id": …}. */
static int
send_body(struct docker *d, const char *path, const json_t *body, char ret_id[DOCKER_ID_SIZE],
          struct error *err)
{
    const struct docker_request req = {
        .call = METRICS_CALL_CREATE,
        .method = "POST",
        .path = path,
        .body = body,
        .timeout_ms = CREATE_TIMEOUT_MS,
    };
    json_auto_t *root = NULL;
    const json_t *id;
    int r;

    r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    id = json_object_get(root, "Id");
    if (json_string_length(id) == 0 || json_string_length(id) >= DOCKER_ID_SIZE ||
        docker_name_check(json_string_value(id), NULL) < 0)
        return docker_unexpected("ContainerCreate", err);
    snprintf(ret_id, DOCKER_ID_SIZE, "%s", json_string_value(id));
    return 0;
}

char *
docker_create_text(const struct docker_create *spec)
{
    json_auto_t *body = body_json(spec);

    return body ? json_dumps(body, JSON_COMPACT) : NULL;
}

/* Look at the container that was made of @body; one that is not as asked, or not to be seen, goes.
 */
static int
inspect_made(struct docker *d, const char *id, json_t *body, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_INSPECT,
        .method = "GET",
        .timeout_ms = INSPECT_TIMEOUT_MS,
    };
    _cleanup_(buf_done) struct buf path;
    json_auto_t *made = NULL;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = buf_printf(&path, "/containers/%s/json", id) < 0 ? error_errno(err, ENOMEM, "inspect_made")
                                                         : 0;
    req.path = path.data;
    if (r == 0)
        r = docker_call(d, &req, &made, err);
    if (r == -ENOENT) { /* of the container, not of its image */
        error_clear(err);
        r = error_set(err, ERR_DOCKER, "the engine has lost the container that it just made");
    }
    if (r == 0)
        r = docker_posture_check(made, body, err);
    if (r < 0)
        docker_container_remove(d, id, NULL);
    return r;
}

int
docker_container_create(struct docker *d, const struct docker_create *spec,
                        char ret_id[DOCKER_ID_SIZE], struct error *err)
{
    _cleanup_(buf_done) struct buf path;
    json_auto_t *body = NULL;
    char id[DOCKER_ID_SIZE];
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_name_check(spec->name, err);
    if (r == 0)
        r = docker_reference_check(spec->image, err);
    if (r == 0)
        r = check_limits(spec, err);
    if (r == 0)
        r = check_network(spec, err);
    if (r < 0)
        return r;
    /* What a checked name may consist of needs no escaping. */
    body = body_json(spec);
    if (!body || buf_printf(&path, "/containers/create?name=%s", spec->name) < 0)
        return error_errno(err, ENOMEM, "docker_container_create");
    r = send_body(d, path.data, body, id, err);
    if (r == 0)
        r = inspect_made(d, id, body, err);
    if (r == 0)
        snprintf(ret_id, DOCKER_ID_SIZE, "%s", id);
    return r;
}
