/*
 * The relay at work: see relay.h. One thread, level-triggered epoll. What was read is passed on at
 * once; only what the other side does not take is kept, in the line's own buffer, and until that is
 * empty nothing more is read. So a line costs memory only while somebody is slow, and never more
 * than two buffers.
 *
 * A line ends when both sides have nothing more to say, or when the client fails. If the proxy goes
 * first, what the client still sends is thrown away: closing with it unread would reset the
 * connection, and could cost the client the proxy's last words.
 */
#include "backend/guest/inside/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/guest/inside/clock.h"
#include "backend/guest/inside/confine.h"
#include "backend/guest/protocol.h"

enum {
    BACKLOG = 512,
    LINES_MAX = 256,
    BUFFER_SIZE = 16 << 10, /* whole pages */
    EVENTS = 32,            /* taken at one time */
    OTHER_FDS = 8, /* 0 to 2, the listener, epoll, the socket's file, one client that waits */
    PAUSE_MS = 20, /* before another try, when the system or the proxy is short of something */
    LISTENER_FD = 3,
    LISTENER_KEY = 2 * LINES_MAX
};

enum side { CLIENT, PROXY, SIDES };

/* One direction of a line, from a side to the other. */
struct flow {
    bool ended;          /* the side it comes from has said all */
    bool shut;           /* the other side was told so, or takes no more: what comes is dropped */
    uint16_t start, len; /* of what waits in the buffer */
};

/* Lifetime: one connection. */
struct line {
    bool used;
    bool buffered; /* its buffers have been written to */
    int fds[SIDES];
    uint32_t watched[SIDES];  /* events that epoll knows of; 0: it is not there */
    struct flow flows[SIDES]; /* by the side that they come from */
};

/* Lifetime: process. Zero at first: what is not used costs nothing. */
static struct {
    int epoll;
    int listener;
    bool listening;
    int waiting;            /* a client that the proxy has no room for yet; -1: none */
    int64_t pause_until_ms; /* until then nobody is taken in; 0: no pause */
    const char *path;
    unsigned lines_max, lines_used;
    struct line lines[LINES_MAX];
    char (*buffers)[SIDES][BUFFER_SIZE]; /* of the lines */
} relay;

static char scratch[BUFFER_SIZE];

