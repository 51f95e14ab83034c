/* ClientHellos put together piece by piece, right and wrong, for the tests of what reads them. */
#ifndef TESTS_UNIT_HELLO_CASE_H
#define TESTS_UNIT_HELLO_CASE_H

#include "tests/test.h"

#include <string.h>

#include "backend/egress/hello.h"

enum { TEXT_MAX = 4 * EGRESS_HELLO_MAX };

/* Bytes that are being put together. */
struct text {
    uint8_t bytes[TEXT_MAX];
    size_t len;
};

static inline void
put(struct text *t, const void *bytes, size_t len)
{
    assert_true(t->len + len <= sizeof(t->bytes));
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static inline void
put_number(struct text *t, size_t size, size_t number)
{
    for (size_t i = size; i-- > 0;)
        put(t, &(uint8_t){(uint8_t)(number >> (8 * i))}, 1);
}

/* @body after its length in @size bytes. */
static inline void
put_vector(struct text *t, size_t size, const void *body, size_t len)
{
    put_number(t, size, len);
    put(t, body, len);
}

/* An extension of @type. */
static inline void
put_extension(struct text *t, size_t type, const struct text *body)
{
    put_number(t, 2, type);
    put_vector(t, 2, body->bytes, body->len);
}

/* A server_name extension with one name of @type. */
static inline void
put_server_name(struct text *t, unsigned type, const char *name, size_t len)
{
    struct text list = {0}, body = {0};

    put_number(&list, 1, type);
    put_vector(&list, 2, name, len);
    put_vector(&body, 2, list.bytes, list.len);
    put_extension(t, 0, &body);
}

/* The message of a ClientHello with these @extensions (NULL: not even a length of them). */
static inline void
put_message(struct text *t, const struct text *extensions)
{
    static const uint8_t random[32] = {1, 2, 3}, ciphers[] = {0x13, 0x01, 0xc0, 0x2f};
    struct text body = {0};

    put_number(&body, 2, 0x0303);
    put(&body, random, sizeof(random));
    put_vector(&body, 1, random, 32);
    put_vector(&body, 2, ciphers, sizeof(ciphers));
    put_vector(&body, 1, "", 1);
    if (extensions)
        put_vector(&body, 2, extensions->bytes, extensions->len);
    put_number(t, 1, 1);
    put_vector(t, 3, body.bytes, body.len);
}

/* @message in records of at most @size bytes. */
static inline void
put_records(struct text *t, const struct text *message, size_t size)
{
    for (size_t from = 0; from < message->len; from += size) {
        size_t len = message->len - from < size ? message->len - from : size;

        put_number(t, 1, 22);
        put_number(t, 2, 0x0301);
        put_vector(t, 2, message->bytes + from, len);
    }
}

#endif
