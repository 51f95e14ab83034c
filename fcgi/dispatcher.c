/* Accepting and waiting: see dispatcher.h. */
#include "fcgi/dispatcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "backend/cleanup.h"
#include "backend/id.h"
#include "backend/log.h"
#include "backend/metrics.h"
#include "fcgi/pool.h"

enum {
    EVENTS_PER_WAIT = 64,
    ACCEPTS_PER_EVENT = 16, /* then others get a turn */
    CONNECTIONS_MAX = 8192, /* of a worker; more are closed at once */
    IDLE_CONNECTIONS_MAX = 512,
    QUEUE_MAX = 1024, /* connections that wait for a thread of a quick lane; more are closed */
    THREAD_IDLE_MS = 30000,
    RECEIVE_TIMEOUT_S = 10,
    SEND_TIMEOUT_S = 30,
    COMPLAINT_INTERVAL_MS = 1000
};

/*
 * What epoll and the pools carry: a descriptor in the low 32 bits, what it is above. The fields do
 * not overlap.
 */
enum token_kind { TOKEN_CONNECTION, TOKEN_LISTENER, TOKEN_SIGNALS, TOKEN_WAKE };

enum { TOKEN_LANE_SHIFT = 32, TOKEN_KIND_SHIFT = 40, TOKEN_OVERLOADED_SHIFT = 48 };

#ifdef __SANITIZE_THREAD__
/*
 * A descriptor passes from a pool's thread to the dispatcher by EPOLL_CTL_MOD and the event that
 * follows; ThreadSanitizer knows only EPOLL_CTL_ADD for such a hand-over, and takes a later close()
 * for a race.
 */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "race:connection_close\nrace:OS_IpcClose\n";
}
#endif

/* Lifetime: that of dispatcher_run(), or process where a drain ran out of time. */
struct dispatcher {
    struct dispatcher_spec spec;
    int epoll_fd;
    int signal_fd;
    int wake_fd;  /* written when the last request of a drain was answered */
    int spare_fd; /* given up for a moment where descriptors run out */
    struct pool *pools[LANE_COUNT];
    atomic_size_t connections; /* open ones */
    atomic_size_t busy;        /* those queued or with a thread */
    atomic_bool draining;
    int64_t drain_until_ms;
    int64_t complained_ms;
};

static uint64_t
token_make(enum token_kind kind, enum lane lane, int fd)
{
    return (uint64_t)kind << TOKEN_KIND_SHIFT | (uint64_t)lane << TOKEN_LANE_SHIFT | (uint32_t)fd;
}

static int
token_fd(uint64_t token)
{
    return (int)(uint32_t)token;
}

static enum lane
token_lane(uint64_t token)
{
    return (enum lane)(token >> TOKEN_LANE_SHIFT & 0xff);
}

static enum token_kind
token_kind(uint64_t token)
{
    return (enum token_kind)(token >> TOKEN_KIND_SHIFT & 0xff);
}

static bool
token_overloaded(uint64_t token)
{
    return token >> TOKEN_OVERLOADED_SHIFT & 1;
}

static int
watch(struct dispatcher *d, int operation, uint32_t events, uint64_t token)
{
    struct epoll_event event = {.events = events, .data.u64 = token};

    return epoll_ctl(d->epoll_fd, operation, token_fd(token), &event);
}

/* Note what strangers can cause at will, at most once a second. Only the dispatcher's thread calls
 * it. */
static void
complain(struct dispatcher *d, const char *what, long number)
{
    int64_t now = time_monotonic_ms();

    if (d->complained_ms && now - d->complained_ms < COMPLAINT_INTERVAL_MS)
        return;
    d->complained_ms = now;
    log_warn("connection closed: %s (%ld)", what, number);
}

static void
connection_close(struct dispatcher *d, int fd)
{
    close(fd);
    atomic_fetch_sub(&d->connections, 1);
}

_Static_assert((int)LANE_CONTROL == (int)METRICS_LANE_CONTROL &&
                   (int)LANE_EXECUTION == (int)METRICS_LANE_EXECUTION &&
                   (int)LANE_AUTHENTICATION == (int)METRICS_LANE_AUTHENTICATION &&
                   (int)LANE_COUNT == (int)METRICS_LANES,
               "lanes are counted by their own numbers");

/* Whose thread serves it: that an execution cannot be is for a control thread to say. */
static enum metrics_lane
serving_lane(enum lane lane, bool overloaded)
{
    return overloaded ? METRICS_LANE_CONTROL : (enum metrics_lane)lane;
}

