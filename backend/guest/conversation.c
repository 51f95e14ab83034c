/* One execution's conversation with the guest: see conversation.h and protocol.h. */
#include "backend/guest/conversation.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    START_MS = 5000,      /* from the request to STARTED */
    GRACE_MS = 5000,      /* from the deadline or the cancelling to EXIT */
    LENT_MAX_MS = 600000, /* that a slow sink may put the limit off by */
    SMALL_SIZE = 4096,    /* what a quick command's frames fit in: on the stack */
    LARGE_SIZE = 64 << 10 /* for the rest of one whose frames did not */
};

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
guest_bad(struct error *err, const char *detail)
{
    error_set_detail(err, ERR_INTERNAL, detail, "the execution was interrupted");
    return -EPROTO;
}

int
guest_bad_errno(struct error *err, int errnum, const char *what)
{
    error_errno(err, errnum, what);
    return -EPROTO;
}

/* Send what the guest takes now. One that has stopped listening may still have something to say. */
static void
send_some(struct conversation *c)
{
    size_t all = c->request.len + c->input_len;

    while (c->sending && c->sent < all) {
        size_t input_sent = c->sent > c->request.len ? c->sent - c->request.len : 0;
        size_t head_sent = c->sent - input_sent;
        struct iovec iov[] = {
            {c->request.data + head_sent, c->request.len - head_sent},
            {__extension__(void *)(uintptr_t)(c->input + input_sent), c->input_len - input_sent},
        };
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
        ssize_t len = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (len >= 0)
            c->sent += (size_t)len;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            c->sending = false;
    }
    c->sending = false;
}

/* Nobody wants the command any more: have it ended, and wait a little for the guest's word. */
static void
cancel(struct conversation *c)
{
    int64_t limit_ms = now_ms() + GRACE_MS;

    c->cancel_fd = -1;
    c->cancelled = true;
    c->sending = false;
    shutdown(c->fd, SHUT_WR);
    if (limit_ms < c->limit_ms)
        c->limit_ms = limit_ms;
}

/* The sink to tell something, if there is one that still listens. */
static const struct guest_sink *
listening(const struct conversation *c)
{
    return c->cancelled ? NULL : c->sink;
}

/* Take the sink's answer. */
static void
heed(struct conversation *c, int answer)
{
    if (answer < 0 && !c->cancelled)
        cancel(c);
}

/* Something was heard just now: the sink is told of silence from here on. */
static void
reset_quiet(struct conversation *c)
{
    const struct guest_sink *sink = listening(c);

    c->quiet_at_ms =
        sink && sink->quiet && sink->quiet_ms > 0 ? now_ms() + sink->quiet_ms : INT64_MAX;
}

static void
tell_quiet(struct conversation *c)
{
    if (c->quiet_at_ms == INT64_MAX || now_ms() < c->quiet_at_ms)
        return;
    if (listening(c))
        heed(c, c->sink->quiet(c->sink->arg));
    reset_quiet(c);
}

/* A sink may be slow: the time that it takes is not the guest's, up to a bound. */
static void
tell_output(struct conversation *c, const struct guest_sink *sink, enum guest_stream stream,
            const char *data, size_t len)
{
    int64_t before_ms = now_ms();
    int answer = sink->output(sink->arg, stream, data, len);
    int64_t spent_ms = now_ms() - before_ms;

    if (spent_ms > LENT_MAX_MS - c->lent_ms)
        spent_ms = LENT_MAX_MS - c->lent_ms;
    c->lent_ms += spent_ms;
    c->limit_ms += spent_ms;
    heed(c, answer);
}

int
conversation_output(struct conversation *c, enum guest_stream stream, const char *data, size_t len,
                    struct error *err)
{
    const struct guest_sink *sink = listening(c);
    int r = capture_write(stream == GUEST_STDOUT ? c->out : c->errout, data, len);

    if (r < 0)
        return guest_bad_errno(err, -r, "keeping output");
    if (sink && sink->output)
        tell_output(c, sink, stream, data, len);
    return 0;
}

/* Whether a frame of this type and length may come now. */
static bool
frame_acceptable(const struct conversation *c)
{
    const struct guest_frame *f = &c->frame;

    if (c->done)
        return false;
    switch (f->type) {
    case GUEST_FRAME_STARTED:
        return !c->started && f->len == 0;
    case GUEST_FRAME_STDOUT:
    case GUEST_FRAME_STDERR:
        return c->started && f->len > 0 && f->len <= GUEST_OUTPUT_MAX;
    case GUEST_FRAME_EXIT:
        return c->started && f->len == sizeof(struct guest_exit);
    case GUEST_FRAME_FAILED:
        return !c->started && f->len == sizeof(struct guest_failure);
    default:
        return false;
    }
}

