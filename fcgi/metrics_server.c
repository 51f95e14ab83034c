/* Answering on run/metrics.sock: see metrics_server.h. */
#include "fcgi/metrics_server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "backend/log.h"
#include "handlers/metrics.h"

enum {
    TIMEOUT_SECONDS = 5, /* for a request to come, and for an answer to be taken */
    HEADERS_MAX_BYTES = 8192,
    DESCRIPTORS_MAX = 64, /* of the process: what its own leave is for connections */
    PAUSE_SECONDS = 1     /* before the next connection, where there are none left */
};

/* Lifetime: process. */
struct metrics_server {
    struct backend *backend;
    struct event_base *base;
    struct evhttp *http;
    struct event *term, *hup;
};

static void
on_term(evutil_socket_t number, short what, void *arg)
{
    struct metrics_server *s = arg;

    (void)number, (void)what;
    event_base_loopbreak(s->base);
}

static void
on_hup(evutil_socket_t number, short what, void *arg)
{
    struct metrics_server *s = arg;
    struct error err = {0};

    (void)number, (void)what;
    if (current_reload(s->backend->context->current, &err) < 0)
        log_error("the settings stay as they were: %s", err.msg);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    evconnlistener_enable(arg);
}

/* No descriptor is left for who knocks: those who have one lose it in time. */
static void
on_exhausted(struct evconnlistener *listener, void *arg)
{
    static const struct timeval pause = {.tv_sec = PAUSE_SECONDS};

    (void)arg; /* the http's own business */
    evconnlistener_disable(listener);
    if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_resume, listener,
                        &pause) < 0)
        evconnlistener_enable(listener);
}

static void
answer(struct evhttp_request *request, struct metrics_server *s)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    _cleanup_(freep) char *text = NULL;
    struct error err = {0};
    int r = backend_begin(s->backend, &err);

    if (r == 0)
        r = metrics_text(s->backend, &text, &err);
    backend_end(s->backend);
    if (r == 0 && evbuffer_add(evhttp_request_get_output_buffer(request), text, strlen(text)) < 0)
        r = error_errno(&err, ENOMEM, "the metrics");
    if (r < 0) {
        log_error("metrics: %s (%s)", err.msg, err.detail);
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    evhttp_add_header(headers, "Content-Type", METRICS_TYPE);
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void
on_metrics(struct evhttp_request *request, void *arg)
{
    /* Connections are few, and nobody asks twice in a row. */
    evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    answer(request, arg);
}

static int
serve_http(struct metrics_server *s, int fd)
{
    struct evconnlistener *listener = evconnlistener_new(
        s->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);

    s->http = evhttp_new(s->base);
    if (!listener || !s->http || !evhttp_bind_listener(s->http, listener))
        return -ENOMEM;
    evconnlistener_set_error_cb(listener, on_exhausted);
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_timeout(s->http, TIMEOUT_SECONDS);
    evhttp_set_max_headers_size(s->http, HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(s->http, 0);
    return evhttp_set_cb(s->http, "/metrics", on_metrics, s) == 0 ? 0 : -ENOMEM;
}

static int
begin(struct metrics_server *s, const struct service_context *ctx, int fd)
{
    sigset_t hup;

    s->backend = backend_new(ctx);
    s->base = event_base_new();
    if (!s->backend || !s->base || serve_http(s, fd) < 0)
        return -ENOMEM;
    s->term = evsignal_new(s->base, SIGTERM, on_term, s);
    s->hup = evsignal_new(s->base, SIGHUP, on_hup, s);
    if (!s->term || !s->hup || event_add(s->term, NULL) < 0 || event_add(s->hup, NULL) < 0)
        return -ENOMEM;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    return -pthread_sigmask(SIG_UNBLOCK, &hup, NULL); /* one that came before waits */
}

static void
end(struct metrics_server *s)
{
    struct event *all[] = {s->term, s->hup};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i])
            event_free(all[i]);
    if (s->http)
        evhttp_free(s->http);
    if (s->base)
        event_base_free(s->base);
    backend_free(s->backend);
}

/* The database first, while there are descriptors: it keeps its own. */
static void
bound_descriptors(struct backend *b)
{
    const struct rlimit limit = {.rlim_cur = DESCRIPTORS_MAX, .rlim_max = DESCRIPTORS_MAX};
    struct store *store = NULL;
    struct error err = {0};

    if (backend_store(b, &store, &err) < 0)
        log_warn("metrics: %s (%s)", err.msg, err.detail);
    setrlimit(RLIMIT_NOFILE, &limit);
}

int
metrics_server_main(const struct service_context *ctx, int fd)
{
    struct metrics_server s = {0};
    int r;

    json_object_seed(0);
    r = begin(&s, ctx, fd);
    if (r == 0) {
        bound_descriptors(s.backend);
        event_base_dispatch(s.base);
    } else {
        log_error("cannot start: out of memory");
    }
    end(&s);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
