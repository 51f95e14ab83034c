/* The host's side of an execution: see guest.h. */
#include "backend/guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "backend/buf.h"
#include "backend/guest/protocol.h"

enum {
    CONNECT_SECONDS = 5,   /* a guest whose backlog is full for longer is not answering */
    START_MS = 5000,       /* from the request to STARTED */
    GRACE_MS = 5000,       /* from the deadline or the cancelling to EXIT */
    SMALL_SIZE = 4096,     /* what a quick command's frames fit in: on the stack */
    LARGE_SIZE = 64 << 10, /* for the rest of one whose frames did not */
    PAYLOAD_MAX = 64,      /* of a frame that is not output */
    NAME_SHOWN = 80,       /* bytes of a name in a message */
    EXIT_STATUS_MAX = 255,
    EXIT_NOT_FOUND = 127, /* what a shell says of a program that is not there, */
    EXIT_CANNOT = 126,    /* and of one that is, but cannot be run */
    SIGNAL_MAX = 64
};

static const int64_t figure_max = INT64_C(1) << 53; /* a JSON number holds it */
static const int64_t timeout_max_ms = INT64_C(1) << 40;

/* Lifetime: scope. One call of guest_run(). */
struct run {
    int fd;
    int cancel_fd; /* -1 once it has cancelled */
    bool cancelled;
    bool sending; /* the guest still takes the request */
    bool started;
    bool done; /* EXIT or FAILED has come */
    int64_t timeout_ms;
    int64_t limit_ms; /* when to give the guest up */
    struct buf request;
    const char *input;
    size_t input_len;
    size_t sent; /* of request and input together */
    struct capture *out;
    struct capture *errout;
    struct guest_frame frame; /* the one that is coming in */
    size_t frame_have;        /* bytes of its head that are here */
    size_t payload_have;      /* and of its payload */
    union {
        struct guest_exit exit;
        struct guest_failure failure;
        char bytes[PAYLOAD_MAX];
    } payload;
};

