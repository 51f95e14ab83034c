/* A worker's threads: one request after the other. See worker.h. */
#include "fcgi/worker.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include <fcgiapp.h>

#include "backend/buf.h"
#include "backend/config/current.h"
#include "backend/id.h"
#include "backend/log.h"
#include "fcgi/accounts.h"
#include "fcgi/authenticate.h"
#include "backend/metrics.h"
#include "fcgi/problem.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/router.h"
#include "fcgi/shares.h"
#include "handlers/metrics.h"

enum { PEERS_MAX = 16, RETRY_SECONDS = 1, COMPLAINT_MS = 1000, MALLOC_ARENAS = 4 };

static void *
thread_begin(void *context)
{
    const struct worker_spec *w = context;

    return backend_new(w->context);
}

static void
thread_end(void *thread)
{
    backend_free(thread);
}

/* Whether nobody has said so for a second: a flood of requests is not to become one of the log. */
static bool
worth_saying(void)
{
    static _Atomic int64_t said_ms;
    int64_t now_ms = time_monotonic_ms(), before_ms = atomic_load(&said_ms);

    return now_ms - before_ms >= COMPLAINT_MS &&
           atomic_compare_exchange_strong(&said_ms, &before_ms, now_ms);
}

/* Note a failure once: ours as errors, the caller's where somebody debugs. */
static void
log_failure(const struct incoming *in, const struct error *e)
{
    int status = problem_status(e->code);
    bool ours = status >= 500 && (e->code != ERR_OVERLOADED || worth_saying());

    log_write(ours ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG,
              "status=%d code=%s: %s%s%s (%s /api/sandbox%s)", status, error_name(e->code), e->msg,
              e->detail[0] ? ": " : "", e->detail, in->method, in->path ? in->path : " elsewhere");
}

/* Whether the request is one that counts among its user's executions. */
static bool
takes_share(const struct worker_spec *w, const struct incoming *in, const struct turn *turn)
{
    return w->shares && in->user && turn->lane == LANE_EXECUTION && !turn->overloaded;
}

/* Have the router answer, in a thread that may have failed to make its backend. */
static void
ask_router(const struct worker_spec *w, struct backend *b, const struct incoming *in,
           struct stream *stream, int peer_fd, struct answer *a)
{
    if (!b) {
        error_set_detail(&a->error, ERR_OVERLOADED, "out of memory", "try again in a moment");
        return;
    }
    if (backend_begin(b, &a->error) < 0)
        return;
    router_serve(w->tables, b, in, stream, peer_fd, a);
    backend_end(b);
}

/* The same for a request that is to be answered at all. */
static void
answer(const struct worker_spec *w, struct backend *b, const struct incoming *in,
       struct stream *stream, const struct turn *turn, struct answer *a)
{
    bool counts = takes_share(w, in, turn);

    if (turn->overloaded) {
        error_set(&a->error, ERR_OVERLOADED,
                  "as many executions run as may; try again in a moment");
    } else if (counts && !shares_take(w->shares, in->user)) {
        error_set(
            &a->error, ERR_QUOTA_EXCEEDED,
            "as many of your executions run as may at one time: three quarters of sandbox.yaml's "
            "service.execution_threads; try again in a moment");
        a->error.retry_after_seconds = RETRY_SECONDS;
    } else {
        ask_router(w, b, in, stream, turn->fd, a);
        if (counts)
            shares_give(w->shares, in->user);
    }
}

/* Count an answer, before its last bytes are sent: who has read it finds it counted. */
static void
count(const struct worker_spec *w, const struct route *route, const struct answer *a, bool begun,
      int64_t began_ns)
{
    int status = a->error.code != ERR_NONE ? problem_status(a->error.code) : a->response.status;

    metrics_request(metrics_route_number(w->tables, route), begun ? 200 : status,
                    metrics_now_ns() - began_ns);
}

/*
 * Read, answer and write one request. The body is read to its end whatever the answer will be,
 * because the next request of a kept connection comes after it. Returns whether one may come.
 */
static bool
serve_request(const struct worker_spec *w, struct backend *b, FCGX_Request *r,
              const struct turn *turn)
{
    const int64_t began_ns = metrics_now_ns();
    const struct route *route;
    struct incoming in;
    struct answer a = {0};
    struct response_stream stream;
    _cleanup_(buf_done) struct buf body;
    bool at_end = false;

    request_params(r->envp, &in, &a.error);
    log_request(in.request_id, in.user);
    route = router_find(w->tables, &in);
    in.body_max = route && route->body_max ? route->body_max : BODY_MAX_BYTES;
    buf_init(&body, in.body_max + 1);
    response_stream_init(&stream, r->out, &in);
    if (request_body(r->in, &in, &body, &at_end, &a.error) == -EPIPE)
        return false;
    if (turn->lane == LANE_AUTHENTICATION)
        authenticate(b, &in, &a);
    else if (a.error.code == ERR_NONE)
        answer(w, b, &in, &stream.stream, turn, &a);
    if (a.error.code != ERR_NONE)
        log_failure(&in, &a.error);
    if (stream.stream.begun ? FCGX_GetError(r->out) != 0 : response_send(r->out, &in, &a) < 0)
        at_end = false;
    count(w, route, &a, stream.stream.begun, began_ns);
    answer_done(&a);
    return at_end;
}

