/*
 * A double of the Docker Engine for unit tests: a thread that serves canned HTTP answers on a unix
 * socket. It knows nothing of Docker; what it says is in the test's table of routes.
 *
 * The thread serves some connections, one request at a time, and notes what it was asked. The test
 * changes its routes with fake_docker_serve() and reads the notes with the functions after it; all
 * of them take the lock.
 */
#ifndef TESTS_UNIT_FAKE_DOCKER_H
#define TESTS_UNIT_FAKE_DOCKER_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/buf.h"

enum { FAKE_CONNECTIONS = 8, FAKE_REQUESTS = 32, FAKE_ROUTES = 8 };

/* How an answer travels. */
enum fake_how {
    FAKE_PLAIN = 0,
    FAKE_CHUNKED,
    FAKE_CLOSE_AFTER, /* an answer that announces nothing, then the connection closes */
    FAKE_CUT,         /* half of the body, then the connection closes */
    FAKE_CUT_CHUNKED, /* a chunk without an end, then the connection closes */
    FAKE_NO_ANSWER,   /* the connection closes instead */
    FAKE_SILENCE,     /* nothing at all */
    FAKE_NOT_HTTP,    /* the body alone */
    FAKE_MIRROR,      /* as FAKE_PLAIN; the body is what mirror() makes of the last one sent */
};

/* The answer to requests that begin with @request, such as "GET /v1.41/info". Borrowed. */
struct fake_route {
    const char *request;
    int status;
    const char *body;
    enum fake_how how;
};

struct fake_docker {
    char dir[32], host[128]; /* host: "unix:///…" for the client */
    int listener, stop[2];
    pthread_t thread;
    pthread_mutex_t lock;
    struct fake_route routes[FAKE_ROUTES + 1]; /* ends with a NULL request */
    char asked[FAKE_REQUESTS][512];            /* "METHOD target" */
    size_t asked_count;
    size_t connections; /* accepted so far */
    size_t drop;        /* so many requests are read, then their connection closes */
    char *(*mirror)(
        const char *body); /* set before fake_docker_serve(); what it returns is freed */
    struct buf last_body;  /* of the last request that had one; chunks are kept as they came */
};

static inline void
fake_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        data += sent;
        len -= (size_t)sent;
    }
}

/* Send what @route says. Returns false when the connection is to be closed. */
static inline bool
fake_answer(int fd, const struct fake_route *route)
{
    size_t len = strlen(route->body);
    char head[160];

    if (route->how == FAKE_NO_ANSWER)
        return false;
    if (route->how == FAKE_SILENCE)
        return true;
    if (route->how == FAKE_NOT_HTTP) {
        fake_send(fd, route->body, len);
        return false;
    }
    if (route->how == FAKE_CHUNKED || route->how == FAKE_CUT_CHUNKED) {
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%c\r\n%zx\r\n",
                 route->status, route->body[0], len - 1);
        fake_send(fd, head, strlen(head));
        fake_send(fd, route->body + 1, len - 1);
        if (route->how == FAKE_CUT_CHUNKED)
            return false;
        fake_send(fd, "\r\n0\r\n\r\n", 7);
        return true;
    }
    snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", route->status,
             len);
    if (route->status == 204 || route->status == 304)
        snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n\r\n", route->status);
    fake_send(fd, head, strlen(head));
    fake_send(fd, route->body, route->how == FAKE_CUT ? len / 2 : len);
    return route->how == FAKE_PLAIN || route->how == FAKE_MIRROR;
}

/* Whether @request holds all of a request; *@body is where its body begins. */
static inline bool
fake_complete(const struct buf *request, size_t *body)
{
    const char *end = strstr(request->data, "\r\n\r\n");
    const char *length;

    if (!end)
        return false;
    *body = (size_t)(end - request->data) + 4;
    if (strcasestr(request->data, "transfer-encoding: chunked"))
        return strstr(request->data + *body, "0\r\n\r\n") != NULL;
    length = strcasestr(request->data, "content-length:");
    return !length || length > end ||
           request->len - *body >= strtoul(length + strlen("content-length:"), NULL, 10);
}

/* Read one request. Returns false at the end of the connection. */
static inline bool
fake_read(int fd, struct buf *request, size_t *body)
{
    char piece[4096];
    ssize_t got;

    do {
        got = read(fd, piece, sizeof(piece));
        if (got <= 0 || buf_append(request, piece, (size_t)got) < 0)
            return false;
    } while (!fake_complete(request, body));
    return true;
}

static inline const struct fake_route *
fake_find(const struct fake_docker *f, const char *asked)
{
    static const struct fake_route none = {"", 404, "{\"message\":\"page not found\"}", FAKE_PLAIN};

    for (const struct fake_route *r = f->routes; r->request; r++) {
        if (strncmp(asked, r->request, strlen(r->request)) == 0)
            return r;
    }
    return &none;
}

/* Answer by @route, which may have something to say of the last body. */
static inline bool
fake_answer_last(struct fake_docker *f, int fd, const struct fake_route *route)
{
    struct fake_route mirrored = *route;
    char *body = NULL;
    bool keep;

    if (route->how == FAKE_MIRROR) {
        body = f->mirror(f->last_body.len > 0 ? f->last_body.data : "");
        mirrored.body = body;
    }
    keep = fake_answer(fd, &mirrored);
    free(body);
    return keep;
}