void
turn_ending(struct turn *turn)
{
    if (!turn->ending) {
        metrics_lane(serving_lane(turn->lane, turn->overloaded), 0, -1);
        pool_finishing(turn->pool);
    }
    turn->ending = true;
}

/* Wait for the next request on a connection, unless there are enough such or we are ending. */
static void
connection_keep(struct dispatcher *d, uint64_t token)
{
    uint64_t idle_token = token_make(TOKEN_CONNECTION, token_lane(token), token_fd(token));
    size_t open = atomic_load(&d->connections);
    size_t busy = atomic_load(&d->busy);

    if (atomic_load(&d->draining) || open > busy + IDLE_CONNECTIONS_MAX ||
        watch(d, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, idle_token) < 0)
        connection_close(d, token_fd(token));
}

/* In a pool's thread: one request of a connection. */
static void
serve_connection(void *context, void *thread, uint64_t token)
{
    struct dispatcher *d = context;
    bool overloaded = token_overloaded(token);
    struct turn turn = {
        .fd = token_fd(token),
        .lane = token_lane(token),
        .overloaded = overloaded,
        .pool = d->pools[overloaded ? LANE_CONTROL : token_lane(token)],
    };

    metrics_lane(serving_lane(turn.lane, overloaded), -1, 1);
    if (d->spec.serve(d->spec.context, thread, &turn))
        connection_keep(d, token);
    else
        atomic_fetch_sub(&d->connections, 1);
    turn_ending(&turn);
    if (atomic_fetch_sub(&d->busy, 1) == 1 && atomic_load(&d->draining))
        eventfd_write(d->wake_fd, 1);
}

static void *
thread_begin(void *context)
{
    const struct dispatcher *d = context;

    return d->spec.thread_begin(d->spec.context);
}

/* Have a pool serve the connection. Returns as pool_submit(). */
static int
submit(struct dispatcher *d, uint64_t token)
{
    enum metrics_lane lane = serving_lane(token_lane(token), token_overloaded(token));
    int r;

    metrics_lane(lane, 1, 0); /* before, as a thread may have begun when the pool returns */
    r = pool_submit(d->pools[lane], token);
    if (r < 0)
        metrics_lane(lane, -1, 0);
    return r;
}

/* Hand a connection that has bytes to its lane; where that is full, have a control thread say so.
 */
static void
dispatch(struct dispatcher *d, uint64_t token)
{
    uint64_t overloaded = token | (uint64_t)1 << TOKEN_OVERLOADED_SHIFT;

    atomic_fetch_add(&d->busy, 1);
    if (submit(d, token) == 0 ||
        (token_lane(token) == LANE_EXECUTION && submit(d, overloaded) == 0))
        return;
    atomic_fetch_sub(&d->busy, 1);
    complain(d, "too many requests wait", QUEUE_MAX);
    connection_close(d, token_fd(token));
}

static bool
peer_allowed(struct dispatcher *d, int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    for (size_t i = 0; i < d->spec.peer_count; i++) {
        if (d->spec.peers[i] == peer.uid)
            return true;
    }
    complain(d, "its peer's uid is not one of allowed_peers", (long)peer.uid);
    return false;
}

/* Take a new connection in, or close it. */
static void
admit(struct dispatcher *d, enum lane lane, int fd)
{
    static const struct timeval receive = {.tv_sec = RECEIVE_TIMEOUT_S};
    static const struct timeval send = {.tv_sec = SEND_TIMEOUT_S};

    atomic_fetch_add(&d->connections, 1);
    if (!peer_allowed(d, fd)) {
        connection_close(d, fd);
    } else if (atomic_load(&d->connections) > CONNECTIONS_MAX) {
        complain(d, "too many connections are open", CONNECTIONS_MAX);
        connection_close(d, fd);
    } else if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)) < 0 ||
               setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)) < 0 ||
               watch(d, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                     token_make(TOKEN_CONNECTION, lane, fd)) < 0) {
        complain(d, "it cannot be set up, errno", errno);
        connection_close(d, fd);
    }
}

/*
 * No descriptors are left: close the waiting connection by means of the spare one. Left in the
 * backlog, it would wake us again at once and for ever.
 */
static void
shed(struct dispatcher *d, int listener)
{
    int fd;

    complain(d, "out of descriptors, errno", errno);
    close(d->spare_fd);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    d->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
accept_some(struct dispatcher *d, enum lane lane, int listener)
{
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            admit(d, lane, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            shed(d, listener);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: all are taken, by us or by another worker */
        }
    }
}

