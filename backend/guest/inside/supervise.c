/*
 * The supervisor: see supervise.h. What can be made before a connection comes, is.
 *
 * The host should wake only once for a quick command. So for the first few milliseconds, output
 * stays in the pipes and the STARTED frame here; they then leave in one piece with the EXIT frame.
 */
#include "backend/guest/inside/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/guest/inside/keeper.h"
#include "backend/guest/inside/oom.h"
#include "backend/guest/inside/outbox.h"
#include "backend/guest/inside/request.h"
#include "backend/guest/inside/spawn.h"
#include "backend/guest/inside/spool.h"
#include "backend/guest/inside/tree.h"
#include "backend/guest/protocol.h"

enum {
    IDLE_ENOUGH = 2,         /* supervisors; a further one need not stay */
    GATHER_US = 3000,        /* how long the output of a young command waits for company */
    DRAIN_MAX = 1 << 20,     /* a pipe's largest size: what a dead command can have left in it */
    TIMEOUT_MAX_MS = 1 << 30 /* 12 days; keeps the sums in microseconds small */
};

enum { WATCH_HOST, WATCH_SIGNALS, WATCH_IN, WATCH_OUT, WATCH_ERR, WATCH_COUNT };

/* Lifetime: one execution, apart from what the first lines hold. */
struct execution {
    const struct guest *g; /* process */
    size_t slot;           /* process: ours in the table */
    int null;              /* process: /dev/null; -1: there is none */
    int signals;           /* process: a signalfd for our children */
    int host;              /* the connection; -1: a detached execution has let go of it */
    int in;                /* our ends of the command's streams; -1: closed */
    int out;
    int err;
    uint64_t oom_kills; /* at the start */
    int64_t started_us;
    int64_t deadline_us;
    bool gathering;
    struct spawn spawn;
    struct tree tree;
    struct request request;
    struct outbox outbox;
    struct spool spool; /* instead, for output and end of a detached one */
};

static struct execution execution;

static int64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* An output pipe: the end that we read does not block, the other one is the command's. */
static bool
output_pipe(int *ret_ours, int *ret_theirs)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
        return false;
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
    return true;
}

static bool
input_pipe(struct execution *x)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) < 0)
        return false;
    x->spawn.in = fds[0];
    x->in = fds[1];
    return true;
}

/* What one execution needs and no request decides. */
static bool
get_ready(struct execution *x)
{
    x->host = x->in = x->spawn.in = x->spool.fd = -1;
    x->tree = (struct tree){0};
    x->outbox.sent = x->outbox.len = 0;
    return output_pipe(&x->out, &x->spawn.out) && output_pipe(&x->err, &x->spawn.err);
}

/* Wait for a connection. Who takes one and leaves nobody idle has PID 1 fork another supervisor. */
static bool
take_connection(struct execution *x)
{
    const uint64_t one = 1;

    do
        x->host = accept4(x->g->listener, NULL, NULL, SOCK_CLOEXEC);
    while (x->host < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED));
    atomic_store(&x->g->slots->idle[x->slot], false);
    if (keeper_idle_count(x->g->slots) == 0 && write(x->g->wanted, &one, sizeof(one)) < 0)
        return false;
    return x->host >= 0;
}

static void
report_failure(struct execution *x, struct guest_failure failure)
{
    outbox_frame(&x->outbox, GUEST_FRAME_FAILED, &failure, sizeof(failure));
    outbox_send(&x->outbox, x->host, 0);
}

static void
close_command_ends(struct execution *x)
{
    if (x->spawn.in != x->null)
        close_fd(&x->spawn.in);
    close_fd(&x->spawn.out);
    close_fd(&x->spawn.err);
}

/* Start the command; what goes wrong is noted in x->spawn.failure. */
static bool
start(struct execution *x)
{
    int64_t timeout_ms = x->request.head.timeout_ms;

    x->spawn.g = x->g;
    x->spawn.request = &x->request;
    x->spawn.in = x->request.head.input_len == 0 ? x->null : -1;
    if (x->spawn.in < 0 && !input_pipe(x)) {
        x->spawn.failure = (struct guest_failure){GUEST_STAGE_FORK, errno};
        return false;
    }
    if (timeout_ms > TIMEOUT_MAX_MS)
        timeout_ms = TIMEOUT_MAX_MS;
    x->started_us = now_us();
    x->deadline_us = x->started_us + timeout_ms * 1000;
    x->tree.main = spawn_command(&x->spawn);
    if (x->tree.main < 0)
        return false;
    close_command_ends(x);
    x->oom_kills = oom_counter_read(x->g->oom);
    return true;
}

