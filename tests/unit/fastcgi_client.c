/* nginx, as the tests play it: see fastcgi_client.h. */
#include "tests/test.h"

#include "tests/unit/fastcgi_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/cleanup.h"

enum { BEGIN = 1, END = 3, STDOUT = 6 };

int
dial(enum lane lane)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.paths[lane]);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

static void
put_record(struct buf *b, int type, const void *content, size_t len, size_t padding)
{
    const unsigned char header[8] = {
        1,
        (unsigned char)type,
        0,
        1,
        (unsigned char)(len >> 8),
        (unsigned char)len,
        (unsigned char)padding,
        0,
    };
    static const char zeros[256];

    assert_int_equal(buf_append(b, header, sizeof(header)), 0);
    assert_int_equal(buf_append(b, content, len), 0);
    assert_int_equal(buf_append(b, zeros, padding), 0);
}

void
put_begin(struct buf *b, bool keep)
{
    const unsigned char body[8] = {0, 1, keep, 0, 0, 0, 0, 0};

    put_record(b, BEGIN, body, sizeof(body), 0);
}

static void
put_length(struct buf *b, size_t len, bool long_form)
{
    const unsigned char bytes[4] = {
        (unsigned char)(0x80 | len >> 24),
        (unsigned char)(len >> 16),
        (unsigned char)(len >> 8),
        (unsigned char)len,
    };

    if (len >= 128 || long_form)
        assert_int_equal(buf_append(b, bytes, 4), 0);
    else
        assert_int_equal(buf_append(b, bytes + 3, 1), 0);
}

void
put_param(struct buf *b, const char *name, const char *value, bool long_form)
{
    put_length(b, strlen(name), long_form);
    put_length(b, strlen(value), long_form);
    assert_int_equal(buf_append(b, name, strlen(name)), 0);
    assert_int_equal(buf_append(b, value, strlen(value)), 0);
}

/* A stream of records of at most @chunk bytes, and its end. */
void
put_stream(struct buf *b, int type, const char *data, size_t len, size_t chunk)
{
    for (size_t at = 0; at < len; at += chunk)
        put_record(b, type, data + at, len - at < chunk ? len - at : chunk, at % 7);
    put_record(b, type, "", 0, 0);
}

void
put_params(struct buf *b, const struct ask *a, size_t body_len, bool long_form)
{
    char length[24];

    snprintf(length, sizeof(length), "%zu", body_len);
    put_param(b, "REQUEST_METHOD", a->method ? a->method : "GET", long_form);
    put_param(b, "DOCUMENT_URI", a->uri ? a->uri : "/api/sandbox/echo/x", long_form);
    put_param(b, "CONTENT_LENGTH", a->length ? a->length : body_len > 0 ? length : "", long_form);
    if (a->type)
        put_param(b, "CONTENT_TYPE", a->type, long_form);
    if (a->user)
        put_param(b, "REMOTE_USER", a->user, long_form);
    if (a->second_user)
        put_param(b, "REMOTE_USER", a->second_user, long_form);
}

void
put_request(struct buf *b, const struct ask *a)
{
    size_t body_len = a->body_len ? a->body_len : a->body ? strlen(a->body) : 0;
    _cleanup_(buf_done) struct buf params;

    buf_init(&params, 1 << 16);
    put_params(&params, a, body_len, false);
    put_begin(b, !a->once);
    put_stream(b, PARAMS, params.data, params.len, 32768);
    put_stream(b, STDIN, a->body, body_len, 32768);
}

/* Whether all of @b could be sent; a server may close before it has read everything. */
bool
send_all(int fd, const struct buf *b)
{
    size_t at = 0;

    while (at < b->len) {
        ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);

        if (n < 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static bool
receive(int fd, void *to, size_t len)
{
    return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* Read one answer's stdout. False if the connection ended before it did. */
bool
read_answer(int fd, struct buf *out)
{
    unsigned char h[8];
    char content[65536 + 256];

    buf_clear(out);
    while (receive(fd, h, sizeof(h))) {
        size_t len = (size_t)h[4] << 8 | h[5];

        if (!receive(fd, content, len + h[6]))
            return false;
        if (h[1] == STDOUT)
            assert_int_equal(buf_append(out, content, len), 0);
        if (h[1] == END)
            return true;
    }
    return false;
}

bool
exchange(int fd, const struct ask *a, struct buf *out)
{
    _cleanup_(buf_done) struct buf b;

    buf_init(&b, 64U << 20);
    put_request(&b, a);
    send_all(fd, &b);
    return read_answer(fd, out);
}

void
assert_answer(const struct buf *out, const char *head, const char *part)
{
    if (!out->data || strncmp(out->data, head, strlen(head)) != 0 || !strstr(out->data, part))
        fail_msg("wanted '%s' … '%s', got '%.400s'", head, part, out->data ? out->data : "");
}

/* The worker answers on a new connection of @lane. */
void
assert_alive(enum lane lane)
{
    const struct ask ask = {.user = "ada", .once = true};
    _cleanup_(closep) int fd = dial(lane);
    _cleanup_(buf_done) struct buf out;

    buf_init(&out, ANSWER_MAX);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\r\n\r\n{\"user\":\"ada\",\"path\":\"/echo/x\"}");
}

void
assert_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

/* The worker closes without an answer; it may still say that the request is over. */
void
assert_dropped(int fd)
{
    char bytes[4096];
    ssize_t n, len = 0;

    while ((n = recv(fd, bytes + len, sizeof(bytes) - (size_t)len, 0)) > 0)
        len += n;
    assert_true(n == 0 || errno == ECONNRESET);
    assert_null(memmem(bytes, (size_t)len, "Status:", 7));
}
