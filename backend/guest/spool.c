/*
 * Reading what the guest keeps of a detached execution: see spool.h, and protocol.h for the file.
 * Plain pread(2) alone: a mapping would be a way for the guest to kill us, by truncation.
 */
#include "backend/guest/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/beneath.h"
#include "backend/guest/protocol.h"
#include "backend/guest/result.h"

enum {
    HEAD_TRIES = 1000, /* looks at a head that changes: two in a row must be the same */
    ID_DIGITS = 16,
    LIST_MAX = 65536 /* spools of one container */
};

static const uint64_t total_max = UINT64_C(1) << 53; /* a JSON number holds it */

/* Lifetime: scope. */
struct guest_spool {
    int fd;
    uint64_t cap;
};

void
guest_spool_free(struct guest_spool *s)
{
    if (!s)
        return;
    closep(&s->fd);
    free(s);
}

static int
no_spool(struct error *err, const char *detail)
{
    return error_set_detail(err, ERR_INTERNAL, detail, "the execution's output cannot be read");
}

/* Read exactly @len bytes. */
static int
read_at(int fd, void *to, size_t len, uint64_t offset, struct error *err)
{
    char *at = to;
    ssize_t n;

    while (len > 0) {
        n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "reading a spool");
        if (n == 0)
            return no_spool(err, "the spool is shorter than it says");
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

static bool
stream_possible(const struct guest_spool_stream *st, uint64_t base, uint64_t cap, uint64_t size)
{
    uint64_t kept = st->total < cap ? st->total : cap;

    return st->total <= total_max && st->claimed >= st->total &&
           st->claimed - st->total <= GUEST_OUTPUT_MAX && (kept == 0 || base + kept <= size);
}

/* Check the figures of @h, of a file of @size bytes. */
static bool
head_possible(const struct guest_spool_head *h, uint64_t size)
{
    return h->magic == GUEST_REQUEST_MAGIC && h->ended <= 1 && h->cap >= 2 &&
           h->cap <= GUEST_SPOOL_CAP_MAX && size <= GUEST_SPOOL_DATA + 2 * h->cap &&
           stream_possible(&h->streams[GUEST_STDOUT], GUEST_SPOOL_DATA, h->cap, size) &&
           stream_possible(&h->streams[GUEST_STDERR], GUEST_SPOOL_DATA + h->cap, h->cap, size);
}

/* Read the head as it was at one moment: the guest may be writing it. */
static int
read_head(int fd, struct guest_spool_head *ret, struct error *err)
{
    struct guest_spool_head before;
    struct stat st;
    int tries = 0;
    int r = read_at(fd, ret, sizeof(*ret), 0, err);

    if (r < 0)
        return r;
    do {
        before = *ret;
        r = read_at(fd, ret, sizeof(*ret), 0, err);
        if (r < 0)
            return r;
    } while (memcmp(&before, ret, sizeof(before)) != 0 && ++tries < HEAD_TRIES);
    /* The file grows before the figures do. */
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "spool");
    if (tries == HEAD_TRIES || !head_possible(ret, (uint64_t)st.st_size))
        return no_spool(err, "the spool's figures are impossible");
    return 0;
}

int
guest_spool_open(const char *directory, uint64_t id, struct guest_spool **ret, struct error *err)
{
    char name[sizeof(GUEST_SPOOL_PREFIX) + ID_DIGITS];
    struct guest_spool_head head;
    struct stat st;
    _cleanup_(closep) int dir = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_(guest_spool_freep) struct guest_spool *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return error_errno(err, ENOMEM, "spool");
    s->fd = -1;
    snprintf(name, sizeof(name), GUEST_SPOOL_PREFIX "%0*" PRIx64, ID_DIGITS, id);
    s->fd = dir < 0 ? -1 : beneath_open(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "the execution's output is not there");
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return error_errno(err, errno, name);
    if (!S_ISREG(st.st_mode))
        return no_spool(err, "the spool is not a file");
    r = read_head(s->fd, &head, err);
    if (r < 0)
        return r;
    s->cap = head.cap;
    *ret = TAKE(s);
    return 0;
}

/* Read the head of an open spool, which must have the cap that it had. */
static int
look(const struct guest_spool *s, struct guest_spool_head *ret, struct error *err)
{
    int r = read_head(s->fd, ret, err);

    if (r < 0)
        return r;
    return ret->cap == s->cap ? 0 : no_spool(err, "the spool's cap changed");
}

int
guest_spool_state(struct guest_spool *s, struct guest_spool_state *ret, struct error *err)
{
    struct guest_spool_state state = {0};
    struct guest_spool_head head;
    int r = look(s, &head, err);

    if (r < 0)
        return r;
    state.ended = head.ended == 1;
    if (state.ended &&
        (!guest_result_take(&head.exit, &state.result) || state.result.end == GUEST_CANCELLED))
        return no_spool(err, "the spool tells of an impossible end");
    state.bytes[GUEST_STDOUT] = head.streams[GUEST_STDOUT].total;
    state.bytes[GUEST_STDERR] = head.streams[GUEST_STDERR].total;
    *ret = state;
    return 0;
}