/* Move input along. Returns -1 if the host went away. */
static int
pump_input(struct execution *x, short revents)
{
    struct request *q = &x->request;
    ssize_t len;

    if (q->input_len > 0 && revents != 0 && x->in >= 0) {
        len = write(x->in, q->input, q->input_len);
        if (len > 0) {
            q->input += len;
            q->input_len -= (size_t)len;
        } else if (len < 0 && errno != EAGAIN && errno != EINTR) {
            close_fd(&x->in); /* the command reads no more */
        }
    }
    if (x->in < 0)
        q->input_len = 0;
    if (q->input_len == 0 && q->input_left > 0 && request_input(q, x->host) < 0)
        return -1;
    if (q->input_len == 0 && q->input_left == 0)
        close_fd(&x->in);
    return 0;
}

/* Read from @pipe once, for the host or the spool. Returns as read(2). */
static long
take_output(struct execution *x, enum guest_frame_type type, int pipe)
{
    if (x->spool.fd >= 0)
        return spool_read(&x->spool, type == GUEST_FRAME_STDERR, pipe);
    return outbox_read(&x->outbox, type, pipe);
}

static void
pump_output(struct execution *x, enum guest_frame_type type, int *pipe, short revents)
{
    long len;

    if (revents == 0 || !outbox_roomy(&x->outbox))
        return;
    len = take_output(x, type, *pipe);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(pipe);
}

/* Say what there is to wait for, in @fds. */
static void
choose(const struct execution *x, struct pollfd fds[WATCH_COUNT])
{
    const struct request *q = &x->request;
    bool read_output = !x->gathering && outbox_roomy(&x->outbox);
    bool read_input = q->input_len == 0 && q->input_left > 0;
    bool send = !x->gathering && outbox_pending(&x->outbox);

    fds[WATCH_HOST] = (struct pollfd){
        .fd = x->host,
        .events = (short)(POLLRDHUP | (read_input ? POLLIN : 0) | (send ? POLLOUT : 0)),
    };
    fds[WATCH_SIGNALS] = (struct pollfd){.fd = x->signals, .events = POLLIN};
    fds[WATCH_IN] = (struct pollfd){.fd = q->input_len > 0 ? x->in : -1, .events = POLLOUT};
    fds[WATCH_OUT] = (struct pollfd){.fd = read_output ? x->out : -1, .events = POLLIN};
    fds[WATCH_ERR] = (struct pollfd){.fd = read_output ? x->err : -1, .events = POLLIN};
}

