/* A broker in a process of its own: see broker_world.h. */
#include "tests/test.h"

#include "tests/unit/broker_world.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/broker/broker.h"
#include "backend/broker/protocol.h"
#include "backend/cleanup.h"

struct broker_world broker;

static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0 ||
        chmod(path, 0777) < 0)
        return -1;
    return fd;
}

/* The shipped YAML, and an access.yaml with a user who has an account. */
static int
make_yaml(void)
{
    static const char *const shipped[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml"};
    char path[100], target[PATH_MAX + 32], cwd[PATH_MAX];
    FILE *f;

    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        snprintf(path, sizeof(path), "%s/yaml/%s", broker.dir, shipped[i]);
        snprintf(target, sizeof(target), "%s/yaml/%s", getcwd(cwd, sizeof(cwd)), shipped[i]);
        if (symlink(target, path) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s/yaml/access.yaml", broker.dir);
    f = fopen(path, "w");
    if (!f)
        return -1;
    fputs("users:\n  alice: {role: user}\n"
          "  carla: {role: user, run_as: {uid: 1234, gid: 1235}}\n",
          f);
    return fclose(f);
}

int
broker_world_open(void **state)
{
    static const char *const directories[] = {"run", "guests", "slots", "workspaces", "yaml"};
    static struct service_context ctx;
    char path[100];
    struct current *current = NULL;
    int fd;

    (void)state;
    snprintf(broker.dir, sizeof(broker.dir), "/tmp/test-broker.XXXXXX");
    if (!mkdtemp(broker.dir) || chmod(broker.dir, 0755) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
        snprintf(path, sizeof(path), "%s/%s", broker.dir, directories[i]);
        if (mkdir(path, 0755) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s/run/broker.sock", broker.dir);
    fd = listen_at(path);
    snprintf(path, sizeof(path), "%s/yaml", broker.dir);
    if (make_yaml() < 0 || current_new(path, &current, NULL) < 0)
        return -1;
    ctx = (struct service_context){
        .current = current,
        .state_dir = broker.dir,
        .docker_host = "unix:///nonexistent/docker.sock",
        .guest_binary = "/nonexistent/sandbox-guest",
        .uid = getuid(),
        .gid = getgid(),
    };
    if (backend_instance(&ctx, NULL) < 0)
        return -1;
    broker.pid = fork();
    if (broker.pid == 0)
        _exit(broker_main(&ctx, fd));
    close(fd);
    return broker.pid > 0 && fd >= 0 ? 0 : -1;
}

int
broker_world_close(void **state)
{
    static const char *const left[] = {"run/broker.sock",
                                       "yaml/sandbox.yaml",
                                       "yaml/tiers.yaml",
                                       "yaml/templates.yaml",
                                       "yaml/access.yaml",
                                       "instance",
                                       "run",
                                       "guests",
                                       "slots",
                                       "workspaces",
                                       "yaml"};
    char path[100];
    int status = 0;

    (void)state;
    kill(broker.pid, SIGTERM);
    waitpid(broker.pid, &status, 0);
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", broker.dir, left[i]);
        if (remove(path) < 0 && errno != ENOENT)
            print_error("%s: left over\n", path);
    }
    return rmdir(broker.dir) < 0 || status != 0;
}

int
broker_dial(void)
{
    const struct timeval timeout = {.tv_sec = 20};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/broker.sock", broker.dir);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

int
broker_ask(uint32_t operation, const void *payload, size_t length)
{
    struct broker_request request = {.operation = operation, .length = (uint32_t)length};
    struct broker_reply reply = {0};
    int fd = broker_dial();
    int r;

    /* It may hang up before it has taken all: what counts is what it says. */
    if (broker_write(fd, &request, sizeof(request)) == 0)
        broker_write(fd, payload, length);
    r = broker_read(fd, &reply, sizeof(reply));
    close(fd);
    return r < 0 ? -1 : (int)reply.error.code;
}

struct engine_spec
broker_good_spec(void)
{
    return (struct engine_spec){
        .id = "container_0123456789ab",
        .owner = "alice",
        .workspace = "agent",
        .image = "sandbox-base:latest",
        .runtime = "runc",
        .uid = 200000,
        .gid = 200000,
        .workspace_access = ACCESS_RW,
        .network = NETWORK_RESTRICTED,
        .limits = {.cpu_cores = 1,
                   .memory_mb = 64,
                   .disk_mb = 64,
                   .max_processes = 8,
                   .timeout_seconds = 10},
    };
}
