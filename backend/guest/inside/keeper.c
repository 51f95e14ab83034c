/* PID 1 at work: see keeper.h. */
#include "backend/guest/inside/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/guest/inside/clock.h"
#include "backend/guest/inside/control.h"
#include "backend/guest/inside/relay.h"
#include "backend/guest/inside/supervise.h"
#include "backend/guest/inside/tree.h"
#include "backend/guest/protocol.h"

enum {
    RETRY_MS = 100, /* after a fork failed */
    SWEEP_MS = 10   /* between looks for what a dead supervisor left */
};

enum {
    WATCH_SIGNALS,
    WATCH_WANTED,
    WATCH_LISTENER,
    WATCH_CONTROL,
    WATCH_COUNT = WATCH_CONTROL + CONTROL_WATCHES
};

/* Lifetime: process. */
static struct {
    pid_t supervisors[SUPERVISORS_MAX]; /* by slot; 0: free */
    pid_t relay;                        /* 0: there is none */
    int64_t relay_after_ms;             /* no other one is forked before */
    bool hold;                          /* the last fork failed: wait before the next one */
    bool orphans;                       /* children are about that a dead supervisor left */
    uint64_t fingerprint;               /* of these, at the last look */
} keeper;

struct slot_table *
keeper_slots_new(void)
{
    void *p = mmap(NULL, sizeof(struct slot_table), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void
keeper_user_set(struct guest *g, uid_t uid, gid_t gid)
{
    g->uid = uid;
    g->gid = gid;
    atomic_store(&g->slots->user, (uint64_t)gid << 32 | uid);
}

void
keeper_user(const struct guest *g, uid_t *ret_uid, gid_t *ret_gid)
{
    uint64_t user = atomic_load(&g->slots->user);

    *ret_uid = (uid_t)(user & UINT32_MAX);
    *ret_gid = (gid_t)(user >> 32);
}

unsigned
keeper_idle_count(const struct slot_table *t)
{
    unsigned n = 0;
    size_t i;

    for (i = 0; i < SUPERVISORS_MAX; i++)
        n += atomic_load(&t->idle[i]);
    return n;
}

/* The slot of @pid, or with 0 a free one; SUPERVISORS_MAX if there is none. */
static size_t
slot_of(pid_t pid)
{
    size_t i = 0;

    while (i < SUPERVISORS_MAX && keeper.supervisors[i] != pid)
        i++;
    return i;
}

/* Whether the child is one that PID 1 keeps. */
static bool
is_kept(pid_t pid)
{
    return pid == keeper.relay || slot_of(pid) < SUPERVISORS_MAX;
}

/* fork(2) without what libc does around it. */
static pid_t
fork_quick(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* Fork another supervisor. Returns whether that went well. */
static bool
fork_supervisor(const struct guest *g)
{
    size_t slot = slot_of(0);
    pid_t pid;

    keeper.hold = true;
    if (slot == SUPERVISORS_MAX)
        return false;
    atomic_store(&g->slots->idle[slot], true); /* from here on it is the child's to change */
    pid = fork_quick();
    if (pid == 0) {
        control_leave();
        supervise(g, slot);
    }
    if (pid < 0) {
        atomic_store(&g->slots->idle[slot], false);
        return false;
    }
    keeper.supervisors[slot] = pid;
    keeper.hold = false;
    return true;
}

/* Have a relay, if there is something to relay to. While there is none its clients wait in the
 * listener's backlog. Returns after how long to try again, in ms; -1: there is nothing to do. */
static int
keep_relay(const struct guest *g)
{
    int64_t left = keeper.relay_after_ms - clock_ms();
    pid_t pid;

    if (g->relay < 0 || keeper.relay != 0)
        return -1;
    if (left > 0)
        return (int)left;
    keeper.relay_after_ms = clock_ms() + RETRY_MS;
    pid = fork_quick();
    if (pid == 0) {
        control_leave();
        relay_run(g->relay, g->proxy);
    }
    if (pid < 0)
        return RETRY_MS;
    keeper.relay = pid;
    return -1;
}

static void
bury(const struct guest *g, pid_t pid, int status)
{
    size_t slot = slot_of(pid);
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    if (pid == keeper.relay) {
        keeper.relay = 0;
        return;
    }
    /* One that ended well left nobody. Whatever else dies here was left by one that did not. */
    if (slot == SUPERVISORS_MAX || !well)
        keeper.orphans = true;
    if (slot == SUPERVISORS_MAX)
        return;
    keeper.hold = !well && !(WIFEXITED(status) && WEXITSTATUS(status) == SUPERVISOR_LEAVES_OTHERS);
    keeper.supervisors[slot] = 0;
    atomic_store(&g->slots->running[slot], 0);
    atomic_store(&g->slots->idle[slot], false);
}

static void
reap(const struct guest *g)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        bury(g, pid, status);
}

/* Kill what dead supervisors left. As in tree_kill(), nobody is reaped before all of it is dead. */
static void
sweep(const struct guest *g)
{
    struct census c;

    tree_census(is_kept, &c);
    if (c.living == 0 && c.fingerprint == keeper.fingerprint) {
        keeper.orphans = false;
        reap(g);
    }
    keeper.fingerprint = c.fingerprint;
}

static void
take_signals(const struct guest *g)
{
    struct signalfd_siginfo info;

    while (read(g->signals, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            _exit(0); /* the kernel ends the container with us */
    if (!keeper.orphans)
        reap(g);
}

/*
 * Accept without waiting for long: a supervisor that has just become idle may be faster. The
 * timeout is the socket's, so a supervisor can come to feel it; it then tries again.
 */
static int
accept_briefly(int listener)
{
    const struct timeval brief = {.tv_usec = 1000};
    const struct timeval forever = {0};
    int fd = -1;

    if (setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)) == 0)
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
    return fd;
}

/* Nobody can be forked to take the connection that waits: say so. */
static void
refuse(const struct guest *g)
{
    const struct {
        struct guest_frame frame;
        struct guest_failure failure;
    } answer = {
        {.type = GUEST_FRAME_FAILED, .len = sizeof(answer.failure)},
        {.stage = GUEST_STAGE_FORK, .error = EAGAIN},
    };
    int fd = accept_briefly(g->listener);

    if (fd < 0)
        return;
    send(fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

/* The table says which id is meant, so that it does not matter if the supervisor has gone on to
 * another. The signal only wakes it, as a child's death would. */
int
keeper_kill(const struct guest *g, uint64_t id)
{
    int result = ENOENT;
    size_t i;

    for (i = 0; i < SUPERVISORS_MAX && id != 0; i++) {
        if (keeper.supervisors[i] == 0 || atomic_load(&g->slots->running[i]) != id)
            continue;
        atomic_store(&g->slots->killed[i], id);
        kill(keeper.supervisors[i], SIGCHLD);
        result = 0;
    }
    return result;
}

/* The earlier of two timeouts for poll(2); -1 is never. */
static int
earlier(int a_ms, int b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

void
keeper_run(struct guest *g)
{
    for (;;) {
        struct pollfd fds[WATCH_COUNT] = {
            [WATCH_SIGNALS] = {.fd = g->signals, .events = POLLIN},
            [WATCH_WANTED] = {.fd = g->wanted, .events = POLLIN},
            [WATCH_LISTENER] = {.fd = -1, .events = POLLIN},
        };
        int timeout_ms = control_watch(g, &fds[WATCH_CONTROL]);
        uint64_t count;

        if (keeper.orphans)
            sweep(g);
        timeout_ms = earlier(timeout_ms, keep_relay(g));
        if (keeper_idle_count(g->slots) == 0 && (keeper.hold || !fork_supervisor(g))) {
            timeout_ms = earlier(timeout_ms, RETRY_MS);
            fds[WATCH_LISTENER].fd = g->listener;
        }
        if (keeper.orphans)
            timeout_ms = earlier(timeout_ms, SWEEP_MS);
        if (poll(fds, WATCH_COUNT, timeout_ms) <= 0) {
            memset(fds, 0, sizeof(fds));
            keeper.hold = false;
        }
        take_signals(g);
        read(g->wanted, &count, sizeof(count)); /* it only wakes; the table tells */
        control_serve(g, &fds[WATCH_CONTROL]);
        if (fds[WATCH_LISTENER].revents != 0 && keeper_idle_count(g->slots) == 0 &&
            !fork_supervisor(g))
            refuse(g);
    }
}