static void
wait_for_events(const struct execution *x, struct pollfd fds[WATCH_COUNT])
{
    int64_t until = x->gathering ? x->started_us + GATHER_US : x->deadline_us;
    int64_t left = (until < x->deadline_us ? until : x->deadline_us) - now_us();
    struct timespec timeout = {0};
    int i;

    if (left > 0)
        timeout = (struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    if (ppoll(fds, WATCH_COUNT, &timeout, NULL) <= 0)
        for (i = 0; i < WATCH_COUNT; i++)
            fds[i].revents = 0;
}

/* Whether the command itself is gone, after a look at who died. */
static bool
command_ended(struct execution *x, bool *ret_tree_gone)
{
    struct signalfd_siginfo info;

    if (read(x->signals, &info, sizeof(info)) != sizeof(info))
        return false;
    *ret_tree_gone = tree_reap(&x->tree);
    return x->tree.main_gone;
}

/* Whether PID 1 was asked to have this execution ended. */
static bool
killed(const struct execution *x)
{
    uint64_t id = x->request.head.id;

    return id != 0 && atomic_load(&x->g->slots->killed[x->slot]) == id;
}

/* Relay input and output until the command ends or has to. Returns how. */
static enum guest_exit_end
relay(struct execution *x, bool *ret_tree_gone)
{
    struct pollfd fds[WATCH_COUNT];

    x->gathering = x->host >= 0;
    for (;;) {
        choose(x, fds);
        wait_for_events(x, fds);
        if (fds[WATCH_SIGNALS].revents && command_ended(x, ret_tree_gone))
            return GUEST_END_EXITED;
        if (killed(x))
            return GUEST_END_KILLED;
        if (fds[WATCH_HOST].revents & (POLLRDHUP | POLLHUP | POLLERR))
            return GUEST_END_CANCELLED;
        if (now_us() >= x->deadline_us)
            return GUEST_END_TIMED_OUT;
        if (pump_input(x, fds[WATCH_IN].revents) < 0)
            return GUEST_END_CANCELLED;
        pump_output(x, GUEST_FRAME_STDOUT, &x->out, fds[WATCH_OUT].revents);
        pump_output(x, GUEST_FRAME_STDERR, &x->err, fds[WATCH_ERR].revents);
        if (x->gathering && now_us() >= x->started_us + GATHER_US)
            x->gathering = false;
        if (!x->gathering && outbox_send(&x->outbox, x->host, MSG_DONTWAIT) < 0)
            return GUEST_END_CANCELLED;
    }
}

/*
 * Take what the dead have left in a pipe. It may not end: a process of another execution can have
 * got hold of its other end, so there is a most. Returns -1 if the host went away.
 */
static int
drain(struct execution *x, enum guest_frame_type type, int pipe)
{
    long total = 0, len;

    while (pipe >= 0 && total < DRAIN_MAX) {
        if (!outbox_roomy(&x->outbox) && outbox_send(&x->outbox, x->host, 0) < 0)
            return -1;
        len = take_output(x, type, pipe);
        if (len <= 0)
            break;
        total += len;
    }
    return 0;
}

/* Fill in how it ended: killed by us, or as the command's status says. */
static void
fill_end(const struct execution *x, enum guest_exit_end end, struct guest_exit *e)
{
    e->end = end;
    e->value = SIGKILL;
    if (end != GUEST_END_EXITED)
        return;
    if (WIFSIGNALED(x->tree.status)) {
        e->end = GUEST_END_SIGNALED;
        e->value = (uint32_t)WTERMSIG(x->tree.status);
    } else {
        e->value = (uint32_t)WEXITSTATUS(x->tree.status);
    }
    /* A shell whose child was killed says 128 + 9. */
    if (e->end == GUEST_END_SIGNALED ? e->value == SIGKILL : e->value == 128 + SIGKILL)
        e->oom_killed = oom_counter_read(x->g->oom) > x->oom_kills;
}

static void
report_exit(struct execution *x, enum guest_exit_end end)
{
    struct guest_exit e = {
        .duration_us = now_us() - x->started_us,
        .cpu_us = x->tree.cpu_us,
        .max_memory_kib = x->tree.max_memory_kib,
    };

    fill_end(x, end, &e);
    if (drain(x, GUEST_FRAME_STDOUT, x->out) < 0 || drain(x, GUEST_FRAME_STDERR, x->err) < 0)
        return;
    if (x->spool.fd >= 0) {
        spool_end(&x->spool, &e);
        return;
    }
    outbox_frame(&x->outbox, GUEST_FRAME_EXIT, &e, sizeof(e));
    outbox_send(&x->outbox, x->host, 0);
}

/* Make the spool of a detached execution; what goes wrong is noted in x->spawn.failure. */
static bool
open_spool(struct execution *x)
{
    const struct guest_request *head = &x->request.head;
    int r = 0;

    if (head->flags & GUEST_DETACHED)
        r = spool_open(&x->spool, x->g->run_dir, head->id, head->cap);
    x->spawn.failure = (struct guest_failure){GUEST_STAGE_SPOOL, r};
    return r == 0;
}

/* Tell the host that the command runs: at once if it is detached, and then the host is not needed
 * any more; otherwise with whatever comes next. */
static void
report_started(struct execution *x)
{
    outbox_frame(&x->outbox, GUEST_FRAME_STARTED, NULL, 0);
    if (x->spool.fd < 0)
        return;
    outbox_send(&x->outbox, x->host, 0);
    x->outbox.sent = x->outbox.len = 0; /* a host that is gone reads the spool */
    close_fd(&x->host);
}

/* Run the command that was asked for. Returns false if some of it is left: dead, but not to be
 * reaped. */
static bool
run(struct execution *x)
{
    _Atomic uint64_t *running = &x->g->slots->running[x->slot];
    enum guest_exit_end end;
    bool tree_gone = false;

    if (!open_spool(x)) {
        report_failure(x, x->spawn.failure);
        return true;
    }
    if (!start(x)) {
        if (x->spool.fd >= 0)
            spool_remove(x->g->run_dir, x->request.head.id);
        report_failure(x, x->spawn.failure);
        return true;
    }
    atomic_store(running, x->request.head.id);
    report_started(x);
    end = relay(x, &tree_gone);
    atomic_store(running, 0);
    if (!tree_gone)
        tree_gone = tree_kill(&x->tree, x->signals);
    report_exit(x, end);
    return tree_gone;
}

/* Serve the connection. Returns as run(). */
static bool
serve(struct execution *x)
{
    int r = request_read(&x->request, x->host, x->g->env);
    bool clean = true;

    if (r > 0)
        report_failure(x, (struct guest_failure){GUEST_STAGE_REQUEST, r});
    else if (r == 0)
        clean = run(x);
    close_fd(&x->host);
    close_fd(&x->in);
    close_fd(&x->out);
    close_fd(&x->err);
    close_command_ends(x);
    spool_close(&x->spool);
    request_done(&x->request);
    return clean;
}

/* Become idle, unless enough others are. */
static bool
stay(const struct execution *x)
{
    if (keeper_idle_count(x->g->slots) >= IDLE_ENOUGH)
        return false;
    atomic_store(&x->g->slots->idle[x->slot], true);
    return true;
}

void
supervise(const struct guest *g, size_t slot)
{
    struct execution *x = &execution;
    sigset_t alarms, children;
    bool subreaper;

    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    x->g = g;
    /* Not PID 1's, which gVisor goes on to fill with the signals of PID 1. */
    x->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (x->signals < 0)
        _exit(1);
    x->slot = slot;
    x->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    subreaper = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    do
        if (!get_ready(x) || !take_connection(x) || !serve(x))
            _exit(1);
    while (subreaper && stay(x));
    _exit(subreaper ? 0 : SUPERVISOR_LEAVES_OTHERS);
}
