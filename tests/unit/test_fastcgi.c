/*
 * fcgi/worker.c and dispatcher.c: a worker in a process of its own, and this test as its nginx,
 * which speaks FastCGI byte by byte, well or badly. Every test ends the worker by TERM and wants
 * status 0.
 */
#include "tests/test.h"

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

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "backend/config/current.h"
#include "fcgi/worker.h"

enum { BEGIN = 1, ABORT = 2, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, GET_VALUES = 9 };
enum { ANSWER_MAX = 4 << 20, PATIENCE_S = 30 };

/* The worker under test. */
struct server {
    pid_t pid;
    char dir[64];
    char paths[LANE_COUNT][96];
    int entered[2]; /* a waiting handler writes a byte when it begins */
    int leave[2];   /* and ends when it can read one */
};

static struct server server;

/* --- the handlers of the worker --- */

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

/* --- the worker --- */

static void
write_file(const char *name, const char *text)
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
        .context = &ctx, .tables = tables, .listeners = {listeners[0], listeners[1]}};
    if (shared_create(shared, &ctx.shared, &err) < 0 || current_new(yaml, &ctx.current, &err) < 0 ||
        worker_serve(&spec, &err) < 0) {
        fprintf(stderr, "worker: %s: %s\n", err.msg, err.detail);
        return 1;
    }
    return 0;
}

