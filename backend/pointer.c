/* JSON pointers: see pointer.h. */
#include "backend/pointer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Lifetime: scope. */
struct text {
    char *data;
    size_t len;
    size_t size;
    bool full; /* something did not fit: nothing more goes in, or the pointer would lie */
};

static void
put(struct text *t, const char *unit, size_t len)
{
    if (t->full || len >= t->size - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->data + t->len, unit, len);
    t->len += len;
    t->data[t->len] = '\0';
}

/* The bytes of the UTF-8 sequence that starts at @s. */
static size_t
sequence_length(const char *s)
{
    size_t len = 1;

    while ((s[len] & 0xC0) == 0x80)
        len++;
    return len;
}

static void
put_key(struct text *t, const char *key)
{
    size_t len;

    for (; *key && !t->full; key += len) {
        len = sequence_length(key);
        if (*key == '~')
            put(t, "~0", 2);
        else if (*key == '/')
            put(t, "~1", 2);
        else
            put(t, key, len);
    }
}

static void
put_steps(struct text *t, const struct pointer *at)
{
    char index[24];

    if (!at)
        return;
    put_steps(t, at->up);
    put(t, "/", 1);
    if (at->key) {
        put_key(t, at->key);
    } else {
        snprintf(index, sizeof(index), "%zu", at->index);
        put(t, index, strlen(index));
    }
}

void
pointer_text(const struct pointer *at, char *buf, size_t size)
{
    struct text t = {.data = buf, .size = size};

    buf[0] = '\0';
    put_steps(&t, at);
}
