/* Telling the service manager how the service is: see notify.h. */
#include "fcgi/notify.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/id.h"

/* An absolute path, or with "@" a name in the abstract namespace. */
static int
connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    _cleanup_(closep) int fd = -1;

    if ((name[0] != '/' && name[0] != '@') || len >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        return -1;
    return TAKE_FD(fd);
}

/* A number that the environment has under @name; 0 if it has none. */
static int64_t
number(const char *name)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): no threads yet */
    char *end;
    long long value;

    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    value = strtoll(text, &end, 10);
    return *end || errno ? 0 : value;
}

void
notify_open(struct notify *n)
{
    const char *name = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe): no threads yet */
    int64_t pid = number("WATCHDOG_PID");

    *n = NOTIFY_NONE;
    if (!name)
        return;
    n->fd = connect_to(name);
    if (n->fd >= 0 && (pid == 0 || pid == getpid()))
        n->watchdog_ms = number("WATCHDOG_USEC") / 2000; /* twice in its time */
}

void
notify_tell(const struct notify *n, const char *state)
{
    if (n->fd >= 0)
        send(n->fd, state, strlen(state), MSG_NOSIGNAL);
}

int64_t
notify_beat(struct notify *n)
{
    int64_t now = time_monotonic_ms();

    if (n->fd < 0 || n->watchdog_ms == 0)
        return -1;
    if (now >= n->next_beat_ms) {
        notify_tell(n, "WATCHDOG=1");
        n->next_beat_ms = now + n->watchdog_ms;
    }
    return n->next_beat_ms - now;
}

void
notify_close(struct notify *n)
{
    closep(&n->fd);
    *n = NOTIFY_NONE;
}
