/* The growing buffer: see buf.h. */
#include "backend/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void
buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
    b->len = 0;
}

static int
grow(struct buf *b, size_t more)
{
    size_t want, size;
    char *data;

    if (more > b->max - b->len)
        return -EMSGSIZE;
    want = b->len + more + 1;
    if (want <= b->size)
        return 0;
    size = b->size ? b->size : 256;
    while (size < want)
        size *= 2;
    if (size > b->max + 1)
        size = b->max + 1;
    data = realloc(b->data, size);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->size = size;
    return 0;
}

int
buf_append(struct buf *b, const void *data, size_t len)
{
    int r = grow(b, len);

    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int len, r;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    r = len < 0 ? -EINVAL : grow(b, (size_t)len);
    if (r == 0) {
        vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
    return r;
}

char *
buf_reserve(struct buf *b, size_t len)
{
    return grow(b, len) < 0 ? NULL : b->data + b->len;
}

void
buf_commit(struct buf *b, size_t len)
{
    b->len += len;
    b->data[b->len] = '\0';
}

void
buf_consume(struct buf *b, size_t len)
{
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
    b->data[b->len] = '\0';
}

char *
buf_take(struct buf *b)
{
    char *data = b->data;

    buf_init(b, b->max);
    return data;
}
