/*
 * Reaching a host: its name is resolved once, every address is judged, and what was judged is what
 * is connected to; nothing resolves the name again.
 */
#ifndef BACKEND_EGRESS_DIAL_H
#define BACKEND_EGRESS_DIAL_H

#include "backend/egress/proxy.h"

enum { DIAL_ADDRESSES_MAX = 16 };

enum dial_end {
    DIAL_CONNECTED, /* dial.fd is the connection, the taker's */
    DIAL_REFUSED,   /* no address of the host may be reached: dial.why names the rule */
    DIAL_FAILED,    /* it does not resolve, or does not answer: dial.why */
    DIAL_TIMED_OUT  /* the nameserver or the host took too long: dial.why */
};

struct lookup;

/* Lifetime: from dial_start() until its end is told, or dial_cancel(). Zeroed before. */
struct dial {
    struct proxy *proxy;
    enum network network;
    unsigned port;
    int64_t until_ms;          /* monotonic: when it has to be over */
    struct lookup *lookups[2]; /* under way: for IPv4 and IPv6 */
    int64_t answered_ms;       /* when the first had addresses; 0: not yet */
    struct egress_address addresses[DIAL_ADDRESSES_MAX];
    size_t count, next;
    size_t tried; /* addresses that did not answer */
    int fd;
    struct event *event;        /* of the attempt under way */
    char why[EGRESS_RULE_SIZE]; /* of the first failure */
    bool timed_out;
    void (*done)(void *arg, enum dial_end end);
    void *arg;
};

/*
 * Reach @host (a name in its one spelling) or, if not NULL, @literal, on d->port by d->until_ms;
 * d->proxy, network, port, until_ms, done and arg are set. d->done is called once, perhaps before
 * this returns.
 */
void dial_start(struct dial *d, const char *host, const struct egress_address *literal);

/* Let what is slow wait no longer than it is worth; call it every tick. */
void dial_tick(struct dial *d, int64_t now_ms);

/* End it without a word. Fine at any time, also before its start and after its end. */
void dial_cancel(struct dial *d);

/* The address that the connection goes to. */
const struct egress_address *dial_address(const struct dial *d);

/* Use the nameservers of @s, or of /etc/resolv.conf; with @again also if they are the same. */
void dial_nameservers(struct proxy *p, const struct settings *s, bool again);

#endif
