/* GPUs: see gpu.h. */
#include "backend/gpu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "backend/buf.h"
#include "backend/engine.h"
#include "backend/store/store.h"

enum { PROBE_MS = 5000, DEATH_MS = 1000, ANSWER_MAX = 64 << 10 };

/*
 * A probe that outlived its KILL, inside the driver; 0: none. While there is one no other is
 * started, or a hung driver would gather processes.
 */
static atomic_int stuck;

/* Whether no probe is stuck (any more). */
static bool
unstuck(void)
{
    int pid = atomic_load(&stuck);

    if (pid != 0 && waitpid(pid, NULL, WNOHANG) != 0)
        atomic_compare_exchange_strong(&stuck, &pid, 0);
    return atomic_load(&stuck) == 0;
}

/* Start `sandboxd gpu @library` with @out as its stdout. */
static int
start_probe(const char *library, int out, pid_t *ret)
{
    char name[] = "sandboxd", command[] = "gpu";
    char *path = strdup(library);
    char *argv[] = {name, command, path, NULL};
    char *env[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int rc;

    if (!path)
        return -ENOMEM;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (rc == 0) /* that there is no such library is no news */
        rc = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn(ret, "/proc/self/exe", &actions, &attributes, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(path);
    return -rc;
}

/* Read what the probe says until it ends or its time is over. */
static void
read_probe(int fd, struct buf *answer)
{
    int64_t until = time_monotonic_ms() + PROBE_MS;
    char piece[4096];

    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = until - time_monotonic_ms();
        ssize_t n;

        if (left <= 0 || poll(&ready, 1, (int)left) <= 0)
            return;
        n = read(fd, piece, sizeof(piece));
        if (n <= 0 || buf_append(answer, piece, (size_t)n) < 0)
            return;
    }
}

/* End the probe, however it stands, without waiting for a driver that does not let it go. */
static void
end_probe(pid_t pid)
{
    _cleanup_(closep) int handle = pidfd_open(pid, 0);
    struct pollfd dead = {.fd = handle, .events = POLLIN};
    int free_slot = 0;

    kill(pid, SIGKILL);
    if (poll(&dead, 1, DEATH_MS) > 0)
        waitpid(pid, NULL, 0);
    else
        atomic_compare_exchange_strong(&stuck, &free_slot, pid);
}

/* What NVML says through @library, as nvml_main() prints it; NULL: nothing. The caller's. */
static json_t *
probe(const char *library)
{
    _cleanup_(closep) int in = -1;
    _cleanup_(buf_done) struct buf answer;
    int fds[2];
    pid_t pid = 0;
    int r;

    buf_init(&answer, ANSWER_MAX);
    if (!unstuck() || pipe2(fds, O_CLOEXEC) < 0)
        return NULL;
    in = fds[0];
    r = start_probe(library, fds[1], &pid);
    close(fds[1]);
    if (r != 0)
        return NULL;
    read_probe(in, &answer);
    end_probe(pid);
    return answer.len > 0 ? json_loadb(answer.data, answer.len, JSON_REJECT_DUPLICATES, NULL)
                          : NULL;
}

static int64_t
number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

static void
text(const json_t *object, const char *key, char out[GPU_TEXT_SIZE])
{
    const char *value = json_string_value(json_object_get(object, key));

    snprintf(out, GPU_TEXT_SIZE, "%s", value ? value : "");
}

static void
fill(const json_t *root, struct gpu_report *ret)
{
    json_t *item;
    size_t i;

    text(root, "driver_version", ret->driver_version);
    json_array_foreach(json_object_get(root, "gpus"), i, item)
    {
        struct gpu *gpu = &ret->items[ret->count];

        if (ret->count == NVML_GPUS_MAX)
            return;
        gpu->index = number(item, "index");
        gpu->memory_total_mb = number(item, "memory_total_mb");
        gpu->memory_used_mb = number(item, "memory_used_mb");
        gpu->utilization_percent = number(item, "utilization_percent");
        gpu->temperature_c = number(item, "temperature_c");
        text(item, "uuid", gpu->uuid);
        text(item, "name", gpu->name);
        ret->count++;
    }
}

void
gpu_read(struct backend *b, struct gpu_report *ret)
{
    json_auto_t *root = probe(b->settings->gpu.library);
    struct engine_info engine = {0};
    struct error ignored = {0};

    *ret = (struct gpu_report){0};
    fill(root, ret);
    if (engine_info(b->engine, &engine, &ignored) == 0)
        snprintf(ret->runtime, sizeof(ret->runtime), "%s", engine.gpu_runtime);
}

int
gpu_check(struct backend *b, int64_t count, int64_t *ret_total, struct error *err)
{
    struct gpu_report report;

    gpu_read(b, &report);
    if (report.count < (size_t)count)
        return error_set(err, ERR_CONFLICT,
                         "this sandbox needs GPUs: %lld; NVIDIA's library '%.64s' shows: %zu",
                         (long long)count, b->settings->gpu.library, report.count);
    if (!report.runtime[0])
        return error_set(err, ERR_CONFLICT,
                         "this sandbox needs GPUs, and Docker has neither the runtime 'nvidia' nor "
                         "CDI devices to give them out");
    if (ret_total)
        *ret_total = (int64_t)report.count;
    return 0;
}

int
gpu_insert(struct backend *b, struct container *c, struct quota_gate *gate, struct error *err)
{
    struct store *store = NULL;
    int64_t total = 0;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = gpu_check(b, c->gpus, &total, err);
    return r < 0 ? r : store_container_insert_gpus(store, c, total, gate, err);
}
