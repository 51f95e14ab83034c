/*
 * A growing byte buffer that names, where it is initialised, the size at which it refuses to grow.
 */
#ifndef BACKEND_BUF_H
#define BACKEND_BUF_H

#include <stddef.h>

/* Lifetime: scope. data is NUL-terminated after the first successful append; the NUL is not
 * counted. */
struct buf {
    char *data;  /* owned; NULL while empty */
    size_t len;  /* bytes used */
    size_t size; /* bytes allocated */
    size_t max;  /* bytes it may ever hold */
};

/* An empty buffer that refuses to hold more than @max bytes. */
void buf_init(struct buf *b, size_t max);

/* Free what @b holds; it is empty and usable afterwards. */
void buf_done(struct buf *b);

/* Forget the content, keep the memory. */
void buf_clear(struct buf *b);

/* Append @len bytes. Returns 0, -EMSGSIZE over the maximum, or -ENOMEM; on failure @b is unchanged.
 */
int buf_append(struct buf *b, const void *data, size_t len);

/* Append formatted text. Returns as buf_append(). */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Make room for @len more bytes and return where they go, or NULL; buf_commit() counts them in. */
char *buf_reserve(struct buf *b, size_t len);

/* Count in @len bytes written at what buf_reserve() returned. */
void buf_commit(struct buf *b, size_t len);

/* Drop @len bytes from the front. */
void buf_consume(struct buf *b, size_t len);

/* Hand the bytes over: the caller frees what is returned (NULL if nothing was appended). */
char *buf_take(struct buf *b);

#endif
