/* Whole reads and writes of broker messages: see protocol.h. */
#include "backend/broker/protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor (cmsg(3)). */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int
broker_read(int fd, void *data, size_t len)
{
    char *p = data;

    while (len > 0) {
        ssize_t n = recv(fd, p, len, 0);

        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int
broker_write(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The descriptor in @m, -1 if there is none; more than one (the room of one is padded) are closed.
 */
static int
passed_descriptor(struct msghdr *m)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    int first = -1;

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return -1;
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
        int fd;

        memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
        if (first < 0)
            first = fd;
        else
            close(fd);
    }
    return first;
}

int
broker_read_with_fd(int fd, void *data, size_t len, int *ret_fd)
{
    union control control = {0};
    struct iovec part = {.iov_base = data, .iov_len = len};
    struct msghdr m = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n;
    int r, passed;

    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
    passed = passed_descriptor(&m);
    r = broker_read(fd, (char *)data + n, len - (size_t)n);
    if (r < 0 && passed >= 0)
        close(passed);
    else if (r == 0)
        *ret_fd = passed;
    return r;
}

int
broker_write_with_fd(int fd, const void *data, size_t len, int passed_fd)
{
    union control control = {0};
    struct iovec part = {.iov_len = len};
    struct msghdr m = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ssize_t n;

    if (passed_fd < 0)
        return broker_write(fd, data, len);
    memcpy(&part.iov_base, &data, sizeof(data)); /* sendmsg(2) only reads it */
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(passed_fd));
    memcpy(CMSG_DATA(c), &passed_fd, sizeof(passed_fd));
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return broker_write(fd, (const char *)data + n, len - (size_t)n);
}