static int
setup(void **state)
{
    int listeners[LANE_COUNT];
    char path[96];

    (void)state;
    snprintf(server.dir, sizeof(server.dir), "/tmp/test_fastcgi.XXXXXX");
    assert_non_null(mkdtemp(server.dir));
    assert_int_equal(chmod(server.dir, 0755), 0);
    snprintf(path, sizeof(path), "%s/yaml", server.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    write_file("yaml/sandbox.yaml",
               "service:\n  control_threads: 2\n  execution_threads: 1\n"
               "  drain_seconds: 20\n  allowed_peers: [root]\nselective:\n  tiers: []\n");
    write_file("yaml/tiers.yaml",
               "tiers:\n  Small: {cpu_cores: 1, memory_mb: 64, disk_mb: 64, max_processes: 10, "
               "timeout_seconds: 10, network: None}\n");
    write_file("yaml/templates.yaml", "templates:\n  base: {image: base, default: true}\n");
    write_file("yaml/access.yaml", "users:\n  ada: {role: admin}\n");
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

static int
teardown(void **state)
{
    static const char *const names[] = {"yaml/sandbox.yaml",
                                        "yaml/tiers.yaml",
                                        "yaml/templates.yaml",
                                        "yaml/access.yaml",
                                        "shared",
                                        "0.sock",
                                        "1.sock",
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

/* --- the client --- */

static int
dial(enum lane lane)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.paths[lane]);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

static void
put_record(struct buf *b, int type, const void *content, size_t len, size_t padding)
{
    const unsigned char header[8] = {
        1,
        (unsigned char)type,
        0,
        1,
        (unsigned char)(len >> 8),
        (unsigned char)len,
        (unsigned char)padding,
        0,
    };
    static const char zeros[256];

    assert_int_equal(buf_append(b, header, sizeof(header)), 0);
    assert_int_equal(buf_append(b, content, len), 0);
    assert_int_equal(buf_append(b, zeros, padding), 0);
}

static void
put_begin(struct buf *b, bool keep)
{
    const unsigned char body[8] = {0, 1, keep, 0, 0, 0, 0, 0};

    put_record(b, BEGIN, body, sizeof(body), 0);
}

static void
put_length(struct buf *b, size_t len, bool long_form)
{
    const unsigned char bytes[4] = {
        (unsigned char)(0x80 | len >> 24),
        (unsigned char)(len >> 16),
        (unsigned char)(len >> 8),
        (unsigned char)len,
    };

    if (len >= 128 || long_form)
        assert_int_equal(buf_append(b, bytes, 4), 0);
    else
        assert_int_equal(buf_append(b, bytes + 3, 1), 0);
}

static void
put_param(struct buf *b, const char *name, const char *value, bool long_form)
{
    put_length(b, strlen(name), long_form);
    put_length(b, strlen(value), long_form);
    assert_int_equal(buf_append(b, name, strlen(name)), 0);
    assert_int_equal(buf_append(b, value, strlen(value)), 0);
}

/* A stream of records of at most @chunk bytes, and its end. */
static void
put_stream(struct buf *b, int type, const char *data, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len; at += chunk)
        put_record(b, type, data + at, len - at < chunk ? len - at : chunk, at % 7);
    put_record(b, type, "", 0, 0);
}

/* What nginx would send; NULLs are left out. */
struct ask {
    const char *method, *uri, *user, *second_user, *type, *length, *body;
    size_t body_len; /* 0: strlen(body) */
    bool once;       /* do not keep the connection */
};

static void
put_params(struct buf *b, const struct ask *a, size_t body_len, bool long_form)
{
    char length[24];

    snprintf(length, sizeof(length), "%zu", body_len);
    put_param(b, "REQUEST_METHOD", a->method ? a->method : "GET", long_form);
    put_param(b, "DOCUMENT_URI", a->uri ? a->uri : "/api/sandbox/echo/x", long_form);
    put_param(b, "CONTENT_LENGTH", a->length ? a->length : body_len > 0 ? length : "", long_form);
    if (a->type)
        put_param(b, "CONTENT_TYPE", a->type, long_form);
    if (a->user)
        put_param(b, "REMOTE_USER", a->user, long_form);
    if (a->second_user)
        put_param(b, "REMOTE_USER", a->second_user, long_form);
}

static void
put_request(struct buf *b, const struct ask *a)
{
    size_t body_len = a->body_len ? a->body_len : a->body ? strlen(a->body) : 0;
    _cleanup_(buf_done) struct buf params;

    buf_init(&params, 1 << 16);
    put_params(&params, a, body_len, false);
    put_begin(b, !a->once);
    put_stream(b, PARAMS, params.data, params.len, 32768);
    put_stream(b, STDIN, a->body, body_len, 32768);
}

/* Whether all of @b could be sent; a server may close before it has read everything. */
static bool
send_all(int fd, const struct buf *b)
{
    size_t at = 0;

    while (at < b->len) {
        ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);

        if (n < 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool
receive(int fd, void *to, size_t len)
{
    return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* Read one answer's stdout. False if the connection ended before it did. */
static bool
read_answer(int fd, struct buf *out)
{
    unsigned char h[8];
    char content[65536 + 256];

    buf_clear(out);
    while (receive(fd, h, sizeof(h))) {
        size_t len = (size_t)h[4] << 8 | h[5];

        if (!receive(fd, content, len + h[6]))
            return false;
        if (h[1] == STDOUT)
            assert_int_equal(buf_append(out, content, len), 0);
        if (h[1] == END)
            return true;
    }
    return false;
}

static bool
exchange(int fd, const struct ask *a, struct buf *out)
{
    _cleanup_(buf_done) struct buf b;

    buf_init(&b, 64U << 20);
    put_request(&b, a);
    send_all(fd, &b);
    return read_answer(fd, out);
}

static void
assert_answer(const struct buf *out, const char *head, const char *part)
{
    if (!out->data || strncmp(out->data, head, strlen(head)) != 0 || !strstr(out->data, part))
        fail_msg("wanted '%s' … '%s', got '%.400s'", head, part, out->data ? out->data : "");
}

/* The worker answers on a new connection of @lane. */
static void
assert_alive(enum lane lane)
{
    const struct ask ask = {.user = "ada", .once = true};
    _cleanup_(closep) int fd = dial(lane);
    _cleanup_(buf_done) struct buf out;

    buf_init(&out, ANSWER_MAX);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\r\n\r\n{\"user\":\"ada\",\"path\":\"/echo/x\"}");
}

static void
assert_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

/* The worker closes without an answer; it may still say that the request is over. */
static void
assert_dropped(int fd)
{
    char bytes[4096];
    ssize_t n, len = 0;

    while ((n = recv(fd, bytes + len, sizeof(bytes) - (size_t)len, 0)) > 0)
        len += n;
    assert_true(n == 0 || errno == ECONNRESET);
    assert_null(memmem(bytes, (size_t)len, "Status:", 7));
}

/* --- the tests --- */

/* One after the other on a connection; each leaves it fit for the next. */
static void
test_kept_connection(void **state)
{
    static const struct {
        struct ask ask;
        const char *head, *part;
    } cases[] = {
        {{.user = "ada"}, "Status: 200 OK\r\n", "ETag: \"7\"\r\n"},
        {{.user = "ada"},
         "Status: 200 OK\r\n",
         "Content-Type: application/json; charset=utf-8\r\nContent-Length: 31\r\n"},
        {{.method = "HEAD", .user = "ada"}, "Status: 200 OK\r\n", "Content-Length: 31\r\n"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{\"text\":\"abc\"}"},
         "Status: 201 Created\r\n",
         "\r\n\r\n{\"length\":3}"},
        {{.method = "POST", .uri = "/api/sandbox/text", .user = "ada"},
         "Status: 201 Created\r\n",
         "\r\n\r\n{\"length\":-1}"},
        {{.method = "DELETE", .uri = "/api/sandbox/text", .user = "ada"},
         "Status: 204 No Content\r\nX-Request-Id: ",
         "\r\n\r\n"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{"},
         "Status: 400 ",
         "\"code\":\"bad_json\""},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{\"text\":7}"},
         "Status: 422 ",
         "\"errors\":[{\"pointer\":\"/text\""},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .length = "20",
          .body = "{}"},
         "Status: 400 ",
         "2 bytes where 20 were"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .length = "1",
          .body = "{}"},
         "Status: 400 ",
         "2 bytes where 1 were"},
        {{.method = "POST", .uri = "/api/sandbox/text", .user = "ada", .length = "x", .body = "{}"},
         "Status: 400 ",
         "\"code\":\"bad_query\""},
        {{.user = NULL},
         "Status: 401 Unauthorized\r\n",
         "WWW-Authenticate: Basic realm=\"sandbox\"\r\n"},
        {{.user = "ada", .second_user = "ada"},
         "Status: 401 ",
         "Content-Type: application/problem+json\r\n"},
        {{.user = "eve"}, "Status: 403 ", "\"code\":\"forbidden\""},
        {{.uri = "/", .user = "ada"}, "Status: 404 ", "\"code\":\"not_found\""},
        {{.method = "PUT", .user = "ada"}, "Status: 405 ", "Allow: GET, HEAD\r\n"},
        {{.uri = "/api/sandbox/big", .user = "ada"}, "Status: 200 OK\r\n", "\"0123456789abcdef\"]"},
        {{.user = "ada", .once = true}, "Status: 200 OK\r\n", "ada"},
    };
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_true(exchange(fd, &cases[i].ask, &out));
        assert_answer(&out, cases[i].head, cases[i].part);
        if (cases[i].ask.method && strcmp(cases[i].ask.method, "HEAD") == 0)
            assert_string_equal(out.data + out.len - 4, "\r\n\r\n");
    }
    assert_closed(fd);
}

/* Names and values of 128 bytes and more, lengths in four bytes, records of every size. */
static void
test_param_forms(void **state)
{
    static const struct {
        bool long_form;
        size_t filler, chunk;
    } cases[] = {{false, 1, 32768}, {true, 1, 32768}, {false, 127, 5},
                 {false, 128, 1},   {true, 129, 3},   {false, 20000, 4096}};
    const struct ask ask = {.user = "ada"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_done) struct buf params, b;
        char *filler = calloc(1, cases[i].filler + 1);

        print_message("case %zu\n", i);
        memset(filler, 'F', cases[i].filler);
        buf_init(&params, 1 << 20);
        buf_init(&b, 1 << 22);
        put_param(&params, filler, filler, cases[i].long_form);
        put_params(&params, &ask, 0, cases[i].long_form);
        put_param(&params, filler, "", cases[i].long_form);
        free(filler);
        put_begin(&b, true);
        put_stream(&b, PARAMS, params.data, params.len, cases[i].chunk);
        put_stream(&b, STDIN, "", 0, 1);
        assert_true(send_all(fd, &b));
        assert_true(read_answer(fd, &out));
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
    }
}

