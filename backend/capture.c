/* The bounded record of an output stream: see capture.h. */
#include "backend/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/utf8.h"

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
    size_t len = head + tail;
    char *text = malloc(len + 1);

    if (!text)
        return NULL;
    if (head > 0)
        memcpy(text, c->head.data, head);
    if (tail > 0)
        copy_tail(c, text + head, tail);
    if (capture_truncated(c))
        utf8_mend(text, &len, &head);
    text[len] = '\0';
    *ret_len = len;
    *ret_head = head;
    return text;
}
