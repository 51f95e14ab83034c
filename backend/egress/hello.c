/* The server name of a ClientHello: see hello.h. It is read anew each time that more has come. */
#include "backend/egress/hello.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    RECORD_HEADER = 5,
    RECORD_MAX = 16384, /* bytes of one (RFC 8446, 5.1) */
    RECORD_HANDSHAKE = 22,
    MESSAGE_HEADER = 4,
    MESSAGE_CLIENT_HELLO = 1,
    RANDOM_LEN = 32,
    SESSION_ID_MAX = 32,
    EXTENSION_SERVER_NAME = 0,
    NAME_TYPE_HOST = 0,
};

/* What is left to read. */
struct bytes {
    const uint8_t *at;
    size_t left;
};

/* Take the next @count bytes off @b. */
static bool
take(struct bytes *b, size_t count, struct bytes *ret)
{
    if (b->left < count)
        return false;
    *ret = (struct bytes){.at = b->at, .left = count};
    b->at += count;
    b->left -= count;
    return true;
}

/* Take a number of @size bytes off @b, the most significant first. */
static bool
take_number(struct bytes *b, size_t size, size_t *ret)
{
    struct bytes digits;

    if (!take(b, size, &digits))
        return false;
    *ret = 0;
    for (size_t i = 0; i < size; i++)
        *ret = *ret << 8 | digits.at[i];
    return true;
}

/* Take off @b what has its length in the @size bytes before it. */
static bool
take_vector(struct bytes *b, size_t size, struct bytes *ret)
{
    size_t len;

    return take_number(b, size, &len) && take(b, len, ret);
}

/* Whether @major.@minor is a version that a TLS client may put at its start, for old servers' sake
 * an older one. */
static bool
is_version(size_t version, size_t newest)
{
    return version >= 0x0301 && version <= newest;
}

/*
 * Join the records at the start of @b into @message, which has room for all of @b. Returns NAMED
 * once they are one whole ClientHello, and nothing else.
 */
static enum egress_hello
join_records(struct bytes b, uint8_t *message, size_t *ret_len)
{
    size_t have = 0, need = MESSAGE_HEADER;

    while (have < need) {
        size_t type, version, len, here;

        if (b.left > 0 && b.at[0] != RECORD_HANDSHAKE)
            return EGRESS_HELLO_BAD;
        if (b.left > 1 && b.at[1] != 3)
            return EGRESS_HELLO_BAD;
        if (!take_number(&b, 1, &type) || !take_number(&b, 2, &version) ||
            !take_number(&b, 2, &len))
            return EGRESS_HELLO_MORE;
        if (!is_version(version, 0x0304) || len == 0 || len > RECORD_MAX)
            return EGRESS_HELLO_BAD;
        here = len < b.left ? len : b.left;
        memcpy(message + have, b.at, here);
        if (have + here > 0 && message[0] != MESSAGE_CLIENT_HELLO)
            return EGRESS_HELLO_BAD;
        if (have + here >= MESSAGE_HEADER)
            need = MESSAGE_HEADER +
                   ((size_t)message[1] << 16 | (size_t)message[2] << 8 | (size_t)message[3]);
        /* Before it has an answer a client has nothing to add to the message in its record. */
        if (need > EGRESS_HELLO_MAX || (have + here >= MESSAGE_HEADER && have + len > need))
            return EGRESS_HELLO_BAD;
        if (here < len)
            return EGRESS_HELLO_MORE;
        have += here;
        b.at += here;
        b.left -= here;
    }
    *ret_len = have;
    return EGRESS_HELLO_NAMED;
}

/* The one host name in the @body of a server_name extension (RFC 6066, 3). */
static enum egress_hello
read_server_name(struct bytes body, char name[EGRESS_NAME_SIZE])
{
    struct bytes list, host;
    char text[EGRESS_NAME_SIZE + 1] = ""; /* one byte more, for a dot at its end */
    size_t type;

    if (!take_vector(&body, 2, &list) || body.left > 0)
        return EGRESS_HELLO_BAD;
    if (!take_number(&list, 1, &type) || type != NAME_TYPE_HOST || !take_vector(&list, 2, &host) ||
        list.left > 0)
        return EGRESS_HELLO_BAD;
    if (host.left == 0 || host.left >= sizeof(text))
        return EGRESS_HELLO_BAD;
    for (size_t i = 0; i < host.left; i++)
        if (host.at[i] == '\0' || host.at[i] >= 0x80) /* A-labels, or it is no server name */
            return EGRESS_HELLO_BAD;
    memcpy(text, host.at, host.left);
    return egress_name(text, name) == 0 ? EGRESS_HELLO_NAMED : EGRESS_HELLO_BAD;
}

static enum egress_hello
read_extensions(struct bytes extensions, char name[EGRESS_NAME_SIZE])
{
    enum egress_hello found = EGRESS_HELLO_UNNAMED;
    struct bytes body;
    size_t type;

    while (extensions.left > 0) {
        if (!take_number(&extensions, 2, &type) || !take_vector(&extensions, 2, &body))
            return EGRESS_HELLO_BAD;
        if (type != EXTENSION_SERVER_NAME)
            continue;
        if (found != EGRESS_HELLO_UNNAMED)
            return EGRESS_HELLO_BAD;
        found = read_server_name(body, name);
        if (found == EGRESS_HELLO_BAD)
            return found;
    }
    return found;
}

/* A whole ClientHello, without the header of its message. */
static enum egress_hello
read_client_hello(struct bytes b, char name[EGRESS_NAME_SIZE])
{
    struct bytes random, session, ciphers, compressions, extensions;
    size_t version;

    if (!take_number(&b, 2, &version) || !is_version(version, 0x0303) ||
        !take(&b, RANDOM_LEN, &random))
        return EGRESS_HELLO_BAD;
    if (!take_vector(&b, 1, &session) || session.left > SESSION_ID_MAX)
        return EGRESS_HELLO_BAD;
    if (!take_vector(&b, 2, &ciphers) || ciphers.left == 0 || ciphers.left % 2 != 0)
        return EGRESS_HELLO_BAD;
    if (!take_vector(&b, 1, &compressions) || compressions.left == 0)
        return EGRESS_HELLO_BAD;
    if (b.left == 0) /* TLS 1.2 and before may have none */
        return EGRESS_HELLO_UNNAMED;
    if (!take_vector(&b, 2, &extensions) || b.left > 0)
        return EGRESS_HELLO_BAD;
    return read_extensions(extensions, name);
}

enum egress_hello
egress_hello_read(const void *data, size_t len, char name[EGRESS_NAME_SIZE])
{
    struct bytes b = {.at = data, .left = len < EGRESS_HELLO_MAX ? len : EGRESS_HELLO_MAX};
    char found[EGRESS_NAME_SIZE] = "";
    uint8_t message[EGRESS_HELLO_MAX];
    enum egress_hello is;
    size_t message_len = 0;

    is = join_records(b, message, &message_len);
    if (is == EGRESS_HELLO_MORE && len >= EGRESS_HELLO_MAX)
        return EGRESS_HELLO_BAD;
    if (is != EGRESS_HELLO_NAMED)
        return is;
    b = (struct bytes){.at = message + MESSAGE_HEADER, .left = message_len - MESSAGE_HEADER};
    is = read_client_hello(b, found);
    if (is == EGRESS_HELLO_NAMED)
        memcpy(name, found, strlen(found) + 1);
    return is;
}
