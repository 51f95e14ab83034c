/* One connection as the two files that serve it see it: client.c up to its host, passage.c from
 * there on. */
#ifndef BACKEND_EGRESS_PASSAGE_H
#define BACKEND_EGRESS_PASSAGE_H

#include <event2/event_struct.h>

#include "backend/buf.h"
#include "backend/egress/client.h"
#include "backend/egress/dial.h"
#include "backend/egress/head.h"
#include "backend/egress/plain.h"
#include "backend/egress/relay.h"

enum client_state { CLIENT_HEAD, CLIENT_DIAL, CLIENT_HELLO, CLIENT_RELAY, CLIENT_LINGER };

/* Lifetime: the connection's. */
struct client {
    struct client *prev, *next; /* of the door's */
    struct door *door;
    enum client_state state;
    int64_t until_ms; /* monotonic: when the state has to be over */
    int64_t idle_ms;  /* the longest time without a byte */
    int fd, upstream;
    struct event readable; /* of the client's socket, until the relay takes over */
    struct buf first;      /* bytes of the client's that are still to be judged */
    char host[EGRESS_NAME_SIZE];
    unsigned port;
    bool literal, tunnel;
    bool plain_tunnel;           /* it carries something other than TLS */
    bool noted;                  /* the scribe knows */
    char rule[EGRESS_RULE_SIZE]; /* that lets it through */
    struct dial dial;
    struct relay relay;
    struct plain plain;
    uint64_t sent, received;                 /* to and from the host */
    uint64_t counted_sent, counted_received; /* of that, what the scribe knows */
};

/* Tell the scribe what became of the attempt. */
void client_note(struct client *c, bool allowed, const char *rule);

/* Answer with @status and why, and see to it that the client can read it; nothing more passes. */
void client_answer(struct client *c, int status, const char *rule);

/* Nothing more is to come for the client: wait until it has read what came. */
void client_linger(struct client *c);

/* Note a refusal of what has a tunnel already, and close it: it is too late for an answer. */
void client_cut(struct client *c, const char *rule);

/* The host is reached: let the request or the tunnel begin. The client may be freed in it. */
void passage_begin(struct client *c, const struct settings *s);

/* Judge what the tunnel's client has sent first, and let it through, or wait for more, or cut it.
 * The client may be freed in it. */
void passage_judge(struct client *c);

#endif
