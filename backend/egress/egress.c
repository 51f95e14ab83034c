/* The egress process: its loop, its settings and its store. See egress.h. */
#include "backend/egress/egress.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backend/egress/dial.h"
#include "backend/egress/doors.h"
#include "backend/egress/proxy.h"
#include "backend/egress/scribe.h"
#include "backend/id.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum { COUNT_SECONDS = 5, LAST_TURNS = 4 };

/* The events of the loop itself, with what they work on. */
struct loop {
    struct proxy *proxy;
    struct event *tick, *count, *term, *hup;
};

/* Say once that nothing is let through, and once that it is over. */
static void
note_health(bool *failing, const char *what, const struct error *err)
{
    bool fails = err->code != ERR_NONE;

    if (fails && !*failing)
        log_error("nothing is let through: %s: %s (%s)", what, err->msg, err->detail);
    if (!fails && *failing)
        log_info("%s can be read again", what);
    *failing = fails;
}

struct store *
proxy_store(struct proxy *p)
{
    struct store *store = NULL;
    struct error err = {0};
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof(path), "%s/sandbox.db", p->backend->context->state_dir);
    if (stat(path, &st) < 0)
        error_errno(&err, errno, path);
    else if (p->store_inode && (p->store_inode != st.st_ino || p->store_device != st.st_dev))
        error_set(&err, ERR_INTERNAL, "the state database was replaced");
    else
        backend_store(p->backend, &store, &err);
    if (store && !p->store_inode) {
        p->store_inode = st.st_ino;
        p->store_device = st.st_dev;
    }
    note_health(&p->store_failing, "the state database", &err);
    return store;
}

const struct settings *
proxy_settings(struct proxy *p)
{
    struct error err = {0};

    if (!proxy_store(p))
        return NULL; /* there may be overrides in it that forbid more */
    backend_begin(p->backend, &err);
    note_health(&p->settings_failing, "the settings", &err);
    return err.code == ERR_NONE ? p->backend->settings : NULL;
}

/* Take over what has changed: every open connection is judged anew. */
static void
take_over(struct proxy *p, bool again)
{
    unsigned generation = atomic_load(&p->backend->context->shared->settings_generation);
    const struct settings *s = proxy_settings(p);

    atomic_store(&p->backend->context->shared->full_gate,
                 s && !egress_proxied(s, NETWORK_FULL) ? SHARED_GATE_OPEN : SHARED_GATE_CLOSED);
    if (s) {
        p->generation = generation;
        p->hour_bytes_max = (uint64_t)s->egress.mb_per_hour << 20;
        dial_nameservers(p, s, again);
    }
    doors_judge(p);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct proxy *p = loop->proxy;

    (void)fd, (void)what;
    if (atomic_load(&p->backend->context->shared->settings_generation) != p->generation)
        take_over(p, false);
    doors_tick(p, time_monotonic_ms());
}

static void
on_count(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd, (void)what;
    doors_count(loop->proxy);
}

static void
on_term(evutil_socket_t number, short what, void *arg)
{
    struct loop *loop = arg;

    (void)number, (void)what;
    event_base_loopbreak(loop->proxy->base);
}

static void
on_hup(evutil_socket_t number, short what, void *arg)
{
    struct loop *loop = arg;
    struct proxy *p = loop->proxy;
    struct error err = {0};

    (void)number, (void)what;
    if (current_reload(p->backend->context->current, &err) < 0)
        log_error("the settings stay as they were: %s", err.msg);
    take_over(p, true);
}

/* Begin to listen to time and signals. Returns 0 or -ENOMEM. */
static int
loop_init(struct loop *loop)
{
    static const struct timeval tick = {.tv_usec = PROXY_TICK_MS * 1000L};
    static const struct timeval seldom = {.tv_sec = COUNT_SECONDS};
    struct event_base *base = loop->proxy->base;
    sigset_t hup;

    loop->tick = event_new(base, -1, EV_PERSIST, on_tick, loop);
    loop->count = event_new(base, -1, EV_PERSIST, on_count, loop);
    loop->term = evsignal_new(base, SIGTERM, on_term, loop);
    loop->hup = evsignal_new(base, SIGHUP, on_hup, loop);
    if (!loop->tick || !loop->count || !loop->term || !loop->hup)
        return -ENOMEM;
    if (event_add(loop->tick, &tick) < 0 || event_add(loop->count, &seldom) < 0 ||
        event_add(loop->term, NULL) < 0 || event_add(loop->hup, NULL) < 0)
        return -ENOMEM;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    return -pthread_sigmask(SIG_UNBLOCK, &hup, NULL); /* one that came before waits */
}

static void
loop_done(struct loop *loop)
{
    struct event *all[] = {loop->tick, loop->count, loop->term, loop->hup};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i])
            event_free(all[i]);
}

/* Answers are a name's owner's to write: questions are asked so that strangers cannot guess them,
 * and a slow server of one container's names is no other's. */
static int
resolver_new(struct proxy *p)
{
    static const struct {
        const char *option, *value;
    } options[] = {{"timeout:", "2"},
                   {"attempts:", "3"},
                   {"max-inflight:", "16384"},
                   {"randomize-case:", "1"},
                   {"ndots:", "0"}};

    p->dns = evdns_base_new(p->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    for (size_t i = 0; p->dns && i < ARRAY_LEN(options); i++)
        if (evdns_base_set_option(p->dns, options[i].option, options[i].value) != 0)
            return -EINVAL;
    return p->dns ? 0 : -ENOMEM;
}

static int
proxy_init(struct proxy *p, const struct service_context *ctx, struct error *err)
{
    struct rlimit limit = {.rlim_cur = 1024};

    getrlimit(RLIMIT_NOFILE, &limit);
    p->descriptors_max = (size_t)limit.rlim_cur;
    p->backend = backend_new(ctx);
    p->base = event_base_new();
    p->scribe = scribe_new(ctx);
    if (!p->backend || !p->base || !p->scribe || resolver_new(p) < 0)
        return error_errno(err, ENOMEM, "the egress proxy");
    return 0;
}

static void
proxy_done(struct proxy *p)
{
    doors_close(p);
    scribe_free(p->scribe);
    if (p->dns)
        evdns_base_free(p->dns, 1);
    for (int i = 0; p->base && i < LAST_TURNS; i++)
        event_base_loop(p->base, EVLOOP_NONBLOCK); /* callbacks of what was cancelled */
    backend_free(p->backend);
    if (p->base)
        event_base_free(p->base);
    free(p->nameservers);
    free(p);
}

int
egress_main(const struct service_context *ctx)
{
    struct proxy *p = calloc(1, sizeof(*p));
    struct loop loop = {.proxy = p};
    struct error err = {0};
    int r;

    if (!p)
        return EXIT_FAILURE;
    json_object_seed(0);
    r = proxy_init(p, ctx, &err);
    if (r == 0)
        r = doors_open(p, &err);
    if (r == 0 && loop_init(&loop) < 0)
        r = error_errno(&err, ENOMEM, "the loop's events");
    if (r == 0) {
        take_over(p, true);
        event_base_dispatch(p->base);
    } else {
        log_error("cannot start: %s (%s)", err.msg, err.detail);
    }
    loop_done(&loop);
    proxy_done(p);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