/* Take in @len bytes of the payload. */
static int
take_payload(struct conversation *c, const char *data, size_t len, struct error *err)
{
    c->payload_have += len;
    if (c->frame.type == GUEST_FRAME_STDOUT)
        return conversation_output(c, GUEST_STDOUT, data, len, err);
    if (c->frame.type == GUEST_FRAME_STDERR)
        return conversation_output(c, GUEST_STDERR, data, len, err);
    memcpy((char *)&c->payload + c->payload_have - len, data, len);
    return 0;
}

static void
take_started(struct conversation *c)
{
    const struct guest_sink *sink = listening(c);

    c->started = true;
    if (!c->cancelled)
        c->limit_ms = now_ms() + c->timeout_ms + GRACE_MS;
    if (sink && sink->started)
        heed(c, sink->started(sink->arg));
}

/* A frame is complete. */
static void
end_frame(struct conversation *c)
{
    if (c->frame.type == GUEST_FRAME_STARTED)
        take_started(c);
    c->done = c->frame.type == GUEST_FRAME_EXIT || c->frame.type == GUEST_FRAME_FAILED ||
              (c->detached && c->started);
    c->frame_have = c->payload_have = 0;
}

/* Take in the bytes that came. They may end, or begin, anywhere in a frame. */
static int
take_bytes(struct conversation *c, const char *data, size_t len, struct error *err)
{
    size_t n;
    int r;

    while (len > 0) {
        if (c->frame_have < sizeof(c->frame)) {
            n = sizeof(c->frame) - c->frame_have;
            n = n < len ? n : len;
            memcpy((char *)&c->frame + c->frame_have, data, n);
            c->frame_have += n;
            if (c->frame_have == sizeof(c->frame) && !frame_acceptable(c))
                return guest_bad(err, "the guest sent a frame that is not allowed there");
        } else {
            n = c->frame.len - c->payload_have;
            n = n < len ? n : len;
            r = take_payload(c, data, n, err);
            if (r < 0)
                return r;
        }
        data += n;
        len -= n;
        if (c->frame_have == sizeof(c->frame) && c->payload_have == c->frame.len)
            end_frame(c);
    }
    return c->done && c->frame_have > 0 ? guest_bad(err, "bytes follow the guest's last frame") : 0;
}

/* What there is to wait for. Sets the events that came; none on a timeout or a signal. */
static int
wait_for_events(const struct conversation *c, struct pollfd fds[2], struct error *err)
{
    int64_t now = now_ms();
    int64_t left_ms = (c->quiet_at_ms < c->limit_ms ? c->quiet_at_ms : c->limit_ms) - now;
    int n;

    if (now >= c->limit_ms)
        return guest_bad(err, c->started ? "the guest did not end the command in time"
                                         : "the guest did not start the command in time");
    if (left_ms < 0)
        left_ms = 0;
    fds[0] = (struct pollfd){
        .fd = c->fd,
        .events = (short)(POLLIN | (c->sending ? POLLOUT : 0)),
    };
    fds[1] = (struct pollfd){.fd = c->cancel_fd, .events = POLLRDHUP};
    n = poll(fds, 2, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    if (n < 0 && errno != EINTR)
        return guest_bad_errno(err, errno, "poll");
    if (n <= 0)
        fds[0].revents = fds[1].revents = 0;
    return 0;
}

/* Read once. Plain recv() throws descriptors away that a guest may have sent along. */
static int
receive_some(struct conversation *c, char *buffer, size_t size, size_t *ret_len, struct error *err)
{
    ssize_t len = recv(c->fd, buffer, size, MSG_DONTWAIT);
    int r;

    *ret_len = len > 0 ? (size_t)len : 0;
    if (len > 0) {
        r = take_bytes(c, buffer, (size_t)len, err);
        reset_quiet(c);
        return r;
    }
    if (len == 0)
        return guest_bad(err, "the guest closed the connection");
    return errno == EAGAIN || errno == EINTR ? 0 : guest_bad_errno(err, errno, "recv");
}

/* Most executions never need more than the small buffer. */
int
conversation_hold(struct conversation *c, struct error *err)
{
    char small[SMALL_SIZE];
    _cleanup_(freep) char *large = NULL;
    char *buffer = small;
    size_t size = sizeof(small);
    struct pollfd fds[2];
    size_t len;
    int r;

    c->sending = true;
    c->limit_ms = now_ms() + START_MS;
    reset_quiet(c);
    send_some(c);
    while (!c->done) {
        r = wait_for_events(c, fds, err);
        if (r < 0)
            return r;
        if (fds[1].revents)
            cancel(c);
        tell_quiet(c);
        if (fds[0].revents & POLLOUT)
            send_some(c);
        if (!(fds[0].revents & ~POLLOUT))
            continue;
        r = receive_some(c, buffer, size, &len, err);
        if (r < 0)
            return r;
        if (len == size && !large && (large = malloc(LARGE_SIZE)) != NULL) {
            buffer = large; /* without it things go on, slowly */
            size = LARGE_SIZE;
        }
    }
    return 0;
}
