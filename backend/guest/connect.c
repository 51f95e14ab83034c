/* Connecting to a guest: see connect.h and guest_connect(). */
#include "backend/guest/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/beneath.h"
#include "backend/cleanup.h"
#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

enum { CONNECT_SECONDS = 5 }; /* a guest whose backlog is full for longer is not answering */

static int
not_running(struct error *err, int errnum)
{
    char text[96];

    return error_set_detail(err, ERR_CONTAINER_NOT_RUNNING, strerror_r(errnum, text, sizeof(text)),
                            "the container is not running");
}

/* Connect to the socket that the O_PATH descriptor @place is. */
static int
connect_place(int place, int type, int *ret_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval timeout = {.tv_sec = CONNECT_SECONDS};
    _cleanup_(closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

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
guest_connect_to(const char *directory, const char *name, int type, int *ret_fd, struct error *err)
{
    struct stat st;
    _cleanup_(closep) int dir = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_(closep) int place = dir < 0 ? -1 : beneath_open(dir, name, O_PATH);

    if (place < 0)
        return errno == ENOENT ? not_running(err, errno) : error_errno(err, errno, directory);
    if (fstat(place, &st) < 0)
        return error_errno(err, errno, directory);
    if (!S_ISSOCK(st.st_mode))
        return error_errno(err, ENOTSOCK, directory);
    return connect_place(place, type, ret_fd, err);
}

int
guest_connect(const char *directory, int *ret_fd, struct error *err)
{
    return guest_connect_to(directory, GUEST_SOCKET, SOCK_STREAM, ret_fd, err);
}