/* Where the parts of a stream are, by its bytes' numbers. */
struct range {
    uint64_t base;  /* of the stream in the file */
    uint64_t head;  /* size of the head */
    uint64_t ring;  /* size of the ring */
    uint64_t from;  /* in the head: read from here, */
    uint64_t upto;  /* up to here */
    uint64_t tail;  /* and in the ring: from here, */
    uint64_t total; /* up to here */
};

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What there is to read from the byte @from on. */
static struct range
range_of(const struct guest_spool_head *h, enum guest_stream stream, uint64_t from)
{
    uint64_t total = h->streams[stream].total;
    uint64_t ring = h->cap / 2;
    uint64_t head = h->cap - ring;
    uint64_t kept = total > ring ? total - ring : 0; /* the ring's first byte, if it is full */

    if (from > total)
        from = total;
    return (struct range){
        .base = GUEST_SPOOL_DATA + (stream == GUEST_STDERR ? h->cap : 0),
        .head = head,
        .ring = ring,
        .from = from < head ? from : head,
        .upto = total < head ? total : head,
        .tail = total > head ? larger(larger(from, head), kept) : total,
        .total = total,
    };
}

/* Read the bytes of the ring that @g names. */
static int
read_ring(int fd, const struct range *g, char *to, struct error *err)
{
    uint64_t at = (g->tail - g->head) % g->ring;
    uint64_t len = g->total - g->tail;
    uint64_t first = len < g->ring - at ? len : g->ring - at;
    int r = read_at(fd, to, first, g->base + g->head + at, err);

    if (r < 0)
        return r;
    return read_at(fd, to + first, len - first, g->base + g->head, err);
}

/* Read what @g names into @to; then *ret_lost of the ring's bytes turn out to be others' by now. */
static int
read_range(const struct guest_spool *s, enum guest_stream stream, const struct range *g, char *to,
           size_t *ret_lost, struct error *err)
{
    struct guest_spool_head now;
    uint64_t first; /* byte that nobody has touched */
    int r = read_at(s->fd, to, g->upto - g->from, g->base + g->from, err);

    *ret_lost = 0;
    if (r < 0 || g->tail == g->total)
        return r;
    r = read_ring(s->fd, g, to + (g->upto - g->from), err);
    if (r < 0)
        return r;
    r = look(s, &now, err);
    if (r < 0)
        return r;
    first = now.streams[stream].claimed > g->ring ? now.streams[stream].claimed - g->ring : 0;
    if (first > g->tail)
        *ret_lost = (size_t)((first < g->total ? first : g->total) - g->tail);
    return 0;
}

int
guest_spool_read(struct guest_spool *s, enum guest_stream stream, uint64_t from, char **ret,
                 size_t *ret_len, size_t *ret_head, uint64_t *ret_total, struct error *err)
{
    struct guest_spool_head now;
    struct range g;
    _cleanup_(freep) char *text = NULL;
    size_t head, tail, lost;
    int r = look(s, &now, err);

    if (r < 0)
        return r;
    g = range_of(&now, stream, from);
    head = (size_t)(g.upto - g.from);
    tail = (size_t)(g.total - g.tail);
    text = malloc(head + tail + 1);
    if (!text)
        return error_errno(err, ENOMEM, "reading a spool");
    r = read_range(s, stream, &g, text, &lost, err);
    if (r < 0)
        return r;
    memmove(text + head, text + head + lost, tail - lost);
    text[head + tail - lost] = '\0';
    *ret = TAKE(text);
    *ret_len = head + tail - lost;
    *ret_head = head;
    *ret_total = g.total;
    return 0;
}

/* The id that a spool's file name tells. Returns false if it is none. */
static bool
parse_name(const char *name, uint64_t *ret)
{
    size_t prefix = strlen(GUEST_SPOOL_PREFIX);
    const char *digits = name + prefix;

    if (strncmp(name, GUEST_SPOOL_PREFIX, prefix) != 0 || strlen(digits) != ID_DIGITS ||
        strspn(digits, "0123456789abcdef") != ID_DIGITS)
        return false;
    *ret = strtoull(digits, NULL, 16);
    return true;
}

static int
add_id(uint64_t **ids, size_t *count, uint64_t id)
{
    uint64_t *more;

    if ((*count & (*count - 1)) == 0) { /* a power of two is full */
        more = realloc(*ids, (*count == 0 ? 1 : *count * 2) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        *ids = more;
    }
    (*ids)[(*count)++] = id;
    return 0;
}

int
guest_spool_list(const char *directory, uint64_t **ret, size_t *ret_count, struct error *err)
{
    _cleanup_(closedirp) DIR *dir = opendir(directory);
    _cleanup_(freep) uint64_t *ids = NULL;
    const struct dirent *entry;
    size_t count = 0;
    uint64_t id;

    if (!dir && errno != ENOENT)
        return error_errno(err, errno, directory);
    while (dir && count < LIST_MAX &&
           (entry = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (parse_name(entry->d_name, &id) && add_id(&ids, &count, id) < 0)
            return error_errno(err, ENOMEM, directory);
    *ret = TAKE(ids);
    *ret_count = count;
    return 0;
}