int
relay_listen(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(GUEST_RELAY_PORT),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    const int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* those accepted inherit it */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Tell epoll what to watch a descriptor for; nothing at all is not even its failure, which would be
 * reported over and over. */
static void
watch(int fd, uint32_t key, uint32_t events, uint32_t *known)
{
    struct epoll_event e = {.events = events, .data = {.u32 = key}};

    if (events == *known)
        return;
    epoll_ctl(relay.epoll,
              *known == 0   ? EPOLL_CTL_ADD
              : events == 0 ? EPOLL_CTL_DEL
                            : EPOLL_CTL_MOD,
              fd, &e);
    *known = events;
}

/* Accept clients, or leave them waiting. */
static void
listen_on(bool on)
{
    uint32_t known = relay.listening ? EPOLLIN : 0;

    watch(relay.listener, LISTENER_KEY, on ? EPOLLIN : 0, &known);
    relay.listening = on;
}

/* Connect to the proxy. A link that somebody put in the socket's place is not followed. Returns 0
 * or an errno; EAGAIN: it is busy. */
static int
dial(int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int place = open(relay.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int fd, r = 0;

    if (place < 0)
        return errno;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
    if (fd < 0 || fstat(place, &st) < 0)
        r = errno;
    else if (!S_ISSOCK(st.st_mode))
        r = ENOTSOCK;
    else if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        r = errno;
    close(place);
    if (r == 0)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return r;
}

static void
hang_up(struct line *l)
{
    close(l->fds[CLIENT]); /* and epoll forgets them */
    close(l->fds[PROXY]);
    if (l->buffered)
        madvise(relay.buffers[l - relay.lines], sizeof(relay.buffers[0]), MADV_DONTNEED);
    *l = (struct line){0};
    relay.lines_used--;
}

/* Pass on bytes of the flow that comes from @from. Returns how many the other side took; -1: it is
 * the client, and is gone. */
static ssize_t
pass(struct line *l, enum side from, const char *data, size_t len)
{
    struct flow *f = &l->flows[from];
    ssize_t n = f->shut ? (ssize_t)len : send(l->fds[!from], data, len, MSG_NOSIGNAL);

    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    if (from == PROXY)
        return -1;
    f->shut = true;
    return (ssize_t)len;
}

/* Read once, and pass it on; what is not taken waits. False: the client is gone. */
static bool
carry(struct line *l, enum side from)
{
    struct flow *f = &l->flows[from];
    ssize_t n = recv(l->fds[from], scratch, sizeof(scratch), 0), taken;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0 && from == CLIENT)
        return false;
    if (n <= 0) {
        f->ended = true;
        return true;
    }
    taken = pass(l, from, scratch, (size_t)n);
    if (taken < 0)
        return false;
    f->start = 0;
    f->len = (uint16_t)(n - taken);
    if (f->len > 0) {
        memcpy(relay.buffers[l - relay.lines][from], scratch + taken, f->len);
        l->buffered = true;
    }
    return true;
}

/* Pass on what waits. False: the client is gone. */
static bool
catch_up(struct line *l, enum side from)
{
    struct flow *f = &l->flows[from];
    ssize_t taken = pass(l, from, relay.buffers[l - relay.lines][from] + f->start, f->len);

    if (taken < 0)
        return false;
    f->start = (uint16_t)(f->start + taken);
    f->len = (uint16_t)(f->len - taken);
    return true;
}

/* Do what can be done for one direction without waiting. False: the client is gone. */
static bool
flow(struct line *l, enum side from)
{
    struct flow *f = &l->flows[from];

    if (f->len > 0 ? !catch_up(l, from) : !f->ended && !carry(l, from))
        return false;
    if (f->ended && f->len == 0 && !f->shut) {
        shutdown(l->fds[!from], SHUT_WR);
        f->shut = true;
    }
    return true;
}

static bool
is_over(const struct flow *f)
{
    return f->ended && f->len == 0;
}

static void
serve(struct line *l)
{
    uint32_t key = 2 * (uint32_t)(l - relay.lines);

    if (!flow(l, CLIENT) || !flow(l, PROXY) ||
        (is_over(&l->flows[CLIENT]) && is_over(&l->flows[PROXY]))) {
        hang_up(l);
        return;
    }
    for (enum side side = CLIENT; side < SIDES; side++) {
        const struct flow *from = &l->flows[side], *to = &l->flows[!side];
        uint32_t events = (from->len == 0 && !from->ended ? (uint32_t)EPOLLIN : 0) |
                          (to->len > 0 ? (uint32_t)EPOLLOUT : 0);

        watch(l->fds[side], key + side, events, &l->watched[side]);
    }
}

/* Give a client its line to the proxy; without one it is closed. */
static void
admit(int client)
{
    struct line *l = relay.lines;
    int proxy = -1;
    int r = dial(&proxy);

    if (r == EAGAIN) {
        relay.waiting = client;
        relay.pause_until_ms = clock_ms() + PAUSE_MS;
        return;
    }
    if (r != 0) {
        close(client);
        return;
    }
    while (l->used)
        l++;
    *l = (struct line){.used = true, .fds = {[CLIENT] = client, [PROXY] = proxy}};
    relay.lines_used++;
    serve(l);
}

/* Take one client in. */
static void
welcome(void)
{
    int fd = accept4(relay.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        admit(fd);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        relay.pause_until_ms = clock_ms() + PAUSE_MS;
}

/* Drop what PID 1 had but this needs not. */
static void
become_relay(int listener)
{
    struct rlimit files = {.rlim_cur = 0};

    if (dup2(listener, LISTENER_FD) < 0 ||
        syscall(SYS_close_range, LISTENER_FD + 1, INT_MAX, 0) < 0 || confine_fully() != 0)
        _exit(1);
    relay.listener = LISTENER_FD;
    relay.waiting = -1;
    relay.lines_max = LINES_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * LINES_MAX + OTHER_FDS)
        relay.lines_max =
            files.rlim_cur > OTHER_FDS ? (unsigned)(files.rlim_cur - OTHER_FDS) / 2 : 0;
    relay.buffers = mmap(NULL, LINES_MAX * sizeof(relay.buffers[0]), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    relay.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (relay.buffers == MAP_FAILED || relay.epoll < 0)
        _exit(1);
}

/* End a pause that is over. Returns how much of it is left, in ms; -1: there is none. */
static int
look_at_pause(void)
{
    int64_t left = relay.pause_until_ms == 0 ? 0 : relay.pause_until_ms - clock_ms();
    int client = relay.waiting;

    if (left > 0)
        return (int)left;
    relay.pause_until_ms = 0;
    relay.waiting = -1;
    if (client >= 0)
        admit(client);
    return relay.pause_until_ms == 0 ? -1 : PAUSE_MS;
}

void
relay_run(int listener, const char *path)
{
    struct epoll_event events[EVENTS];

    relay.path = path;
    become_relay(listener);
    for (;;) {
        int left_ms = look_at_pause();
        int count;

        listen_on(left_ms < 0 && relay.lines_used < relay.lines_max);
        count = epoll_wait(relay.epoll, events, EVENTS, left_ms);
        for (int i = 0; i < count; i++) {
            uint32_t key = events[i].data.u32;

            /* A line may have ended since, or be another's: to look at one in vain does no harm. */
            if (key == LISTENER_KEY)
                welcome();
            else if (relay.lines[key / 2].used)
                serve(&relay.lines[key / 2]);
        }
    }
}