/* Each byte in a segment of its own. */
static void
test_byte_by_byte(void **state)
{
    const struct ask ask = {.method = "POST",
                            .uri = "/api/sandbox/text",
                            .user = "ada",
                            .type = "application/json",
                            .body = "{\"text\":\"abc\"}"};
    _cleanup_(closep) int fd = dial(LANE_EXECUTION);
    _cleanup_(buf_done) struct buf b, out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(send(fd, b.data + i, 1, MSG_NOSIGNAL), 1);
    assert_true(read_answer(fd, &out));
    assert_answer(&out, "Status: 201 ", "{\"length\":3}");
}

/* More silent connections than threads, new ones and kept ones, on both lanes: nobody waits for
 * them. */
static void
test_silent_peers(void **state)
{
    const struct ask ask = {.user = "ada"};
    int fds[24];
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(i % 2 ? LANE_EXECUTION : LANE_CONTROL);
        if (i % 3 == 0)
            assert_true(exchange(fds[i], &ask, &out));
    }
    assert_alive(LANE_CONTROL);
    assert_alive(LANE_EXECUTION);
    /* They can still speak. */
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_true(exchange(fds[i], &ask, &out));
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
        close(fds[i]);
    }
}

/* A good request that breaks off after each of its bytes. */
static void
test_unfinished(void **state)
{
    const struct ask ask = {.method = "POST",
                            .uri = "/api/sandbox/text",
                            .user = "ada",
                            .type = "application/json",
                            .body = "{}"};
    _cleanup_(buf_done) struct buf b;
    size_t whole;

    (void)state;
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    whole = b.len;
    for (b.len = 0; b.len < whole; b.len += 3) {
        _cleanup_(closep) int fd = dial(LANE_CONTROL);

        assert_true(send_all(fd, &b));
        shutdown(fd, SHUT_WR);
        assert_dropped(fd);
    }
    assert_alive(LANE_CONTROL);
}