/*
 * libfcgi accepts and parses in one call; given a connection that we accepted, it only parses. It
 * shall close without lingering (that is what "detached" means to it), since its own way waits for
 * the peer up to two seconds at a time.
 */
static bool
serve(void *context, void *thread, struct turn *turn)
{
    const struct worker_spec *w = context;
    FCGX_Request r;

    FCGX_InitRequest(&r, -1, 0);
    r.ipcFd = turn->fd;
    r.keepConnection = 1;
    FCGX_Detach(&r);
    if (FCGX_Accept_r(&r) < 0)
        return false;
    /* Parameters that broke off count as complete to libfcgi; only the stream knows. */
    if (FCGX_GetError(r.in) != 0 || !serve_request(w, thread, &r, turn))
        r.keepConnection = 0;
    log_request(NULL, NULL);
    turn_ending(turn);
    FCGX_Finish_r(&r);
    return r.ipcFd >= 0;
}

static void
reload(void *context)
{
    const struct worker_spec *w = context;
    struct error err = {0};

    if (current_reload(w->context->current, &err) < 0)
        log_warn("the settings stay as they were: %s", err.msg);
    else
        log_info("settings reloaded");
}

/* The uids of the accounts @names; where we are not root, also our own, for a developer's nginx. */
static size_t
resolve_peers(const struct strings *names, bool privileged, uid_t uids[PEERS_MAX + 1])
{
    size_t n = 0;

    if (!privileged)
        uids[n++] = getuid();
    for (size_t i = 0; i < names->count && n <= PEERS_MAX; i++) {
        const struct passwd *account = accounts_find(names->items[i]);

        if (account)
            uids[n++] = account->pw_uid;
        else
            log_warn("allowed_peers: there is no account '%s'", names->items[i]);
    }
    return n;
}

/*
 * An arena of malloc's for every thread would keep what the largest output of each has once needed;
 * a few for all of them bound it.
 */
static void
bound_memory(void)
{
    mallopt(M_ARENA_MAX, MALLOC_ARENAS); /* NOLINT(concurrency-mt-unsafe): no threads run yet */
}

/* libfcgi puts handlers where there are none; TERM is the dispatcher's, and nothing else shall end
 * us. */
static int
init_libraries(struct error *err)
{
    int rc;

    signal(SIGPIPE, SIG_IGN);
    rc = FCGX_Init();
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    json_object_seed(0);
    return rc ? error_errno(err, rc > 0 ? rc : EIO, "FCGX_Init") : 0;
}

int
worker_serve(struct worker_spec *spec, struct error *err)
{
    _cleanup_(settings_unrefp) struct settings *settings = NULL;
    unsigned generation;
    uid_t peers[PEERS_MAX + 1];
    struct dispatcher_spec d;
    int r;

    bound_memory();
    r = init_libraries(err);
    if (r < 0)
        return r;
    settings = current_get(spec->context->current, &generation);
    d = (struct dispatcher_spec){
        .listeners = {spec->listeners[LANE_CONTROL], spec->listeners[LANE_EXECUTION],
                      spec->listeners[LANE_AUTHENTICATION]},
        .threads = {(size_t)settings->service.control_threads,
                    (size_t)settings->service.execution_threads,
                    (size_t)settings->service.auth_threads},
        .peers = peers,
        .peer_count =
            resolve_peers(&settings->service.allowed_peers, spec->context->privileged, peers),
        .drain_seconds = (int)settings->service.drain_seconds,
        .context = spec,
        .thread_begin = thread_begin,
        .thread_end = thread_end,
        .serve = serve,
        .reload = reload,
    };
    if (d.peer_count == 0)
        return error_set(err, ERR_VALIDATION, "sandbox.yaml: no account of allowed_peers exists");
    spec->shares = shares_new(d.threads[LANE_EXECUTION]);
    if (!spec->shares)
        return error_errno(err, ENOMEM, "shares");
    r = dispatcher_run(&d, err);
    if (r != 1) { /* otherwise threads still use them */
        shares_free(spec->shares);
        spec->shares = NULL;
    }
    return r;
}

int
worker_main(struct service_context *ctx, const int listeners[LANE_COUNT])
{
    static struct worker_spec spec;
    struct error err = {0};
    int r;

    spec = (struct worker_spec){
        .context = ctx,
        .tables = route_tables,
    };
    memcpy(spec.listeners, listeners, sizeof(spec.listeners));
    r = worker_serve(&spec, &err);
    if (r < 0) {
        log_error("%s: %s", err.msg, err.detail);
        return 1;
    }
    /* Status 0 also where requests were cut off: ending them is what TERM asks for at last. */
    return 0;
}
