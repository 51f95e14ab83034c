/*
 * What the engine says about itself (Docker API v1.41, SystemVersion and SystemInfo).
 */
#include "backend/docker/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_TIMEOUT_MS = 10000 };

/* Copy a string that may be missing; what does not fit is cut. */
static void
copy_string(char *out, size_t size, const json_t *value)
{
    docker_message(json_string_value(value), out, size);
}

/* An engine that does not say its own version can be worked with all the same. */
static void
fill_version(const struct docker *d, const json_t *root, struct docker_info *info)
{
    copy_string(info->version, sizeof(info->version), json_object_get(root, "Version"));
    snprintf(info->api_version, sizeof(info->api_version), "%s", docker_api(d));
}

/* runc's version: a component of GET /version, else the commit in GET /info. */
static void
fill_runc(const json_t *version, const json_t *root, struct docker_info *info)
{
    json_t *components = json_object_get(version, "Components"), *component;
    size_t i;

    copy_string(info->runc_version, sizeof(info->runc_version),
                json_object_get(json_object_get(root, "RuncCommit"), "ID"));
    json_array_foreach(components, i, component)
    {
        const char *name = json_string_value(json_object_get(component, "Name"));

        if (!name || strcmp(name, "runc") != 0)
            continue;
        copy_string(info->runc_version, sizeof(info->runc_version),
                    json_object_get(component, "Version"));
        copy_string(info->runc_build, sizeof(info->runc_build),
                    json_object_get(json_object_get(component, "Details"), "GitCommit"));
    }
}

/* Whether @name is a shim's type ("io.containerd.runc.v2") rather than a runtime that has a name.
 */
static bool
is_shim_type(const char *name)
{
    static const char prefix[] = "io.containerd.";

    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The names of the OCI runtimes. The engine lists shims' types among them: those come last. */
static void
fill_runtimes(const json_t *root, struct docker_info *info)
{
    json_t *runtimes = json_object_get(root, "Runtimes"), *value;
    const char *name;
    size_t count = 0;

    for (int shims = 0; shims < 2; shims++) {
        json_object_foreach(runtimes, name, value)
        {
            if (is_shim_type(name) != (shims == 1) || count == ARRAY_LEN(info->runtimes) ||
                strlen(name) >= sizeof(info->runtimes[0]))
                continue; /* a name that was cut would name another runtime */
            docker_message(name, info->runtimes[count], sizeof(info->runtimes[0]));
            info->runtime_lacks[count] = docker_runtime_lacks(value);
            count++;
        }
    }
}

/* Look up @key in DriverStatus, an array of [key, value]. */
static const json_t *
driver_status(const json_t *root, const char *key)
{
    json_t *list = json_object_get(root, "DriverStatus"), *pair;
    size_t i;

    json_array_foreach(list, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));

        if (name && strcmp(name, key) == 0)
            return json_array_get(pair, 1);
    }
    return NULL;
}

static void
fill_storage(const json_t *root, struct docker_info *info)
{
    bool quota_driver;

    copy_string(info->storage_driver, sizeof(info->storage_driver),
                json_object_get(root, "Driver"));
    copy_string(info->root_dir, sizeof(info->root_dir), json_object_get(root, "DockerRootDir"));
    copy_string(info->backing_filesystem, sizeof(info->backing_filesystem),
                driver_status(root, "Backing Filesystem"));
    quota_driver =
        strcmp(info->storage_driver, "btrfs") == 0 || strcmp(info->storage_driver, "zfs") == 0;
    /* "driver-type" marks containerd's snapshotters of the same names, which know no size. */
    info->storage_opt_size = quota_driver && !driver_status(root, "driver-type");
}

/* Whether CDI devices of NVIDIA's are known, or, where the engine does not list devices (before API
 * 1.50), whether it looks for any (since API 1.44). */
static bool
has_cdi(const json_t *root)
{
    static const char gpu[] = "nvidia.com/gpu=";
    json_t *devices = json_object_get(root, "DiscoveredDevices"), *device;
    size_t i;

    if (!json_is_array(devices))
        return json_array_size(json_object_get(root, "CDISpecDirs")) > 0;
    json_array_foreach(devices, i, device)
    {
        const char *id = json_string_value(json_object_get(device, "ID"));

        if (id && strncmp(id, gpu, strlen(gpu)) == 0)
            return true;
    }
    return false;
}

