/*
 * A detached execution's file: see spool.h. Plain pwrite(2) alone, because the host reads the file
 * meanwhile through whatever the container's runtime has between.
 */
#include "backend/guest/inside/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/guest/inside/inside.h"

static char buffer[GUEST_OUTPUT_MAX];

/* The path of a spool; it is ours, and short. */
static const char *
path_of(const char *dir, uint64_t id)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/" GUEST_SPOOL_PREFIX "%016" PRIx64, dir, id);
    return path;
}

static void
put(struct spool *s, const void *data, size_t len, uint64_t offset)
{
    const char *at = data;
    ssize_t n;

    while (len > 0 && !s->broken) {
        n = pwrite(s->fd, at, len, (off_t)offset);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            complain("keeping output", n == 0 ? ENOSPC : errno);
            s->broken = true;
        }
    }
}

/* Write the field at @field of the head. */
static void
put_field(struct spool *s, const void *field, size_t len)
{
    put(s, field, len, (uint64_t)((const char *)field - (const char *)&s->head));
}

int
spool_open(struct spool *s, const char *dir, uint64_t id, uint64_t cap)
{
    *s = (struct spool){.head = {.magic = GUEST_REQUEST_MAGIC, .cap = cap}};
    s->fd = open(path_of(dir, id), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (s->fd < 0)
        return errno;
    put(s, &s->head, sizeof(s->head), 0);
    if (!s->broken)
        return 0;
    spool_close(s);
    spool_remove(dir, id);
    return ENOSPC;
}

/* Put @len bytes into the ring at @base: those of the stream from @from on, counted from the
 * ring's first. Only as many as it holds can survive. */
static void
put_ring(struct spool *s, uint64_t base, uint64_t size, const char *data, size_t len, uint64_t from)
{
    size_t first;

    if (len > size) {
        data += len - size;
        from += len - size;
        len = (size_t)size;
    }
    from %= size;
    first = len < size - from ? len : (size_t)(size - from);
    put(s, data, first, base + from);
    put(s, data + first, len - first, base);
}

/* Keep @len bytes as the stream's next. */
static void
keep(struct spool *s, int stream, const char *data, size_t len)
{
    struct guest_spool_stream *st = &s->head.streams[stream];
    uint64_t base = GUEST_SPOOL_DATA + (uint64_t)stream * s->head.cap;
    uint64_t tail = s->head.cap / 2;
    uint64_t head = s->head.cap - tail;
    size_t now = 0;

    if (s->broken)
        return;
    st->claimed = st->total + len;
    put_field(s, &st->claimed, sizeof(st->claimed));
    if (st->total < head) {
        now = len < head - st->total ? len : (size_t)(head - st->total);
        put(s, data, now, base + st->total);
    }
    if (len > now)
        put_ring(s, base + head, tail, data + now, len - now, st->total + now - head);
    if (s->broken)
        return;
    st->total = st->claimed;
    put_field(s, &st->total, sizeof(st->total));
}

long
spool_read(struct spool *s, int stream, int pipe)
{
    ssize_t len = read(pipe, buffer, sizeof(buffer));

    if (len > 0)
        keep(s, stream, buffer, (size_t)len);
    return len;
}

void
spool_end(struct spool *s, const struct guest_exit *e)
{
    s->broken = false; /* the head's place is there already */
    s->head.exit = *e;
    put_field(s, &s->head.exit, sizeof(s->head.exit));
    s->head.ended = 1;
    put_field(s, &s->head.ended, sizeof(s->head.ended));
}

void
spool_close(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

int
spool_remove(const char *dir, uint64_t id)
{
    return unlink(path_of(dir, id)) == 0 || errno == ENOENT ? 0 : errno;
}
