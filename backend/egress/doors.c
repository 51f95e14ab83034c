/* Directories, listeners, and what is known of their containers: see doors.h. */
#include "backend/egress/doors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "backend/egress/answer.h"
#include "backend/egress/client.h"
#include "backend/egress/egress.h"
#include "backend/egress/scribe.h"
#include "backend/egress/tally.h"
#include "backend/id.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum {
    BACKLOG = 128,
    TURNED_AWAY_MAX = 16, /* over the limit of connections, for as long as they read why */
    ACCEPTS_MAX = 16,     /* of one door in one turn of the loop */
    ROWS_MS = 400,        /* how often the rows of open connections are read again */
    SCAN_MS = 5000,       /* how often all directories are looked at, for what was missed */
    SCAN_SOON_MS = 400,   /* the same where one could not be used */
    HOUR_MS = 3600 * 1000
};

/* Lifetime: process. */
struct doors {
    struct door *all; /* a uthash by id */
    int dir_fd, watch_fd;
    struct event watch;
    int64_t scan_ms, rows_ms; /* monotonic: when they are next due */
    size_t count;
};

/*
 * Listen in the directory @id. A socket that an earlier life left is replaced in one step, so that
 * nobody finds none. The path goes by the directory's descriptor: it is short, and no link is
 * followed.
 */
static int
listen_in(const struct doors *doors, const char *id)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_(closep) int dir = -1, fd = -1;

    dir = openat(doors->dir_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dir < 0 || fd < 0)
        return -errno;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" EGRESS_SOCKET ".new",
             dir);
    if (unlinkat(dir, EGRESS_SOCKET ".new", 0) < 0 && errno != ENOENT)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        fchmodat(dir, EGRESS_SOCKET ".new", 0666, 0) < 0 || listen(fd, BACKLOG) < 0 ||
        renameat(dir, EGRESS_SOCKET ".new", dir, EGRESS_SOCKET) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* Whether one more connection, which has two, would leave descriptors for all else. */
static bool
has_room(const struct proxy *p)
{
    return 2 * (p->connections + 1) + p->doors->count + PROXY_RESERVED_FDS < p->descriptors_max;
}

/* Refuse who knocks. A few are waited for until they have read why; a flood is not. */
static void
turn_away(struct door *d, int fd, int status, const char *rule)
{
    const struct ledger_attempt attempt = {.container = &d->row, .host = "?", .rule = rule};
    const struct settings *s = proxy_settings(d->proxy);

    tally(false, rule);
    if (d->known)
        scribe_note(d->proxy->scribe, &attempt);
    if ((int64_t)d->count < (s ? s->egress.connections_max : 0) + TURNED_AWAY_MAX) {
        client_turn_away(d, fd, status, rule);
        return;
    }
    answer_send(fd, status, rule);
    close(fd);
}

static void
admit(struct door *d, int fd)
{
    const struct settings *s = proxy_settings(d->proxy);

    if (!s)
        turn_away(d, fd, 503, "the settings cannot be read");
    else if ((int64_t)d->count >= s->egress.connections_max)
        turn_away(d, fd, 429, "egress.connections_max");
    else
        client_new(d, fd);
}

/* Accept who knocks; without descriptors, leave them waiting until the next tick. */
static void
on_knock(evutil_socket_t listener, short what, void *arg)
{
    struct door *d = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = -1;

        if (has_room(d->proxy))
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        else
            errno = EMFILE;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0) {
            d->rests = true;
            event_del(&d->knock);
            return;
        }
        admit(d, fd);
    }
}

static void
door_close(struct doors *doors, struct door *d)
{
    while (d->clients)
        client_free(d->clients);
    event_del(&d->knock);
    close(d->fd);
    container_done(&d->row);
    HASH_DEL(doors->all, d);
    doors->count--;
    free(d);
}

/* Make a door of the directory @id, unless it is one. Returns 0 or a negative errno. */
static int
door_open(struct proxy *p, const char *id)
{
    struct doors *doors = p->doors;
    struct door *d = NULL;
    int fd;

    HASH_FIND_STR(doors->all, id, d);
    if (d || !id_is_container(id))
        return 0;
    fd = listen_in(doors, id);
    if (fd < 0)
        return fd;
    d = calloc(1, sizeof(*d));
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    d->proxy = p;
    d->fd = fd;
    snprintf(d->id, sizeof(d->id), "%s", id);
    event_assign(&d->knock, p->base, fd, EV_READ | EV_PERSIST, on_knock, d);
    event_add(&d->knock, NULL);
    HASH_ADD_STR(doors->all, id, d);
    doors->count++;
    return 0;
}

