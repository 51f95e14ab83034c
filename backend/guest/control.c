/* Control requests to the guest: see control.h and protocol.h. */
#include "backend/guest/control.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "backend/cleanup.h"
#include "backend/guest/connect.h"
#include "backend/guest/protocol.h"

enum { ANSWER_MS = 5000, ERRNO_MAX = 4095 };

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
no_answer(struct error *err, const char *detail)
{
    return error_set_detail(err, ERR_INTERNAL, detail, "the container's guest does not answer");
}

/* Wait for the answer until @until_ms. It is 0 or an errno in *ret. */
static int
take_answer(int fd, int64_t until_ms, int *ret, struct error *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t left_ms;
    int32_t answer;
    ssize_t len;
    int n;

    do {
        left_ms = until_ms - now_ms();
        n = poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return no_answer(err, "no answer to a control request in time");
    len = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);
    if (len != (ssize_t)sizeof(answer) || answer < 0 || answer > ERRNO_MAX)
        return no_answer(err, "an impossible answer to a control request");
    *ret = answer;
    return 0;
}

/* Have the guest do something. Its answer, 0 or an errno, is *ret. */
static int
ask(const char *directory, enum guest_control_type type, uint64_t value, int *ret,
    struct error *err)
{
    const struct guest_control request = {
        .magic = GUEST_REQUEST_MAGIC, .type = type, .value = value};
    int64_t until_ms = now_ms() + ANSWER_MS;
    _cleanup_(closep) int fd = -1;
    int r = guest_connect_to(directory, GUEST_CONTROL_SOCKET, SOCK_SEQPACKET, &fd, err);

    if (r < 0)
        return r;
    if (send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return error_errno(err, errno, "sending a control request");
    return take_answer(fd, until_ms, ret, err);
}

int
guest_kill(const char *directory, uint64_t id, struct error *err)
{
    int answer = 0;
    int r = ask(directory, GUEST_CONTROL_KILL, id, &answer, err);

    if (r < 0)
        return r;
    if (answer == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "the execution does not run");
    return answer == 0 ? 0 : error_errno(err, answer, "killing an execution");
}

int
guest_forget(const char *directory, uint64_t id, struct error *err)
{
    int answer = 0;
    int r = ask(directory, GUEST_CONTROL_FORGET, id, &answer, err);

    if (r < 0)
        return r;
    return answer == 0 ? 0 : error_errno(err, answer, "removing a spool");
}

int
guest_adopt(const char *directory, uid_t uid, gid_t gid, struct error *err)
{
    int answer = 0;
    int r = ask(directory, GUEST_CONTROL_ADOPT, (uint64_t)gid << 32 | uid, &answer, err);

    if (r < 0)
        return r;
    return answer == 0 ? 0 : error_errno(err, answer, "giving a container to its user");
}
