/* The nameservers that containers with a network ask. */
#ifndef BACKEND_BROKER_NAMESERVERS_H
#define BACKEND_BROKER_NAMESERVERS_H

#include <stdbool.h>
#include <netinet/in.h>

#include "backend/error.h"
#include "backend/schema.h"

/* Asked where there is no nameserver: reserved (RFC 1112, 4), so nobody's address. */
#define NAMESERVERS_NOBODY "240.0.0.1"

enum { NAMESERVERS_MAX = 3 }; /* as many as resolvers look at */

struct nameservers {
    struct in_addr list[NAMESERVERS_MAX];
    size_t count;
};

/*
 * Those of @configured (egress.nameservers), or, where it is empty, of the file @path in the form
 * of resolv.conf(5): IPv4 addresses that are not the loopback's or 0.0.0.0, on port 53. The
 * loopback's would be the container's own; those on other ports cannot be named in a container. A
 * file that cannot be read has none.
 */
struct nameservers nameservers_find(const struct strings *configured, const char *path);

/*
 * Write them to the file @path as resolv.conf(5) has it; where there are none, one that nobody is.
 * It is overwritten in place, for containers have it mounted. Errors: ERR_INTERNAL.
 */
int nameservers_write(const struct nameservers *n, const char *path, struct error *err);

/* Whether both are the same, in the same order. */
bool nameservers_same(const struct nameservers *a, const struct nameservers *b);

#endif
