/* The worker under test: see fastcgi_worker.h. */
#include "tests/test.h"

#include "tests/unit/fastcgi_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "backend/cleanup.h"
#include "backend/config/current.h"

struct server server;

struct text_body {
    const char *text;
};

static const struct field text_fields[] = {
    {.name = "text", .type = FIELD_STRING, .offset = offsetof(struct text_body, text)},
    {0},
};

static int
handle_echo(const struct request *req, struct response *res, struct error *err)
{
    snprintf(res->etag, sizeof(res->etag), "\"7\"");
    return response_json(res, 200, json_pack("{s:s, s:s}", "user", req->user, "path", req->path),
                         err);
}

static int
handle_text(const struct request *req, struct response *res, struct error *err)
{
    const struct text_body *body = req->body;

    return response_json(
        res, 201, json_pack("{s:i}", "length", body->text ? (int)strlen(body->text) : -1), err);
}

static int
handle_nothing(const struct request *req, struct response *res, struct error *err)
{
    (void)req;
    (void)err;
    res->status = 204;
    return 0;
}

static int
handle_big(const struct request *req, struct response *res, struct error *err)
{
    json_t *list = json_array();

    (void)req;
    for (int i = 0; i < 20000; i++)
        json_array_append_new(list, json_string("0123456789abcdef"));
    return response_json(res, 200, list, err);
}

static int
handle_wait(const struct request *req, struct response *res, struct error *err)
{
    char byte = 'w';

    (void)req;
    if (write(server.entered[1], &byte, 1) != 1 || read(server.leave[0], &byte, 1) != 1)
        return error_errno(err, errno, "pipe");
    return response_json(res, 200, json_object(), err);
}

/* Writes a byte, waits until the client has gone away, and writes another. */
static int
handle_until_gone(const struct request *req, struct response *res, struct error *err)
{
    struct pollfd peer = {.fd = req->peer_fd, .events = POLLRDHUP};
    char byte = 'g';

    (void)res;
    if (write(server.entered[1], &byte, 1) == 1 && poll(&peer, 1, PATIENCE_S * 1000) == 1 &&
        write(server.entered[1], &byte, 1) == 1)
        return error_set(err, ERR_CONFLICT, "nobody waits for this");
    return error_errno(err, errno, "the peer stayed");
}

static const struct route routes[] = {
    {.method = "GET", .path = "/echo/{id}", .role = ROLE_VIEWER, .handle = handle_echo},
    {.method = "POST",
     .path = "/text",
     .role = ROLE_USER,
     .handle = handle_text,
     .body = text_fields,
     .body_size = sizeof(struct text_body)},
    {.method = "DELETE", .path = "/text", .role = ROLE_USER, .handle = handle_nothing},
    {.method = "GET", .path = "/big", .role = ROLE_USER, .handle = handle_big},
    {.method = "GET", .path = "/wait", .role = ROLE_USER, .handle = handle_wait},
    {.method = "GET", .path = "/until-gone", .role = ROLE_USER, .handle = handle_until_gone},
    {0},
};

static const struct route *const tables[] = {routes, NULL};

void
worker_write(const char *name, const char *text)
{
    char path[160];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", server.dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static int
run_worker(const int listeners[LANE_COUNT])
{
    static struct service_context ctx;
    static struct worker_spec spec;
    char yaml[96], shared[96];
    struct error err = {0};

    snprintf(yaml, sizeof(yaml), "%s/yaml", server.dir);
    snprintf(shared, sizeof(shared), "%s/shared", server.dir);
    ctx.state_dir = server.dir;
    spec = (struct worker_spec){
        .context = &ctx, .tables = tables, .listeners = {listeners[0], listeners[1], listeners[2]}};
    if (shared_create(shared, &ctx.shared, &err) < 0 || current_new(yaml, &ctx.current, &err) < 0 ||
        worker_serve(&spec, &err) < 0) {
        fprintf(stderr, "worker: %s: %s\n", err.msg, err.detail);
        return 1;
    }
    return 0;
}

int
worker_setup(void **state)
{
    int listeners[LANE_COUNT];
    char path[96];

    (void)state;
    snprintf(server.dir, sizeof(server.dir), "/tmp/test_fastcgi.XXXXXX");
    assert_non_null(mkdtemp(server.dir));
    assert_int_equal(chmod(server.dir, 0755), 0);
    snprintf(path, sizeof(path), "%s/yaml", server.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    worker_write("yaml/sandbox.yaml",
                 "service:\n  control_threads: 2\n  execution_threads: 1\n"
                 "  drain_seconds: 20\n  allowed_peers: [root]\nselective:\n  tiers: []\n");
    worker_write("yaml/tiers.yaml",
                 "tiers:\n  Small: {cpu_cores: 1, memory_mb: 64, disk_mb: 64, max_processes: 10, "
                 "timeout_seconds: 10, network: None}\n");
    worker_write("yaml/templates.yaml", "templates:\n  base: {image: base, default: true}\n");
    worker_write("yaml/access.yaml", "users:\n  ada: {role: admin}\n");
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        snprintf(server.paths[lane], sizeof(server.paths[lane]), "%s/%d.sock", server.dir, lane);
        listeners[lane] = listen_at(server.paths[lane]);
    }
    assert_int_equal(pipe2(server.entered, O_CLOEXEC), 0);
    assert_int_equal(pipe2(server.leave, O_CLOEXEC), 0);
    server.pid = fork();
    if (server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0,
              0);                    /* a test that is killed leaves nothing running */
        exit(run_worker(listeners)); /* not _exit(): it is where leaks are looked for */
    }
    for (int lane = 0; lane < LANE_COUNT; lane++)
        close(listeners[lane]);
    /* So that reading ends with the worker. */
    close(server.entered[1]);
    close(server.leave[0]);
    return 0;
}

/* End the worker if it has not ended. Returns its wait status. */
static int
end_server(void)
{
    int status = -1;

    if (server.pid > 0) {
        kill(server.pid, SIGTERM);
        assert_int_equal(waitpid(server.pid, &status, 0), server.pid);
    }
    server.pid = 0;
    return status;
}

int
worker_teardown(void **state)
{
    static const char *const names[] = {"yaml/sandbox.yaml",
                                        "yaml/tiers.yaml",
                                        "yaml/templates.yaml",
                                        "yaml/access.yaml",
                                        "shared",
                                        "0.sock",
                                        "1.sock",
                                        "2.sock",
                                        "token-key",
                                        "sandbox.db",
                                        "sandbox.db-wal",
                                        "sandbox.db-shm",
                                        "yaml",
                                        ""};
    char path[160];
    int status = server.pid > 0 ? end_server() : 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", server.dir, names[i]);
        remove(path);
    }
    close(server.entered[0]);
    close(server.leave[1]);
    if (status != 0)
        print_error("the worker's wait status is %#x\n", (unsigned)status);
    return status != 0;
}