static void
drain_begin(struct dispatcher *d)
{
    if (atomic_load(&d->draining))
        return;
    for (int lane = 0; lane < LANE_COUNT; lane++)
        epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->spec.listeners[lane], NULL);
    d->drain_until_ms = time_monotonic_ms() + (int64_t)d->spec.drain_seconds * 1000;
    atomic_store(&d->draining, true);
}

static void
take_signal(struct dispatcher *d)
{
    struct signalfd_siginfo info;

    if (read(d->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGTERM)
        drain_begin(d);
    else if (info.ssi_signo == SIGHUP)
        d->spec.reload(d->spec.context);
}

static void
take_event(struct dispatcher *d, const struct epoll_event *event)
{
    uint64_t token = event->data.u64;
    eventfd_t ignored;

    switch (token_kind(token)) {
    case TOKEN_CONNECTION:
        if (event->events & (EPOLLHUP | EPOLLERR))
            connection_close(d, token_fd(token)); /* nobody is left to read an answer */
        else
            dispatch(d, token);
        break;
    case TOKEN_LISTENER:
        if (!atomic_load(&d->draining))
            accept_some(d, token_lane(token), token_fd(token));
        break;
    case TOKEN_SIGNALS:
        take_signal(d);
        break;
    case TOKEN_WAKE:
        eventfd_read(d->wake_fd, &ignored);
        break;
    }
}

/* How long the next wait may take: for ever, or, in a drain, until its end or only for a look. */
static int
wait_ms(struct dispatcher *d)
{
    int64_t left;

    if (!atomic_load(&d->draining))
        return -1;
    if (atomic_load(&d->busy) == 0)
        return 0;
    left = d->drain_until_ms - time_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

/* The loop. Returns 0 when drained, 1 when the drain's time ran out. */
static int
dispatch_until_drained(struct dispatcher *d)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int n;

    for (;;) {
        n = epoll_wait(d->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(d));
        if (n == 0 && atomic_load(&d->busy) == 0)
            return 0;
        if (n <= 0 && atomic_load(&d->draining) && time_monotonic_ms() >= d->drain_until_ms)
            return 1;
        for (int i = 0; i < n; i++)
            take_event(d, &events[i]);
    }
}

/* TERM and HUP come by descriptor; blocked before there are threads, so that none gets them. */
static int
signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
open_pools(struct dispatcher *d, struct error *err)
{
    int r = 0;

    for (int lane = 0; r == 0 && lane < LANE_COUNT; lane++) {
        const struct pool_spec spec = {
            .threads_max = d->spec.threads[lane],
            .queue_max = lane == LANE_EXECUTION ? 0 : QUEUE_MAX,
            .idle_ms = THREAD_IDLE_MS,
            .context = d,
            .thread_begin = thread_begin,
            .serve = serve_connection,
            .thread_end = d->spec.thread_end,
        };

        r = pool_new(&spec, &d->pools[lane], err);
    }
    return r;
}

static int
open_all(struct dispatcher *d, struct error *err)
{
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->signal_fd = signals_open();
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (d->epoll_fd < 0 || d->signal_fd < 0 || d->wake_fd < 0 || d->spare_fd < 0 ||
        watch(d, EPOLL_CTL_ADD, EPOLLIN, token_make(TOKEN_SIGNALS, 0, d->signal_fd)) < 0 ||
        watch(d, EPOLL_CTL_ADD, EPOLLIN, token_make(TOKEN_WAKE, 0, d->wake_fd)) < 0)
        return error_errno(err, errno, "dispatcher");
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        /* Exclusive: a new connection wakes one of the workers that share the socket, not all. */
        if (watch(d, EPOLL_CTL_ADD, EPOLLIN | EPOLLEXCLUSIVE,
                  token_make(TOKEN_LISTENER, (enum lane)lane, d->spec.listeners[lane])) < 0)
            return error_errno(err, errno, "listening socket");
    }
    return open_pools(d, err);
}

static void
dispatcher_free(struct dispatcher *d)
{
    for (int lane = 0; lane < LANE_COUNT; lane++)
        pool_free(d->pools[lane]);
    closep(&d->spare_fd);
    closep(&d->wake_fd);
    closep(&d->signal_fd);
    closep(&d->epoll_fd);
    free(d);
}

int
dispatcher_run(const struct dispatcher_spec *spec, struct error *err)
{
    struct dispatcher *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return error_errno(err, ENOMEM, "dispatcher");
    d->spec = *spec;
    r = open_all(d, err);
    if (r == 0)
        r = dispatch_until_drained(d);
    if (r == 1)
        log_warn("time to drain is over; requests are cut off: %zu", atomic_load(&d->busy));
    else
        dispatcher_free(d); /* otherwise threads still use it */
    return r;
}
