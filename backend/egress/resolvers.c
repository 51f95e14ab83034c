/* Nameservers, found and tried: see resolvers.h. */
#include "backend/egress/resolvers.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/util.h>

#include "backend/cleanup.h"
#include "backend/egress/address.h"
#include "backend/id.h"

enum { LINE_SIZE = 512, DNS_PORT = 53, TRIES = 3 };

static void
add(struct resolvers *r, const char *text)
{
    if (r->count < RESOLVERS_MAX && strlen(text) < RESOLVER_SIZE && egress_nameserver_valid(text))
        snprintf(r->list[r->count++], RESOLVER_SIZE, "%s", text);
}

bool
resolvers_line(const char *line, char ret[RESOLVER_SIZE])
{
    static const char keyword[] = "nameserver";
    size_t skip = strlen(keyword), len;

    if (strncmp(line, keyword, skip) != 0 || !line[skip] || !strchr(" \t", line[skip]))
        return false;
    line += skip + strspn(line + skip, " \t");
    len = strcspn(line, " \t\r\n#;");
    if (len == 0 || len >= RESOLVER_SIZE)
        return false;
    memcpy(ret, line, len);
    ret[len] = '\0';
    return true;
}

struct resolvers
resolvers_find(const struct strings *configured, const char *path)
{
    struct resolvers r = {.count = 0};
    _cleanup_(fclosep) FILE *file = NULL;
    char line[LINE_SIZE], address[RESOLVER_SIZE];

    for (size_t i = 0; i < configured->count; i++)
        add(&r, configured->items[i]);
    if (configured->count > 0)
        return r;
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (resolvers_line(line, address))
            add(&r, address);
    return r;
}

/* A datagram socket to it; -1: none can be had. */
static int
reach(const char *text)
{
    struct sockaddr_storage to = {0};
    int len = sizeof(to);
    _cleanup_(closep) int fd = -1;

    if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&to, &len) < 0)
        return -1;
    if (to.ss_family == AF_INET && ((struct sockaddr_in *)&to)->sin_port == 0)
        ((struct sockaddr_in *)&to)->sin_port = htons(DNS_PORT);
    else if (to.ss_family == AF_INET6 && ((struct sockaddr_in6 *)&to)->sin6_port == 0)
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(DNS_PORT);
    fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, (socklen_t)len) < 0)
        return -1;
    return TAKE_FD(fd);
}

/* Wait until one of @polls has received something, or @timeout_ms are over. */
static bool
hear(struct pollfd *polls, size_t count, int timeout_ms)
{
    int64_t until = time_monotonic_ms() + timeout_ms, left = timeout_ms;
    char answer[LINE_SIZE];

    for (; left > 0; left = until - time_monotonic_ms()) {
        if (poll(polls, count, (int)left) <= 0)
            continue;
        for (size_t i = 0; i < count; i++)
            if (polls[i].revents && recv(polls[i].fd, answer, sizeof(answer), 0) > 0)
                return true; /* else it was refused, which the next question may not be */
    }
    return false;
}

bool
resolvers_answer(const struct resolvers *r, int timeout_ms)
{
    /* RFC 1035, 4.1: an id, "recursion desired", one question: NS of the root, class IN. */
    static const unsigned char question[] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
    struct pollfd polls[RESOLVERS_MAX];
    bool heard = false;

    for (size_t i = 0; i < r->count; i++)
        polls[i] = (struct pollfd){.fd = reach(r->list[i]), .events = POLLIN};
    for (int tries = 0; !heard && tries < TRIES; tries++) {
        for (size_t i = 0; i < r->count; i++)
            send(polls[i].fd, question, sizeof(question), MSG_NOSIGNAL);
        heard = hear(polls, r->count, timeout_ms);
    }
    for (size_t i = 0; i < r->count; i++)
        closep(&polls[i].fd);
    return heard;
}