static void
test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
        {"\2\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0", 16},                 /* version 2 */
        {"\1\1\0\0\0\10\0\0\0\1\1\0\0\0\0\0", 16},                 /* request 0 */
        {"\1\1\0\1\0\7\0\0\0\1\1\0\0\0\0", 15},                    /* a begin that is too short */
        {"\1\1\0\1\0\10\0\0\0\11\1\0\0\0\0\0", 16},                /* no such role */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\5\0\1\0\0\0\0", 24}, /* stdin before params */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\2\0\1\0\0\0\0", 24}, /* abort */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\4\0\0\xff\xff\xff\xff",
         28}, /* a name of 2 GiB */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\3\0\0\5\5x\1\4\0\1\0\0\0\0",
         35}, /* params cut off */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(closep) int fd = dial(LANE_CONTROL);

        print_message("case %zu\n", i);
        assert_int_equal(send(fd, cases[i].bytes, cases[i].len, MSG_NOSIGNAL), cases[i].len);
        shutdown(fd, SHUT_WR);
        assert_dropped(fd);
    }
    assert_alive(LANE_CONTROL);
}

/* The question that some servers ask before a request. */
static void
test_get_values(void **state)
{
    static const char question[] = "\1\11\0\0\0\21\0\0\17\0FCGI_MPXS_CONNS";
    const struct ask ask = {.user = "ada"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    assert_int_equal(send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL), sizeof(question) - 1);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
}

