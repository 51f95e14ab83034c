/* What the parts of the egress process share: its state, and the time of one turn of the loop. */
#ifndef BACKEND_EGRESS_PROXY_H
#define BACKEND_EGRESS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "backend/backend.h"
#include "backend/egress/verdict.h"

enum {
    PROXY_TICK_MS = 200,          /* how often deadlines and the settings are looked at */
    PROXY_SCRATCH_SIZE = 32768,   /* bytes that one read takes, and that a slow reader is owed */
    PROXY_RESERVED_FDS = 64,      /* for the store, DNS, the log and the loop */
    PROXY_HEAD_TIMEOUT_MS = 10000 /* for a request's head */
};

struct doors;
struct scribe;
struct store;

/* Lifetime: process. */
struct proxy {
    struct backend *backend;
    struct event_base *base;
    struct evdns_base *dns;
    struct scribe *scribe;
    struct doors *doors;
    char *nameservers;                /* owned: those in use, joined; NULL: not yet set */
    size_t connections;               /* that clients have */
    size_t descriptors_max;           /* of the process */
    unsigned generation;              /* of the settings by which all connections were judged */
    uint64_t hour_bytes_max;          /* of one container; 0: no limit */
    bool settings_failing;            /* they could not be read when last looked at */
    bool store_failing;               /* likewise */
    uint64_t store_device;            /* of the database file that is open */
    uint64_t store_inode;             /* 0: not yet opened */
    char scratch[PROXY_SCRATCH_SIZE]; /* of whoever reads, until it returns */
};

/*
 * The settings in force, borrowed until the next call, or NULL if they cannot be read: then nothing
 * is let through.
 */
const struct settings *proxy_settings(struct proxy *p);

/* The store, as long as its file is the one that was opened; NULL: nothing is let through. */
struct store *proxy_store(struct proxy *p);

#endif
