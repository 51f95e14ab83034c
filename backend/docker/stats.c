/*
 * A container's figures of one moment (Docker API v1.41, ContainerStats). The engine passes on what
 * the kernel counts, so cgroup v1 and v2 answers differ inside memory_stats.stats; a container that
 * does not run has no figures at all, which read as zeros.
 */
#include "backend/docker/call.h"

#include <errno.h>

enum { STATS_TIMEOUT_MS = 10000 };

/* A figure that may be missing; one that no uint64_t holds counts as missing. */
static double
figure(const json_t *object, const char *key)
{
    double value = json_real_value(json_object_get(object, key));

    return value > 0 && value < (double)UINT64_MAX ? value : 0;
}

/*
 * Bytes of file cache that the kernel would give back before it kills anything: total_inactive_file
 * with v1, where inactive_file is of the topmost group alone; inactive_file with v2. Some v1
 * kernels only have cache.
 */
static double
reclaimable(const json_t *stats)
{
    static const char *const keys[] = {"total_inactive_file", "inactive_file", "cache"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (json_object_get(stats, keys[i]))
            return figure(stats, keys[i]);
    }
    return 0;
}

static void
fill_stats(const json_t *root, struct docker_stats *ret)
{
    const json_t *memory = json_object_get(root, "memory_stats");
    const json_t *cpu = json_object_get(json_object_get(root, "cpu_stats"), "cpu_usage");
    double usage = figure(memory, "usage");
    double cache = reclaimable(json_object_get(memory, "stats"));

    /* The two are not read at the same moment. */
    ret->memory_bytes = usage > cache ? (uint64_t)(usage - cache) : 0;
    ret->cpu_ns = (uint64_t)figure(cpu, "total_usage");
    ret->pids = (uint64_t)figure(json_object_get(root, "pids_stats"), "current");
}

int
docker_container_stats(struct docker *d, const char *id, struct docker_stats *ret,
                       struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_STATS,
        .method = "GET",
        .timeout_ms = STATS_TIMEOUT_MS,
    };
    _cleanup_(docker_answer_done) struct docker_answer a = {0};
    _cleanup_(buf_done) struct buf path;
    json_auto_t *root = NULL;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_name_check(id, err);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/containers/%s/stats?stream=false&one-shot=true", id) < 0)
        return error_errno(err, ENOMEM, "docker_container_stats");
    req.path = path.data;
    r = docker_exchange(d, &req, &a, err);
    /* "No limit" is 2^64-1, more than jansson's integers hold; a double loses nothing below 2^53.
     */
    if (r == 0)
        r = docker_json(&a.body, JSON_DECODE_INT_AS_REAL, &root, err);
    if (r < 0)
        return r;
    if (!json_is_object(root))
        return docker_unexpected("ContainerStats", err);
    fill_stats(root, ret);
    return 0;
}