/* Too large is answered, and the connection kept while what came was not endless. */
static void
test_large_body(void **state)
{
    static const struct {
        size_t len;
        const char *length;
        const char *head;
        bool kept;
    } cases[] = {
        {1 << 20, NULL, "Status: 400 ", true},     {(1 << 20) + 1, NULL, "Status: 413 ", true},
        {(1 << 20) + 1, "", "Status: 413 ", true}, {3 << 20, "5", "Status: 413 ", true},
        {20 << 20, NULL, "Status: 413 ", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *body = calloc(1, cases[i].len);
        const struct ask large = {.method = "POST",
                                  .uri = "/api/sandbox/text",
                                  .user = "ada",
                                  .type = "application/json",
                                  .length = cases[i].length,
                                  .body = body,
                                  .body_len = cases[i].len};
        const struct ask next = {.user = "ada"};
        _cleanup_(closep) int fd = dial(LANE_CONTROL);
        _cleanup_(buf_done) struct buf out;

        print_message("case %zu\n", i);
        buf_init(&out, ANSWER_MAX);
        assert_true(exchange(fd, &large, &out));
        assert_answer(&out, cases[i].head, "\"code\":\"");
        free(body);
        if (cases[i].kept) {
            assert_true(exchange(fd, &next, &out));
            assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
        } else {
            assert_closed(fd);
        }
    }
}

/* Only accounts in allowed_peers are spoken with. It takes root to try as another. */
static void
test_wrong_peer(void **state)
{
    const struct ask ask = {.user = "ada"};
    int status = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid = fork();
    if (pid == 0) {
        struct buf out;
        int fd;

        if (setresuid(65534, 65534, 65534) < 0)
            _exit(2);
        fd = dial(LANE_CONTROL);
        buf_init(&out, ANSWER_MAX);
        _exit(exchange(fd, &ask, &out) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_alive(LANE_CONTROL);
}

/* Every execution thread is busy: the next is told so at once, and quick requests do not notice. */
static void
test_overload(void **state)
{
    const struct ask wait = {.uri = "/api/sandbox/wait", .user = "ada"};
    const struct ask quick = {.user = "ada"};
    _cleanup_(closep) int busy = dial(LANE_EXECUTION);
    _cleanup_(closep) int late = dial(LANE_EXECUTION);
    _cleanup_(buf_done) struct buf b, out;
    char byte;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    put_request(&b, &wait);
    assert_true(send_all(busy, &b));
    assert_int_equal(read(server.entered[0], &byte, 1), 1);
    for (int i = 0; i < 3; i++) {
        assert_true(exchange(late, &wait, &out));
        assert_answer(&out, "Status: 503 Service Unavailable\r\n", "Retry-After: 1\r\n");
        assert_answer(&out, "Status: 503 ", "\"code\":\"overloaded\"");
        assert_alive(LANE_CONTROL);
    }
    assert_int_equal(write(server.leave[1], &byte, 1), 1);
    assert_true(read_answer(busy, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "{}");
    /* Who has the answer finds the thread free, and the refused connection is still good. */
    assert_true(exchange(late, &quick, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
}

/* TERM: what runs is answered, kept connections get one more answer, then the worker ends. */
static void
test_drain(void **state)
{
    const struct ask wait = {.uri = "/api/sandbox/wait", .user = "ada"};
    const struct ask quick = {.user = "ada"};
    _cleanup_(closep) int busy = dial(LANE_EXECUTION);
    _cleanup_(closep) int kept = dial(LANE_CONTROL);
    _cleanup_(closep) int idle = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf b, out;
    char byte;
    int status;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    assert_true(exchange(kept, &quick, &out));
    assert_true(exchange(idle, &quick, &out));
    put_request(&b, &wait);
    assert_true(send_all(busy, &b));
    assert_int_equal(read(server.entered[0], &byte, 1), 1);

    kill(server.pid, SIGTERM);
    /* Until the signal has been taken in, the connection is kept after an answer. */
    while (exchange(kept, &quick, &out))
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
    assert_int_equal(waitpid(server.pid, &status, WNOHANG), 0);
    assert_int_equal(write(server.leave[1], &byte, 1), 1);
    assert_true(read_answer(busy, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "{}");
    assert_closed(busy);
    assert_closed(idle);
    assert_int_equal(waitpid(server.pid, &status, 0), server.pid);
    assert_int_equal(status, 0);
    server.pid = 0;
}

/* A client that goes away is seen by the handler, more often than there are threads. */
static void
test_client_gone(void **state)
{
    const struct ask ask = {.uri = "/api/sandbox/until-gone", .user = "ada"};
    _cleanup_(buf_done) struct buf b;
    char byte;

    (void)state;
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    for (int i = 0; i < 6; i++) {
        int fd = dial(LANE_CONTROL);

        assert_true(send_all(fd, &b));
        assert_int_equal(read(server.entered[0], &byte, 1), 1);
        close(fd);
        assert_int_equal(read(server.entered[0], &byte, 1), 1);
    }
    assert_alive(LANE_CONTROL);
}

/* HUP: a user who is new in the YAML is let in; a file that is broken changes nothing. */
static void
test_reload(void **state)
{
    const struct ask ask = {.user = "eve"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 403 ", "\"code\":\"forbidden\"");
    write_file("yaml/access.yaml", "users:\n  eve: {role: viewer}\n");
    kill(server.pid, SIGHUP);
    do {
        assert_true(exchange(fd, &ask, &out));
    } while (strncmp(out.data, "Status: 403 ", 12) == 0);
    assert_answer(&out, "Status: 200 ", "\"user\":\"eve\"");
    write_file("yaml/access.yaml", "users: [\n");
    kill(server.pid, SIGHUP);
    for (int i = 0; i < 50; i++)
        assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 ", "\"user\":\"eve\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_param_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfinished, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
    };

    return cmocka_run_group_tests_name("fastcgi", tests, NULL, NULL);
}
