/* The nameservers that the egress proxy asks, as others on this machine can find them out. */
#ifndef BACKEND_EGRESS_RESOLVERS_H
#define BACKEND_EGRESS_RESOLVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/schema.h"

#define RESOLVERS_FILE "/etc/resolv.conf"

enum { RESOLVERS_MAX = 16, RESOLVER_SIZE = 64 };

struct resolvers {
    char list[RESOLVERS_MAX][RESOLVER_SIZE]; /* as egress.nameservers has them */
    size_t count;
};

/*
 * Those of @configured (egress.nameservers), or, where it is empty, of the file @path in the form
 * of resolv.conf(5); one that cannot be read has none.
 */
struct resolvers resolvers_find(const struct strings *configured, const char *path);

/* Whether @line of resolv.conf(5) names a nameserver, and then its address. */
bool resolvers_line(const char *line, char ret[RESOLVER_SIZE]);

/* Ask each of them for the root's nameservers, three times; whether one says anything before
 * @timeout_ms after each time. */
bool resolvers_answer(const struct resolvers *r, int timeout_ms);

#endif