/* Whether the directory is (still) there, with the socket that we listen on in it. */
static bool
is_there(const struct doors *doors, const char *id)
{
    char path[CONTAINER_ID_SIZE + sizeof("/" EGRESS_SOCKET)];

    snprintf(path, sizeof(path), "%s/" EGRESS_SOCKET, id);
    return faccessat(doors->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Close the doors whose directory is gone, or whose socket is no longer in it. */
static void
close_stale(struct doors *doors)
{
    struct door *d, *next;

    HASH_ITER(hh, doors->all, d, next)
    if (!is_there(doors, d->id))
        door_close(doors, d);
}

/* Compare the doors with all directories that there are. */
static void
scan(struct proxy *p)
{
    struct doors *doors = p->doors;
    int fd = openat(doors->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    bool failed = false;

    if (!dir)
        closep(&fd);
    close_stale(doors);
    while (dir && (e = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (door_open(p, e->d_name) < 0)
            failed = true;
    doors->scan_ms = time_monotonic_ms() + (failed || !dir ? SCAN_SOON_MS : SCAN_MS);
}

static void
take_event(struct proxy *p, const struct inotify_event *e)
{
    struct doors *doors = p->doors;
    struct door *d = NULL;

    if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED)) {
        doors->scan_ms = 0;
        return;
    }
    if (!(e->mask & IN_ISDIR) || e->len == 0)
        return;
    if (e->mask & (IN_DELETE | IN_MOVED_FROM)) {
        HASH_FIND_STR(doors->all, e->name, d);
        if (d)
            door_close(doors, d);
    } else if (door_open(p, e->name) < 0) {
        doors->scan_ms = 0; /* it may not be ours yet: its owner is set after it is made */
    }
}

static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct proxy *p = arg;
    union { /* events are as aligned as their struct */
        struct inotify_event event;
        char bytes[8192];
    } all;
    ssize_t n, at = 0;

    (void)what;
    n = read(fd, &all, sizeof(all));
    while (at < n) {
        const struct inotify_event *e = (const void *)(all.bytes + at);

        take_event(p, e);
        at += (ssize_t)(sizeof(*e) + e->len);
    }
}

int
doors_open(struct proxy *p, struct error *err)
{
    enum { MASK = IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR };
    struct doors *doors = calloc(1, sizeof(*doors));
    char path[PATH_MAX];

    if (!doors)
        return error_errno(err, ENOMEM, "doors");
    p->doors = doors;
    doors->watch_fd = -1;
    snprintf(path, sizeof(path), "%s/" EGRESS_DIRECTORY, p->backend->context->state_dir);
    doors->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (doors->dir_fd < 0)
        return error_errno(err, errno, path);
    doors->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (doors->watch_fd < 0 || inotify_add_watch(doors->watch_fd, path, MASK) < 0)
        return error_errno(err, errno, "inotify");
    event_assign(&doors->watch, p->base, doors->watch_fd, EV_READ | EV_PERSIST, on_watch, p);
    event_add(&doors->watch, NULL);
    scan(p);
    return 0;
}

void
doors_close(struct proxy *p)
{
    struct doors *doors = p->doors;
    struct door *d, *next;

    if (!doors)
        return;
    HASH_ITER(hh, doors->all, d, next)
    door_close(doors, d);
    if (doors->watch_fd >= 0 && event_initialized(&doors->watch))
        event_del(&doors->watch);
    closep(&doors->watch_fd);
    closep(&doors->dir_fd);
    free(doors);
    p->doors = NULL;
}

static void
judge_clients(struct door *d, const char *refusal)
{
    struct client *c = d->clients;

    while (c) {
        struct client *next = client_next(c);

        client_judge(c, refusal);
        c = next;
    }
}

void
doors_judge(struct proxy *p)
{
    struct door *d, *next;

    HASH_ITER(hh, p->doors->all, d, next)
    if (d->clients)
        judge_clients(d, door_refusal(d));
}

/* Close the connections of containers that have ended, or changed their network. */
static void
look_at_rows(struct proxy *p)
{
    struct door *d, *next;

    HASH_ITER(hh, p->doors->all, d, next)
    {
        enum network before = d->row.network;
        const char *refusal = d->clients ? door_refusal(d) : NULL;

        if (refusal || d->row.network != before)
            judge_clients(d, refusal);
    }
    p->doors->rows_ms = time_monotonic_ms() + ROWS_MS;
}

void
doors_tick(struct proxy *p, int64_t now_ms)
{
    struct doors *doors = p->doors;
    struct door *d, *next_door;

    HASH_ITER(hh, doors->all, d, next_door)
    {
        struct client *c = d->clients;

        while (c) {
            struct client *next = client_next(c);

            client_tick(c, now_ms);
            c = next;
        }
        if (d->rests && has_room(p)) {
            d->rests = false;
            event_add(&d->knock, NULL);
        }
    }
    if (now_ms >= doors->rows_ms)
        look_at_rows(p);
    if (now_ms >= doors->scan_ms)
        scan(p);
}

void
doors_count(struct proxy *p)
{
    struct door *d, *next;

    HASH_ITER(hh, p->doors->all, d, next)
    for (struct client *c = d->clients; c; c = client_next(c))
        client_count(c);
}

const char *
door_refusal(struct door *d)
{
    struct store *store = proxy_store(d->proxy);
    struct container row = {0};
    int r = store ? store_container_get(store, d->id, &row, NULL) : -EIO;

    if (r < 0)
        return r == -ENOENT ? "there is no such container" : "the state database cannot be read";
    container_done(&d->row);
    d->row = row;
    d->known = true;
    if (row.status != CONTAINER_RUNNING)
        return "the container is not running";
    return row.network == NETWORK_NONE ? "the container's network is None" : NULL;
}

bool
door_spend(struct door *d, size_t bytes)
{
    uint64_t max = d->proxy->hour_bytes_max;
    int64_t now_ms = time_monotonic_ms();

    if (now_ms - d->hour_ms >= HOUR_MS) {
        d->hour_ms = now_ms;
        d->hour_bytes = 0;
    }
    d->hour_bytes += bytes;
    return max == 0 || d->hour_bytes < max;
}
