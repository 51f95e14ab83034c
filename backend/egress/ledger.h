/*
 * What containers reached for, on its way to the audit log. The first attempt for a host, port and
 * rule is written at once; those that follow in the same minute are counted, and written together
 * when it is over, with the bytes that went over its connections. So a loop costs two entries a
 * minute, and a loop over names is held to LEDGER_HOSTS_MAX a container, after which the host is
 * "*". What is not written yet is lost with the process.
 */
#ifndef BACKEND_EGRESS_LEDGER_H
#define BACKEND_EGRESS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/error.h"
#include "backend/store/records.h"
#include "backend/store/store.h"

enum {
    LEDGER_HOSTS_MAX = 100,   /* of a container in a minute: hosts, ports and rules */
    LEDGER_LINES_MAX = 10000, /* of all containers; over it, each has but its "*" */
    LEDGER_WINDOW_MS = 60000
};

struct ledger;

/* One attempt to reach a host. */
struct ledger_attempt {
    const struct container *container;
    const char *host; /* in its one spelling; what could not be read as one, cut and escaped */
    unsigned port;    /* 0: unknown */
    bool allowed;
    const char *rule; /* what decided, or what went wrong */
};

/* An empty one. NULL on ENOMEM. */
struct ledger *ledger_new(void);

/* Free it; what was not written is lost: flush it with @now_ms INT64_MAX before. */
void ledger_free(struct ledger *l);

/*
 * Note an attempt at @now_ms (since the epoch). Writes an entry of kind `network` to @store if it
 * is the first of its sort in this minute: owner, agent, session, tier, template and container are
 * the container's, command is "host:port", status completed or refused, details {"host","port",
 * "allowed","rule","attempts","bytes_sent","bytes_received"}. Errors: ERR_INTERNAL; the attempt is
 * then counted for later.
 */
int ledger_note(struct ledger *l, struct store *store, const struct ledger_attempt *a,
                int64_t now_ms, struct error *err);

/*
 * Add the bytes that an allowed connection of @container to @host has carried since it was last
 * told of. They go to the minute in which ledger_note() or ledger_flush() was last called; an entry
 * of nothing but them has no attempts.
 */
void ledger_carried(struct ledger *l, const struct container *container, const char *host,
                    unsigned port, uint64_t sent, uint64_t received);

/* Write the counts of minutes that are over; INT64_MAX: of all. Call it every few seconds. Errors:
 * ERR_INTERNAL; what could not be written is kept for the next time. */
int ledger_flush(struct ledger *l, struct store *store, int64_t now_ms, struct error *err);

#endif