static void
fill_gpu_runtime(const json_t *root, struct docker_info *info)
{
    if (json_object_get(json_object_get(root, "Runtimes"), "nvidia"))
        snprintf(info->gpu_runtime, sizeof(info->gpu_runtime), "nvidia");
    else if (has_cdi(root))
        snprintf(info->gpu_runtime, sizeof(info->gpu_runtime), "cdi");
}

/* Whether containers' uids are others on the host: SecurityOptions has "name=userns". */
static bool
remaps_users(const json_t *root)
{
    json_t *options = json_object_get(root, "SecurityOptions"), *option;
    size_t i;

    json_array_foreach(options, i, option)
    {
        const char *text = json_string_value(option);

        if (text && strcmp(text, "name=userns") == 0)
            return true;
    }
    return false;
}

/* Read a decimal number that @end follows. Returns what follows that; NULL if there is none. */
static const char *
read_id(const char *text, char end, unsigned *ret)
{
    char *rest;
    unsigned long id = strtoul(text, &rest, 10);

    *ret = (unsigned)id;
    return *text >= '0' && *text <= '9' && id < UINT32_MAX && *rest == end ? rest + 1 : NULL;
}

/* An engine that remaps users keeps their files in a directory that is called after its root:
 * /var/lib/docker/UID.GID. */
static void
fill_users(const json_t *root, struct docker_info *info)
{
    const char *name = strrchr(info->root_dir, '/');
    unsigned uid, gid;

    info->remaps_users = remaps_users(root);
    if (!info->remaps_users || !name)
        return;
    name = read_id(name + 1, '.', &uid);
    if (!name || !read_id(name, '\0', &gid))
        return;
    info->root_uid = uid;
    info->root_gid = gid;
}

/* What every container of ours has a limit for, and the kernel that the engine is on does not
 * count: swap, say, with cgroup v1 and without swapaccount=1. */
static void
fill_unlimited(const json_t *root, struct docker_info *info)
{
    static const struct {
        const char *key, *what;
    } limits[] = {
        {"MemoryLimit", "memory"},
        {"SwapLimit", "swap"},
        {"PidsLimit", "processes"},
        {"CpuCfsQuota", "CPU time"},
    };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (!info->unlimited[0] && json_is_false(json_object_get(root, limits[i].key)))
            snprintf(info->unlimited, sizeof(info->unlimited), "%s", limits[i].what);
}

int
docker_version(struct docker *d, struct docker_info *ret, struct error *err)
{
    struct docker_info info = {0};
    json_auto_t *version = NULL;
    int r;

    r = docker_negotiate(d, &version, err);
    if (r < 0)
        return r;
    fill_version(d, version, &info);
    *ret = info;
    return 0;
}

int
docker_info(struct docker *d, struct docker_info *ret, struct error *err)
{
    const struct docker_request req = {
        .call = METRICS_CALL_INFO,
        .method = "GET",
        .path = "/info",
        .timeout_ms = INFO_TIMEOUT_MS,
    };
    struct docker_info info = {0};
    json_auto_t *version = NULL, *root = NULL;
    int r;

    r = docker_negotiate(d, &version, err);
    if (r == 0)
        r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    fill_version(d, version, &info);
    if (!json_is_string(json_object_get(root, "Driver")))
        return docker_unexpected("GET /info", err);
    fill_storage(root, &info);
    fill_runtimes(root, &info);
    fill_gpu_runtime(root, &info);
    fill_runc(version, root, &info);
    fill_users(root, &info);
    fill_unlimited(root, &info);
    copy_string(info.cgroup_version, sizeof(info.cgroup_version),
                json_object_get(root, "CgroupVersion"));
    copy_string(info.kernel_version, sizeof(info.kernel_version),
                json_object_get(root, "KernelVersion"));
    *ret = info;
    return 0;
}