static void
run_done(struct run *run)
{
    buf_done(&run->request);
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The guest has gone bad, as @detail says. Returns -EPROTO. */
static int
bad_guest(struct error *err, const char *detail)
{
    error_set_detail(err, ERR_INTERNAL, detail, "the execution was interrupted");
    return -EPROTO;
}

static int
bad_guest_errno(struct error *err, int errnum, const char *what)
{
    error_errno(err, errnum, what);
    return -EPROTO;
}

static int
not_running(struct error *err, int errnum)
{
    char text[96];

    return error_set_detail(err, ERR_CONTAINER_NOT_RUNNING, strerror_r(errnum, text, sizeof(text)),
                            "the container is not running");
}

/* Connect to the socket that the O_PATH descriptor @place is. */
static int
connect_place(int place, int *ret_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval timeout = {.tv_sec = CONNECT_SECONDS};
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(err, errno, "socket");
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
    /* connect() waits as long as a send would while the backlog is full. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
        return error_errno(err, errno, "SO_SNDTIMEO");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR)
            return not_running(err, errno);
        return error_errno(err, errno, "connecting to the guest");
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int
guest_connect(const char *directory, int *ret_fd, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    _cleanup_(closep) int place = -1;

    if (snprintf(path, sizeof(path), "%s/%s", directory, GUEST_SOCKET) >= (int)sizeof(path))
        return error_errno(err, ENAMETOOLONG, directory);
    place = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0)
        return errno == ENOENT ? not_running(err, errno) : error_errno(err, errno, path);
    if (fstat(place, &st) < 0)
        return error_errno(err, errno, path);
    if (!S_ISSOCK(st.st_mode))
        return error_errno(err, ENOTSOCK, path);
    return connect_place(place, ret_fd, err);
}

static int
append_string(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s) + 1);
}

/* Append the strings of @list (may be NULL) and count them. */
static int
append_list(struct buf *b, const char *const *list, uint32_t *ret_count)
{
    uint32_t n;
    int r;

    for (n = 0; list && list[n]; n++) {
        r = append_string(b, list[n]);
        if (r < 0)
            return r;
    }
    *ret_count = n;
    return 0;
}

/* Put the request's bytes, without the input, into @b. */
static int
build_request(struct buf *b, const struct guest_command *command, struct error *err)
{
    struct guest_request head = {
        .magic = GUEST_REQUEST_MAGIC,
        .uid = command->uid,
        .gid = command->gid,
        .timeout_ms = command->timeout_ms,
        .input_len = command->input ? command->input_len : 0,
    };
    int r = buf_append(b, &head, sizeof(head));

    if (r == 0)
        r = append_string(b, command->cwd ? command->cwd : "");
    if (r == 0)
        r = append_list(b, command->argv, &head.argc);
    if (r == 0)
        r = append_list(b, command->env, &head.envc);
    if (r == -EMSGSIZE)
        return error_set(err, ERR_VALIDATION, "command and environment are larger than 2 MiB");
    if (r < 0)
        return bad_guest_errno(err, -r, "building a request for the guest");
    head.body_len = (uint32_t)(b->len - sizeof(head));
    memcpy(b->data, &head, sizeof(head));
    return 0;
}

/* Send what the guest takes now. One that has stopped listening may still have something to say. */
static void
send_some(struct run *run)
{
    size_t all = run->request.len + run->input_len;

    while (run->sending && run->sent < all) {
        size_t input_sent = run->sent > run->request.len ? run->sent - run->request.len : 0;
        size_t head_sent = run->sent - input_sent;
        struct iovec iov[] = {
            {run->request.data + head_sent, run->request.len - head_sent},
            {__extension__(void *)(uintptr_t)(run->input + input_sent),
             run->input_len - input_sent},
        };
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
        ssize_t len = sendmsg(run->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (len >= 0)
            run->sent += (size_t)len;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            run->sending = false;
    }
    run->sending = false;
}

/* The peer on cancel_fd went away: have the command ended, and wait a little for the guest's word.
 */
static void
cancel(struct run *run)
{
    int64_t limit_ms = now_ms() + GRACE_MS;

    run->cancel_fd = -1;
    run->cancelled = true;
    run->sending = false;
    shutdown(run->fd, SHUT_WR);
    if (limit_ms < run->limit_ms)
        run->limit_ms = limit_ms;
}

/* The length that a frame of this type has; for output, any that is allowed. */
static bool
frame_acceptable(const struct run *run)
{
    const struct guest_frame *f = &run->frame;

    if (run->done)
        return false;
    switch (f->type) {
    case GUEST_FRAME_STARTED:
        return !run->started && f->len == 0;
    case GUEST_FRAME_STDOUT:
    case GUEST_FRAME_STDERR:
        return run->started && f->len > 0 && f->len <= GUEST_OUTPUT_MAX;
    case GUEST_FRAME_EXIT:
        return run->started && f->len == sizeof(struct guest_exit);
    case GUEST_FRAME_FAILED:
        return !run->started && f->len == sizeof(struct guest_failure);
    default:
        return false;
    }
}

/* Take in @len bytes of the payload. */
static int
take_payload(struct run *run, const char *data, size_t len, struct error *err)
{
    struct capture *capture = NULL;
    int r;

    if (run->frame.type == GUEST_FRAME_STDOUT)
        capture = run->out;
    else if (run->frame.type == GUEST_FRAME_STDERR)
        capture = run->errout;
    if (capture) {
        r = capture_write(capture, data, len);
        if (r < 0)
            return bad_guest_errno(err, -r, "keeping output");
    } else {
        memcpy(run->payload.bytes + run->payload_have, data, len);
    }
    run->payload_have += len;
    return 0;
}

/* A frame is complete. */
static void
end_frame(struct run *run)
{
    if (run->frame.type == GUEST_FRAME_STARTED) {
        run->started = true;
        if (!run->cancelled)
            run->limit_ms = now_ms() + run->timeout_ms + GRACE_MS;
    }
    run->done = run->frame.type == GUEST_FRAME_EXIT || run->frame.type == GUEST_FRAME_FAILED;
    run->frame_have = run->payload_have = 0;
}

/* Take in the bytes that came. They may end, or begin, anywhere in a frame. */
static int
take_bytes(struct run *run, const char *data, size_t len, struct error *err)
{
    size_t n;
    int r;

    while (len > 0) {
        if (run->frame_have < sizeof(run->frame)) {
            n = sizeof(run->frame) - run->frame_have;
            n = n < len ? n : len;
            memcpy((char *)&run->frame + run->frame_have, data, n);
            run->frame_have += n;
            if (run->frame_have == sizeof(run->frame) && !frame_acceptable(run))
                return bad_guest(err, "the guest sent a frame that is not allowed there");
        } else {
            n = run->frame.len - run->payload_have;
            n = n < len ? n : len;
            r = take_payload(run, data, n, err);
            if (r < 0)
                return r;
        }
        data += n;
        len -= n;
        if (run->frame_have == sizeof(run->frame) && run->payload_have == run->frame.len)
            end_frame(run);
    }
    return run->done && run->frame_have > 0 ? bad_guest(err, "bytes follow the guest's last frame")
                                            : 0;
}

/* What there is to wait for. Sets the events that came; none on a timeout or a signal. */
static int
wait_for_events(const struct run *run, struct pollfd fds[2], struct error *err)
{
    int64_t left_ms = run->limit_ms - now_ms();
    int n;

    if (left_ms <= 0)
        return bad_guest(err, run->started ? "the guest did not end the command in time"
                                           : "the guest did not start the command in time");
    fds[0] = (struct pollfd){
        .fd = run->fd,
        .events = (short)(POLLIN | (run->sending ? POLLOUT : 0)),
    };
    fds[1] = (struct pollfd){.fd = run->cancel_fd, .events = POLLRDHUP};
    n = poll(fds, 2, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    if (n < 0 && errno != EINTR)
        return bad_guest_errno(err, errno, "poll");
    if (n <= 0)
        fds[0].revents = fds[1].revents = 0;
    return 0;
}

/* Read once. Plain recv() throws descriptors away that a guest may have sent along. */
static int
receive_some(struct run *run, char *buffer, size_t size, size_t *ret_len, struct error *err)
{
    ssize_t len = recv(run->fd, buffer, size, MSG_DONTWAIT);

    *ret_len = len > 0 ? (size_t)len : 0;
    if (len > 0)
        return take_bytes(run, buffer, (size_t)len, err);
    if (len == 0)
        return bad_guest(err, "the guest closed the connection");
    return errno == EAGAIN || errno == EINTR ? 0 : bad_guest_errno(err, errno, "recv");
}

/* Talk until the guest's last frame. Most executions never need more than the small buffer. */
static int
converse(struct run *run, struct error *err)
{
    char small[SMALL_SIZE];
    _cleanup_(freep) char *large = NULL;
    char *buffer = small;
    size_t size = sizeof(small);
    struct pollfd fds[2];
    size_t len;
    int r;

    send_some(run);
    while (!run->done) {
        r = wait_for_events(run, fds, err);
        if (r < 0)
            return r;
        if (fds[1].revents)
            cancel(run);
        if (fds[0].revents & POLLOUT)
            send_some(run);
        if (!(fds[0].revents & ~POLLOUT))
            continue;
        r = receive_some(run, buffer, size, &len, err);
        if (r < 0)
            return r;
        if (len == size && !large && (large = malloc(LARGE_SIZE)) != NULL) {
            buffer = large; /* without it things go on, slowly */
            size = LARGE_SIZE;
        }
    }
    return 0;
}

/* Check what EXIT says, and pass it on. */
static int
take_exit(const struct run *run, struct guest_result *ret, struct error *err)
{
    const struct guest_exit *e = &run->payload.exit;
    bool killed = e->end == GUEST_END_TIMED_OUT || e->end == GUEST_END_CANCELLED;

    if (e->end > GUEST_END_CANCELLED || e->oom_killed > 1 || e->reserved != 0 ||
        (e->end == GUEST_END_EXITED && e->value > EXIT_STATUS_MAX) ||
        (e->end == GUEST_END_SIGNALED && (e->value < 1 || e->value > SIGNAL_MAX)) ||
        (killed && e->value != SIGKILL) || (e->end == GUEST_END_CANCELLED && !run->cancelled) ||
        e->duration_us < 0 || e->duration_us > figure_max || e->cpu_us < 0 ||
        e->cpu_us > figure_max || e->max_memory_kib < 0 || e->max_memory_kib > figure_max)
        return bad_guest(err, "the guest reported an impossible end");
    *ret = (struct guest_result){
        .end = (enum guest_end)e->end,
        .exit_code = e->end == GUEST_END_EXITED ? (int)e->value : 0,
        .signal = e->end == GUEST_END_EXITED ? 0 : (int)e->value,
        .oom_killed = e->oom_killed == 1,
        .duration_us = e->duration_us,
        .cpu_us = e->cpu_us,
        .max_memory_kib = e->max_memory_kib,
    };
    return 0;
}

/* How much of @s fits a message without cutting a character in two. */
static int
clip(const char *s)
{
    size_t len = strnlen(s, NAME_SHOWN);

    while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    return (int)len;
}

/*
 * The command could not be started: as a shell does, that is a status of 127 or 126 and a word on
 * stderr, @what and the name it is about.
 */
static int
not_started(struct run *run, int status, const char *what, const char *name, const char *why,
            struct guest_result *ret, struct error *err)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "%s '%.*s': %s\n", what, clip(name), name, why);
    int r = capture_write(run->errout, text, (size_t)len);

    if (r < 0)
        return bad_guest_errno(err, -r, "keeping output");
    *ret = (struct guest_result){.end = GUEST_EXITED, .exit_code = status};
    return 0;
}

/* Say why nothing was run. */
static int
take_failure(struct run *run, const struct guest_command *command, struct guest_result *ret,
             struct error *err)
{
    const struct guest_failure *f = &run->payload.failure;
    const char *cwd = command->cwd ? command->cwd : "";
    char text[96];
    const char *why;

    if (f->error <= 0)
        return bad_guest(err, "the guest reported an impossible failure");
    why = strerror_r(f->error, text, sizeof(text));
    switch (f->stage) {
    case GUEST_STAGE_FORK:
        if (f->error == EAGAIN)
            return error_set(err, ERR_PROCESS_LIMIT,
                             "the container has reached its limit of processes");
        return error_set(err, ERR_PROCESS_LIMIT, "the container cannot make a process: %s", why);
    case GUEST_STAGE_CWD:
        return not_started(run, EXIT_CANNOT, "cannot enter the working directory", cwd, why, ret,
                           err);
    case GUEST_STAGE_EXEC:
        return not_started(run, f->error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT, "cannot execute",
                           command->argv[0], why, ret, err);
    case GUEST_STAGE_REQUEST:
    case GUEST_STAGE_IDENTITY:
        return bad_guest_errno(err, f->error, "the guest refused the request");
    default:
        return bad_guest(err, "the guest reported an impossible failure");
    }
}

int
guest_run(int fd, const struct guest_command *command, struct capture *out, struct capture *errout,
          struct guest_result *ret, struct error *err)
{
    _cleanup_(run_done) struct run run = {
        .fd = fd,
        .cancel_fd = command->cancel_fd,
        .sending = true,
        .timeout_ms = command->timeout_ms < timeout_max_ms ? command->timeout_ms : timeout_max_ms,
        .limit_ms = now_ms() + START_MS,
        .input = command->input,
        .input_len = command->input ? command->input_len : 0,
        .out = out,
        .errout = errout,
    };
    int r;

    buf_init(&run.request, sizeof(struct guest_request) + GUEST_BODY_MAX);
    r = build_request(&run.request, command, err);
    if (r < 0)
        return r;
    r = converse(&run, err);
    if (r < 0)
        return r;
    if (run.frame.type == GUEST_FRAME_FAILED)
        return take_failure(&run, command, ret, err);
    return take_exit(&run, ret, err);
}
