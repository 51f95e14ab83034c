/*
 * The broker's process: a fixed number of threads accept on one listening socket, check who calls
 * and what is asked, and run the operation. See broker.h.
 */
#include "backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <curl/curl.h>

#include "backend/broker/protocol.h"
#include "backend/broker/serve.h"
#include "backend/log.h"

enum {
    THREADS = 32, /* operations at one time: up to 16 long ones, the builder's, and others */
    THREAD_STACK = 256 << 10,
    IO_TIMEOUT_SECONDS = 10 /* for a caller to send its request and take its reply */
};

/* Only the service's own account may ask. */
static bool
peer_allowed(const struct server *s, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == s->broker->context->uid)
        return true;
    log_warn("broker: refused a caller with uid %u, pid %d", peer.uid, peer.pid);
    return false;
}

static int
open_docker(struct server *s, struct error *err)
{
    return s->docker ? 0 : docker_new(s->broker->context->docker_host, &s->docker, err);
}

/* One request, one reply. */
static void
handle(struct server *s, int fd)
{
    const struct timeval timeout = {.tv_sec = IO_TIMEOUT_SECONDS};
    _cleanup_(freep) union payload *payload = NULL;
    struct broker_request request;
    struct broker_reply reply = {0};
    struct answer answer = {0};
    _cleanup_(closep) int passed = -1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (!peer_allowed(s, fd) || broker_read_with_fd(fd, &request, sizeof(request), &passed) < 0 ||
        request.length > sizeof(*payload))
        return;
    payload = calloc(1, sizeof(*payload));
    if (!payload || broker_read(fd, payload, request.length) < 0)
        return;
    s->peer = fd;
    s->passed = passed;
    if (open_docker(s, &reply.error) == 0 &&
        broker_serve(s, request.operation, payload, request.length, &answer, &reply.error) == 0)
        reply.length = (uint32_t)answer.length;
    if (reply.error.code == ERR_VALIDATION)
        log_warn("broker: refused operation %u: %s", request.operation, reply.error.msg);
    if (broker_write(fd, &reply, sizeof(reply)) == 0)
        broker_write(fd, answer.data, reply.length);
    free(answer.data);
}

static void *
thread_main(void *arg)
{
    struct server *s = arg;

    for (;;) {
        _cleanup_(closep) int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            handle(s, fd);
        else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE && errno != ENOMEM)
            return NULL;
    }
}

static int
start_threads(struct broker *b, int listen_fd, struct error *err)
{
    pthread_attr_t attr;
    int rc;

    if (fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) & ~O_NONBLOCK) < 0)
        return error_errno(err, errno, "fcntl of the broker's socket");
    rc = pthread_attr_init(&attr);
    if (rc == 0)
        rc = pthread_attr_setstacksize(&attr, THREAD_STACK);
    for (int i = 0; rc == 0 && i < THREADS; i++) {
        struct server *s = calloc(1, sizeof(*s));
        pthread_t thread;

        if (!s)
            return error_errno(err, ENOMEM, "broker thread");
        *s = (struct server){.broker = b, .listen_fd = listen_fd};
        rc = pthread_create(&thread, &attr, thread_main, s);
        if (rc == 0)
            pthread_detach(thread);
        else
            free(s);
    }
    pthread_attr_destroy(&attr);
    return rc == 0 ? 0 : error_errno(err, rc, "pthread_create");
}

/* Wait for signals: HUP reads the YAML again, TERM ends. */
static void
wait_for_end(struct broker *b)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    for (;;) {
        struct error err = {0};
        int sig = sigwaitinfo(&set, NULL);

        if (sig == SIGTERM)
            return;
        if (sig == SIGHUP && current_reload(b->context->current, &err) < 0)
            log_error("settings stay as they were: %s", err.msg);
        else
            log_info("settings reloaded");
    }
}

int
broker_main(struct service_context *ctx, int listen_fd)
{
    struct error err = {0};
    struct broker broker;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    json_object_seed(0);
    if (broker_init(&broker, ctx, &err) < 0 ||
        (ctx->privileged && full_start(broker.full, &err) < 0) ||
        start_threads(&broker, listen_fd, &err) < 0) {
        log_error("broker: %s (%s)", err.msg, err.detail);
        return EXIT_FAILURE;
    }
    wait_for_end(&broker);
    return EXIT_SUCCESS;
}
