/* The bounded record of an output stream: see capture.h. */
#include "backend/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { UTF8_MAX = 4 };

void
capture_init(struct capture *c, size_t cap)
{
    *c = (struct capture){.tail_size = cap / 2};
    buf_init(&c->head, cap - cap / 2);
}

void
capture_done(struct capture *c)
{
    buf_done(&c->head);
    free(c->tail);
    c->tail = NULL;
}

/* Put @len bytes into the ring; only the last tail_size of them can survive. */
static void
tail_write(struct capture *c, const char *data, size_t len)
{
    size_t first;

    if (len > c->tail_size) {
        c->tail_at = (c->tail_at + (len - c->tail_size)) % c->tail_size;
        data += len - c->tail_size;
        len = c->tail_size;
    }
    first = c->tail_size - c->tail_at;
    if (first > len)
        first = len;
    memcpy(c->tail + c->tail_at, data, first);
    memcpy(c->tail, data + first, len - first);
    c->tail_at = (c->tail_at + len) % c->tail_size;
}

int
capture_write(struct capture *c, const void *data, size_t len)
{
    size_t room = c->head.max - c->head.len;
    size_t now = len < room ? len : room;
    int r;

    if (len > now && !c->tail) {
        c->tail = malloc(c->tail_size);
        if (!c->tail)
            return -ENOMEM;
    }
    r = buf_append(&c->head, data, now);
    if (r < 0)
        return r;
    if (len > now)
        tail_write(c, (const char *)data + now, len - now);
    c->total += len;
    return 0;
}

bool
capture_truncated(const struct capture *c)
{
    return c->total > c->head.max + c->tail_size;
}

/* Bytes of the ring that are in use. */
static size_t
tail_len(const struct capture *c)
{
    uint64_t beyond = c->total - c->head.len;

    return beyond < c->tail_size ? (size_t)beyond : c->tail_size;
}

static bool
is_continuation(char ch)
{
    return ((unsigned char)ch & 0xc0) == 0x80;
}

/* Length of the sequence that @ch leads; 0 if it leads none. */
static size_t
sequence_len(char ch)
{
    unsigned char u = (unsigned char)ch;

    if (u < 0x80)
        return 1;
    if (u >= 0xc2 && u < 0xe0)
        return 2;
    if (u >= 0xe0 && u < 0xf0)
        return 3;
    return u >= 0xf0 && u < 0xf5 ? UTF8_MAX : 0;
}

/* @len without a sequence that begins before the end of @text and would go on beyond it. */
static size_t
trim_end(const char *text, size_t len)
{
    size_t back;

    for (back = 1; back < UTF8_MAX && back <= len; back++) {
        char ch = text[len - back];

        if (!is_continuation(ch))
            return sequence_len(ch) > back ? len - back : len;
    }
    return len;
}

/* How many bytes at the start of @text belong to a sequence that began before it. */
static size_t
trim_start(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && n < UTF8_MAX && is_continuation(text[n]))
        n++;
    return n < UTF8_MAX ? n : 0; /* four in a row are no text at all: keep them */
}

/* Append the ring's bytes, oldest first. */
static void
copy_tail(const struct capture *c, char *to, size_t len)
{
    size_t start = (c->tail_at + c->tail_size - len) % c->tail_size;
    size_t first = c->tail_size - start;

    if (first > len)
        first = len;
    memcpy(to, c->tail + start, first);
    memcpy(to + first, c->tail, len - first);
}

char *
capture_join(const struct capture *c, size_t *ret_len, size_t *ret_head)
{
    size_t head = c->head.len;
    size_t tail = tail_len(c);
    char *text = malloc(head + tail + 1);
    size_t whole, cut;

    if (!text)
        return NULL;
    if (head > 0)
        memcpy(text, c->head.data, head);
    if (tail > 0)
        copy_tail(c, text + head, tail);
    if (capture_truncated(c)) {
        whole = trim_end(text, head);
        cut = trim_start(text + head, tail);
        tail -= cut;
        memmove(text + whole, text + head + cut, tail);
        head = whole;
    }
    text[head + tail] = '\0';
    *ret_len = head + tail;
    *ret_head = head;
    return text;
}
