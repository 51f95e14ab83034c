/* A guest gone bad: see badguest.h. */
#include "tests/hostile/badguest.h"

#include "tests/test.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/guest/protocol.h"
#include "tests/api/host.h"

enum { DESCRIPTORS = 250, REQUEST_SIZE = 65536, TRICKLE_US = 50000, BACKLOG = 16 };

static bool
send_all(int fd, const void *data, size_t len)
{
    return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
send_frame(int fd, uint32_t type, const void *payload, uint32_t len)
{
    const struct guest_frame frame = {.type = type, .len = len};

    return send_all(fd, &frame, sizeof(frame)) && (len == 0 || send_all(fd, payload, len));
}

/* In one piece: a host that has read the first has read the second. */
static bool
send_two_ends(int fd, const struct guest_exit *end)
{
    const struct guest_frame frame = {.type = GUEST_FRAME_EXIT, .len = sizeof(*end)};
    char one[sizeof(frame) + sizeof(*end)], two[2 * sizeof(one)];

    memcpy(one, &frame, sizeof(frame));
    memcpy(one + sizeof(frame), end, sizeof(*end));
    memcpy(two, one, sizeof(one));
    memcpy(two + sizeof(one), one, sizeof(one));
    return send_all(fd, two, sizeof(two));
}

/* Send a frame of one byte, with as many descriptors as one message takes. */
static bool
send_descriptors(int fd)
{
    static union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS)];
    } control;
    char text[sizeof(struct guest_frame) + 1];
    const struct guest_frame frame = {.type = GUEST_FRAME_STDOUT, .len = 1};
    struct iovec iov = {text, sizeof(text)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    int fds[DESCRIPTORS];

    memcpy(text, &frame, sizeof(frame));
    text[sizeof(frame)] = 'x';
    for (size_t i = 0; i < DESCRIPTORS; i++)
        fds[i] = STDOUT_FILENO;
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
    return sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

static void
misbehave(int fd, enum badguest_manner manner)
{
    static char noise[GUEST_OUTPUT_MAX];
    const struct guest_exit end = {.end = GUEST_END_EXITED};

    memset(noise, 'x', sizeof(noise));
    if (manner == BADGUEST_GARBAGE) {
        while (send_all(fd, noise, sizeof(noise)))
            ;
    }
    if (manner == BADGUEST_SILENT || !send_frame(fd, GUEST_FRAME_STARTED, NULL, 0))
        return;
    switch (manner) {
    case BADGUEST_FLOOD:
        while (send_frame(fd, GUEST_FRAME_STDOUT, noise, sizeof(noise)))
            ;
        break;
    case BADGUEST_TRICKLE:
        while (send_frame(fd, GUEST_FRAME_STDERR, "x", 1))
            usleep(TRICKLE_US);
        break;
    case BADGUEST_DESCRIPTORS:
        while (send_descriptors(fd))
            ;
        break;
    case BADGUEST_TWO_ENDS:
        send_two_ends(fd, &end);
        break;
    case BADGUEST_LENGTHS:
        send_frame(fd, GUEST_FRAME_EXIT, &end, sizeof(end) - 1);
        break;
    case BADGUEST_SILENT:
    case BADGUEST_GARBAGE:
        break;
    }
}

/* Serve one connection after the other; each until the host hangs up. */
static _Noreturn void
be_guest(int listener, enum badguest_manner manner)
{
    static char request[REQUEST_SIZE];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0 || read(fd, request, sizeof(request)) <= 0) {
            close(fd);
            continue;
        }
        misbehave(fd, manner);
        while (read(fd, request, sizeof(request)) > 0)
            ;
        close(fd);
    }
}

pid_t
badguest_start(const char *id, enum badguest_manner manner)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[128], path[PATH_MAX];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    snprintf(name, sizeof(name), "guests/%s/" GUEST_SOCKET, id);
    host_path(name, path);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(path, 0660), 0); /* its group is the directory's: the workers' */
    assert_int_equal(listen(listener, BACKLOG), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_guest(listener, manner);
    close(listener);
    return pid;
}

void
badguest_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
