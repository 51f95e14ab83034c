/* Reading nameservers out of settings and resolv.conf: see nameservers.h. */
#include "backend/broker/nameservers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/cleanup.h"
#include "backend/egress/resolvers.h"

enum { LINE_SIZE = 512 };

/* Take over @text, "ADDRESS" or "ADDRESS:53", if it is one that a container can ask. */
static void
add(struct nameservers *n, const char *text)
{
    char literal[INET_ADDRSTRLEN];
    size_t len = strcspn(text, ":");
    struct in_addr address;

    if (n->count == NAMESERVERS_MAX || len >= sizeof(literal) ||
        (text[len] && strcmp(text + len, ":53") != 0))
        return;
    memcpy(literal, text, len);
    literal[len] = '\0';
    if (inet_pton(AF_INET, literal, &address) != 1 || address.s_addr == INADDR_ANY ||
        ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET)
        return;
    n->list[n->count++] = address;
}

struct nameservers
nameservers_find(const struct strings *configured, const char *path)
{
    struct nameservers n = {0};
    _cleanup_(fclosep) FILE *file = NULL;
    char line[LINE_SIZE], address[RESOLVER_SIZE];

    for (size_t i = 0; i < configured->count; i++)
        add(&n, configured->items[i]);
    if (configured->count > 0)
        return n;
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (resolvers_line(line, address) && !strchr(address, ':'))
            add(&n, address);
    return n;
}

int
nameservers_write(const struct nameservers *n, const char *path, struct error *err)
{
    char text[NAMESERVERS_MAX * LINE_SIZE] = "nameserver " NAMESERVERS_NOBODY "\n";
    char address[INET_ADDRSTRLEN];
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    size_t len = 0;

    if (fd < 0)
        return error_errno(err, errno, path);
    for (size_t i = 0; i < n->count; i++) {
        inet_ntop(AF_INET, &n->list[i], address, sizeof(address));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n", address);
    }
    len = strlen(text);
    if (fchmod(fd, 0644) < 0 || pwrite(fd, text, len, 0) != (ssize_t)len ||
        ftruncate(fd, (off_t)len) < 0)
        return error_errno(err, errno, path);
    return 0;
}

bool
nameservers_same(const struct nameservers *a, const struct nameservers *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (a->list[i].s_addr != b->list[i].s_addr)
            return false;
    return a->count == b->count;
}
