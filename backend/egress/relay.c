/* Carrying bytes: see relay.h. */
#include "backend/egress/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/egress/proxy.h"

static bool
again(int errnum)
{
    return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR;
}

static void
over(struct relay *r)
{
    if (r->over)
        return;
    r->over = true;
    relay_stop(r);
    r->done(r->arg);
}

/* All of @f is written that ever will be. */
static void
finish(struct flow *f)
{
    struct relay *r = f->relay;

    f->finished = true;
    if (f->closes)
        shutdown(f->to, SHUT_WR);
    if (r->down.finished && (r->up.finished || r->one_shot))
        over(r);
}

/* Write what the other side takes, and keep the rest. False: it is gone. */
static bool
pass(struct flow *f, const char *data, size_t len)
{
    ssize_t n = len > 0 ? send(f->to, data, len, MSG_NOSIGNAL) : 0;

    if (n < 0 && !again(errno))
        return false;
    if (n < 0)
        n = 0;
    if ((size_t)n == len)
        return true;
    f->held_len = len - (size_t)n;
    f->held_at = 0;
    f->held = malloc(f->held_len);
    if (!f->held)
        return false;
    memcpy(f->held, data + n, f->held_len);
    event_del(&f->readable);
    return event_add(&f->writable, NULL) == 0;
}

/* Write @len bytes on the way @f, after which it goes on, or not. */
static void
put(struct flow *f, const char *data, size_t len, enum relay_step step)
{
    if (step == RELAY_END || !pass(f, data, len)) {
        over(f->relay);
        return;
    }
    if (step == RELAY_LAST) {
        f->ended = true;
        event_del(&f->readable);
        if (!f->held)
            finish(f);
    }
}

/* Take @len bytes that were read on the way @f. */
static void
carry(struct flow *f, const char *data, size_t len)
{
    struct relay *r = f->relay;
    enum relay_step step = RELAY_GO;

    if (!r->passed(r->arg, f, len)) {
        over(r);
        return;
    }
    if (f->filter)
        step = f->filter(f->filter_arg, &data, &len);
    put(f, data, len, step);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct flow *f = arg;
    ssize_t n = recv(fd, f->relay->scratch, PROXY_SCRATCH_SIZE, 0);

    (void)what;
    if (n < 0 && again(errno))
        return;
    if (n < 0 || (n == 0 && f->relay->one_shot && f == &f->relay->up)) {
        over(f->relay); /* a client that goes before its request is whole takes it along */
        return;
    }
    if (n > 0) {
        carry(f, f->relay->scratch, (size_t)n);
        return;
    }
    f->ended = true;
    event_del(&f->readable);
    finish(f);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct flow *f = arg;
    ssize_t n = send(fd, f->held + f->held_at, f->held_len - f->held_at, MSG_NOSIGNAL);

    (void)what;
    if (n < 0 && !again(errno)) {
        over(f->relay);
        return;
    }
    f->held_at += n > 0 ? (size_t)n : 0;
    if (f->held_at < f->held_len)
        return;
    free(f->held);
    f->held = NULL;
    event_del(&f->writable);
    if (f->ended)
        finish(f);
    else
        event_add(&f->readable, NULL);
}

static void
flow_init(struct relay *r, struct flow *f, struct event_base *base, int from, int to)
{
    f->relay = r;
    f->from = from;
    f->to = to;
    f->closes = true;
    event_assign(&f->readable, base, from, EV_READ | EV_PERSIST, on_readable, f);
    event_assign(&f->writable, base, to, EV_WRITE | EV_PERSIST, on_writable, f);
}

void
relay_init(struct relay *r, struct event_base *base, int client, int upstream)
{
    flow_init(r, &r->up, base, client, upstream);
    flow_init(r, &r->down, base, upstream, client);
}

void
relay_begin(struct flow *f, const char *data, size_t len, enum relay_step step)
{
    struct relay *r = f->relay;

    f->begun = true;
    event_add(&f->readable, NULL);
    if (len > 0 && !r->passed(r->arg, f, len))
        over(r);
    else if (len > 0 || step == RELAY_LAST)
        put(f, data, len, step);
}

static void
flow_stop(struct flow *f)
{
    if (!f->relay)
        return;
    event_del(&f->readable);
    event_del(&f->writable);
    free(f->held);
    f->held = NULL;
}

void
relay_stop(struct relay *r)
{
    flow_stop(&r->up);
    flow_stop(&r->down);
}
