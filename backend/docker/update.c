/* ContainerUpdate (Docker API v1.41): limits of a container that is there already. */
#include "backend/docker/call.h"

#include <errno.h>

enum {
    UPDATE_TIMEOUT_MS = 30000,
    CPU_QUOTA_MIN_US = 1000 /* the kernel takes no less */
};

json_int_t
docker_cpu_quota(double cores)
{
    json_int_t quota = (json_int_t)(cores * DOCKER_CPU_PERIOD_US + 0.5);

    return quota < CPU_QUOTA_MIN_US ? CPU_QUOTA_MIN_US : quota;
}

/* Only what is to change: the engine leaves alone what is not named. NULL where memory is short. */
static json_t *
body_json(const struct docker_limits *l)
{
    json_int_t memory = (json_int_t)l->memory_mb * 1024 * 1024;
    json_auto_t *body = json_object();

    if (l->cpu_cores > 0 &&
        (json_object_set_new(body, "CpuPeriod", json_integer(DOCKER_CPU_PERIOD_US)) < 0 ||
         json_object_set_new(body, "CpuQuota", json_integer(docker_cpu_quota(l->cpu_cores))) < 0))
        return NULL;
    /* Both at one time: the engine refuses memory above the limit of memory and swap together. */
    if (l->memory_mb > 0 && (json_object_set_new(body, "Memory", json_integer(memory)) < 0 ||
                             json_object_set_new(body, "MemorySwap", json_integer(memory)) < 0))
        return NULL;
    if (l->pids_limit > 0 &&
        json_object_set_new(body, "PidsLimit", json_integer(l->pids_limit)) < 0)
        return NULL;
    return TAKE(body);
}

int
docker_container_update(struct docker *d, const char *id, const struct docker_limits *limits,
                        struct error *err)
{
    json_auto_t *body = body_json(limits);
    struct docker_request req = {.method = "POST", .body = body, .timeout_ms = UPDATE_TIMEOUT_MS};

    if (!body)
        return error_errno(err, ENOMEM, "docker_container_update");
    return docker_container_call(d, id, "/update", &req, NULL, err);
}
