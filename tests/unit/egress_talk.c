/* What clients, servers and nameservers say in the egress proxy's world: see egress_world.h. */
#include "tests/unit/egress_world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { REQUEST_SIZE = 32768, DNS_HEADER_SIZE = 12 };

void
say_bytes(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

void
say(int fd, const char *format, ...)
{
    static char text[REQUEST_SIZE];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    say_bytes(fd, text, strlen(text));
}

/* Read one more piece. False: that was the end. */
static bool
hear_more(struct egress_world *w, int fd, size_t *len)
{
    ssize_t n = recv(fd, w->heard + *len, WORLD_SIZE - 1 - *len, 0);

    if (n < 0 && errno != ECONNRESET)
        fail_msg("heard nothing after '%s': %s", w->heard, strerror(errno));
    if (n <= 0)
        return false;
    *len += (size_t)n;
    w->heard[*len] = '\0';
    return true;
}

const char *
hear(struct egress_world *w, int fd)
{
    size_t len = 0;

    w->heard[0] = '\0';
    while (hear_more(w, fd, &len))
        assert_true(len < WORLD_SIZE - 1);
    return w->heard;
}

const char *
hear_until(struct egress_world *w, int fd, const char *tail)
{
    size_t len = 0, tail_len = strlen(tail);

    w->heard[0] = '\0';
    while (len < tail_len || strcmp(w->heard + len - tail_len, tail) != 0)
        if (!hear_more(w, fd, &len))
            fail_msg("the end came after '%s'", w->heard);
    return w->heard;
}

int
serve(int listener)
{
    const struct timeval patience = {.tv_sec = WORLD_PATIENCE_SECONDS};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

bool
ends(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

const char *
ask(struct egress_world *w, const char *id, const char *format, ...)
{
    static char text[REQUEST_SIZE];
    int fd = world_come(w, id);
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    say_bytes(fd, text, strlen(text));
    hear(w, fd);
    close(fd);
    return w->heard;
}

void
assert_refused(const struct egress_world *w, int status, const char *rule)
{
    char line[64], header[512];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    snprintf(header, sizeof(header), "\r\nX-Sandbox-Rule: %s\r\n", rule);
    if (strncmp(w->heard, line, strlen(line)) != 0 || !strstr(w->heard, header))
        fail_msg("expected %s and %s, not '%s'", line, header, w->heard);
}

int
world_tunnel(struct egress_world *w, const char *id, int *ret_server)
{
    int fd = world_come(w, id);

    say(fd, "CONNECT allowed.test:%u HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", w->tls_port,
        w->tls_port);
    assert_string_equal(hear_until(w, fd, "\r\n\r\n"),
                        "HTTP/1.1 200 Connection established\r\n\r\n");
    *ret_server = serve(w->tls);
    return fd;
}

int
world_open(struct egress_world *w, const char *id, int *ret_server)
{
    unsigned char hello[1024], heard[1024];
    size_t len = client_hello("allowed.test", hello);
    int fd = world_tunnel(w, id, ret_server);

    say_bytes(fd, hello, len);
    assert_int_equal(recv(*ret_server, heard, len, MSG_WAITALL), len);
    assert_memory_equal(heard, hello, len);
    return fd;
}

static unsigned char *
put16(unsigned char *at, size_t n)
{
    at[0] = (unsigned char)(n >> 8);
    at[1] = (unsigned char)n;
    return at + 2;
}

/* RFC 8446, 4.1.2, with the extensions server_name (RFC 6066, 3) and supported_versions. */
size_t
client_hello(const char *name, unsigned char *out)
{
    static const unsigned char start[] = {0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
    static const unsigned char suites[] = {0, 0, 2, 0x13, 1, 1, 0};
    static const unsigned char versions[] = {0, 43, 0, 3, 2, 3, 4};
    size_t name_len = name ? strlen(name) : 0, len;
    unsigned char *at = out, *extensions;

    memcpy(at, start, sizeof(start));
    at += sizeof(start);
    memset(at, 7, 32); /* its random */
    at += 32;
    memcpy(at, suites, sizeof(suites)); /* with an empty session id before them */
    at += sizeof(suites);
    extensions = at;
    at += 2;
    if (name) {
        at = put16(at, 0);
        at = put16(at, name_len + 5);
        at = put16(at, name_len + 3);
        *at++ = 0;
        at = put16(at, name_len);
        memcpy(at, name, name_len);
        at += name_len;
    }
    memcpy(at, versions, sizeof(versions));
    at += sizeof(versions);
    put16(extensions, (size_t)(at - extensions) - 2);
    len = (size_t)(at - out);
    put16(out + 3, len - 5);
    put16(out + 7, len - 9);
    return len;
}

bool
world_answer_dns(struct egress_world *w, const char *ipv4)
{
    static const unsigned char head[] = {0xc0, DNS_HEADER_SIZE, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4};
    unsigned char message[512];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(w->rebinding, message, 400, 0, (struct sockaddr *)&from, &from_len);
    size_t end = DNS_HEADER_SIZE;
    bool wants_a;

    assert_true(n > DNS_HEADER_SIZE);
    while (end < (size_t)n && message[end])
        end += message[end] + 1U;
    end += 5; /* the root, the type, the class */
    assert_true(end <= (size_t)n);
    wants_a = message[end - 3] == 1;
    message[2] = 0x84; /* an answer, by who knows (RFC 1035, 4.1.1) */
    message[3] = 0;
    memset(message + 6, 0, 6);
    if (wants_a) {
        message[7] = 1;
        memcpy(message + end, head, sizeof(head));
        inet_pton(AF_INET, ipv4, message + end + sizeof(head));
        end += sizeof(head) + 4;
    }
    sendto(w->rebinding, message, end, 0, (struct sockaddr *)&from, from_len);
    return wants_a;
}

size_t
proxy_descriptors(const struct egress_world *w)
{
    char path[64];
    size_t count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)w->proxy);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        count++;
    closedir(dir);
    return count;
}

long
proxy_private_kib(const struct egress_world *w)
{
    char path[64], line[256];
    long sum = 0, kib;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)w->proxy);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "Private_%*[A-Za-z]: %ld", &kib) == 1)
            sum += kib;
    fclose(f);
    return sum;
}