static inline bool
fake_serve_one(struct fake_docker *f, int fd)
{
    struct buf request;
    char asked[512] = "";
    size_t body = 0;
    bool keep = false;

    buf_init(&request, 4 * 1024 * 1024);
    if (fake_read(fd, &request, &body)) {
        sscanf(request.data, "%511[^\r]", asked);
        *(strstr(asked, " HTTP/1.1") ? strstr(asked, " HTTP/1.1") : asked) = '\0';
        pthread_mutex_lock(&f->lock);
        if (f->asked_count < FAKE_REQUESTS)
            snprintf(f->asked[f->asked_count++], sizeof(f->asked[0]), "%s", asked);
        if (request.len > body) {
            buf_clear(&f->last_body);
            buf_append(&f->last_body, request.data + body, request.len - body);
        }
        if (f->drop > 0)
            f->drop--;
        else
            keep = fake_answer_last(f, fd, fake_find(f, asked));
        pthread_mutex_unlock(&f->lock);
    }
    buf_done(&request);
    return keep;
}

static inline void
fake_accept(struct fake_docker *f, struct pollfd *fds, size_t n)
{
    int fd = accept(f->listener, NULL, NULL);

    pthread_mutex_lock(&f->lock);
    f->connections++;
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 2; i < n; i++) {
        if (fds[i].fd < 0) {
            fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
            return;
        }
    }
    close(fd);
}

static inline void *
fake_main(void *arg)
{
    struct fake_docker *f = arg;
    struct pollfd fds[2 + FAKE_CONNECTIONS];
    size_t n = 2 + FAKE_CONNECTIONS;

    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = -1};
    fds[0] = (struct pollfd){.fd = f->stop[0], .events = POLLIN};
    fds[1] = (struct pollfd){.fd = f->listener, .events = POLLIN};
    while (poll(fds, (nfds_t)n, -1) >= 0 && !fds[0].revents) {
        for (size_t i = 2; i < n; i++) {
            if (fds[i].fd >= 0 && fds[i].revents && !fake_serve_one(f, fds[i].fd)) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
        if (fds[1].revents)
            fake_accept(f, fds, n);
    }
    for (size_t i = 2; i < n; i++) {
        if (fds[i].fd >= 0)
            close(fds[i].fd);
    }
    return NULL;
}

/* Answer by @routes (NULL: none) from now on, and forget what was asked. */
static inline void
fake_docker_serve(struct fake_docker *f, const struct fake_route *routes)
{
    pthread_mutex_lock(&f->lock);
    memset(f->routes, 0, sizeof(f->routes));
    for (size_t i = 0; routes && routes[i].request && i < FAKE_ROUTES; i++)
        f->routes[i] = routes[i];
    f->asked_count = 0;
    f->connections = 0;
    buf_clear(&f->last_body);
    pthread_mutex_unlock(&f->lock);
}

/* Close the connection of the next @requests instead of answering them. */
static inline void
fake_docker_drop(struct fake_docker *f, size_t requests)
{
    pthread_mutex_lock(&f->lock);
    f->drop = requests;
    pthread_mutex_unlock(&f->lock);
}

/* How many requests there were, and as what the one at @index read ("" beyond the last). */
static inline size_t
fake_docker_asked(struct fake_docker *f, size_t index, char ret[512])
{
    size_t count;

    pthread_mutex_lock(&f->lock);
    count = f->asked_count;
    snprintf(ret, 512, "%s", index < count ? f->asked[index] : "");
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* How many connections there were. */
static inline size_t
fake_docker_connections(struct fake_docker *f)
{
    size_t count;

    pthread_mutex_lock(&f->lock);
    count = f->connections;
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* A copy of the last body that was sent, for the caller to free. */
static inline char *
fake_docker_body(struct fake_docker *f)
{
    char *body;

    pthread_mutex_lock(&f->lock);
    body = strdup(f->last_body.len > 0 ? f->last_body.data : "");
    pthread_mutex_unlock(&f->lock);
    return body;
}

/* Start it. Returns false when the system refuses. */
static inline bool
fake_docker_start(struct fake_docker *f)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    *f = (struct fake_docker){.dir = "/tmp/fake-docker-XXXXXX", .listener = -1};
    pthread_mutex_init(&f->lock, NULL);
    buf_init(&f->last_body, 4 * 1024 * 1024);
    if (!mkdtemp(f->dir) || pipe(f->stop) < 0)
        return false;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", f->dir);
    snprintf(f->host, sizeof(f->host), "unix://%s", addr.sun_path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return f->listener >= 0 &&
           bind(f->listener, (const struct sockaddr *)&addr, sizeof(addr)) == 0 &&
           listen(f->listener, 8) == 0 && pthread_create(&f->thread, NULL, fake_main, f) == 0;
}

/* Stop it, and remove its socket. */
static inline void
fake_docker_stop(struct fake_docker *f)
{
    close(f->stop[1]);
    pthread_join(f->thread, NULL);
    close(f->stop[0]);
    close(f->listener);
    unlink(f->host + strlen("unix://"));
    rmdir(f->dir);
    buf_done(&f->last_body);
    pthread_mutex_destroy(&f->lock);
}

#endif
