/* Control requests: see control.h and protocol.h. */
#include "backend/guest/inside/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/guest/inside/clock.h"
#include "backend/guest/inside/home.h"
#include "backend/guest/inside/keeper.h"
#include "backend/guest/inside/spool.h"
#include "backend/guest/protocol.h"

enum { SILENCE_MS = 1000 };

/* Lifetime: process. */
static struct peer {
    bool here;
    int fd;
    int64_t until_ms; /* when to drop it */
} peers[CONTROL_PEERS];

static void
drop(struct peer *p)
{
    close(p->fd);
    p->here = false;
}

void
control_leave(void)
{
    int i;

    for (i = 0; i < CONTROL_PEERS; i++)
        if (peers[i].here)
            drop(&peers[i]);
}

int
control_watch(const struct guest *g, struct pollfd fds[CONTROL_WATCHES])
{
    int64_t first = INT64_MAX, left;
    bool full = true;
    int i;

    for (i = 0; i < CONTROL_PEERS; i++) {
        fds[i] = (struct pollfd){.fd = peers[i].here ? peers[i].fd : -1, .events = POLLIN};
        if (!peers[i].here)
            full = false;
        else if (peers[i].until_ms < first)
            first = peers[i].until_ms;
    }
    fds[CONTROL_PEERS] = (struct pollfd){.fd = full ? -1 : g->control, .events = POLLIN};
    if (first == INT64_MAX)
        return -1;
    left = first - clock_ms();
    return left > 0 ? (int)left : 0;
}

/* Make @user, gid << 32 | uid, the container's user. Returns 0 or an errno. */
static int
adopt(struct guest *g, uint64_t user)
{
    uint32_t uid = (uint32_t)(user & UINT32_MAX), gid = (uint32_t)(user >> 32);
    struct guest adopted = *g;
    int r;

    if (uid == 0 || uid == UINT32_MAX || gid == 0 || gid == UINT32_MAX)
        return EINVAL;
    if (uid == g->uid && gid == g->gid)
        return 0;
    adopted.former = g->uid;
    adopted.uid = uid;
    adopted.gid = gid;
    r = home_prepare(&adopted);
    if (r == 0)
        keeper_user_set(g, adopted.uid, adopted.gid);
    return r;
}

/* Do what @c asks for. Returns 0 or an errno. */
static int
obey(struct guest *g, const struct guest_control *c)
{
    if (c->magic != GUEST_REQUEST_MAGIC)
        return EINVAL;
    switch (c->type) {
    case GUEST_CONTROL_KILL:
        return keeper_kill(g, c->value);
    case GUEST_CONTROL_FORGET:
        return spool_remove(g->run_dir, c->value);
    case GUEST_CONTROL_ADOPT:
        return adopt(g, c->value);
    default:
        return EINVAL;
    }
}

/* Answer the peer if its packet is there. */
static void
answer(struct guest *g, struct peer *p)
{
    struct guest_control c;
    ssize_t len = recv(p->fd, &c, sizeof(c), MSG_DONTWAIT | MSG_TRUNC);
    int32_t result;

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len > 0) {
        result = len == (ssize_t)sizeof(c) ? obey(g, &c) : EINVAL;
        send(p->fd, &result, sizeof(result), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    drop(p);
}

/* Take a connection in; its packet is usually there already. */
static void
welcome(struct guest *g)
{
    struct peer *p = peers;
    int fd;

    while (p < peers + CONTROL_PEERS && p->here)
        p++;
    if (p == peers + CONTROL_PEERS)
        return;
    fd = accept4(g->control, NULL, NULL, SOCK_CLOEXEC); /* the listener does not block */
    if (fd < 0)
        return;
    *p = (struct peer){.here = true, .fd = fd, .until_ms = clock_ms() + SILENCE_MS};
    answer(g, p);
}

void
control_serve(struct guest *g, const struct pollfd fds[CONTROL_WATCHES])
{
    int i;

    for (i = 0; i < CONTROL_PEERS; i++) {
        if (fds[i].revents != 0)
            answer(g, &peers[i]);
        if (peers[i].here && clock_ms() >= peers[i].until_ms)
            drop(&peers[i]);
    }
    if (fds[CONTROL_PEERS].revents != 0)
        welcome(g);
}
