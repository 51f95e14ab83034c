/*
 * The doors: for each directory egress/ID a listening socket, by which the container ID comes, and
 * what is known and counted of that container. The broker makes and removes the directories.
 */
#ifndef BACKEND_EGRESS_DOORS_H
#define BACKEND_EGRESS_DOORS_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <uthash.h>

#include "backend/egress/proxy.h"
#include "backend/store/records.h"

struct client;

/* Lifetime: the directory's. */
struct door {
    struct proxy *proxy;
    char id[CONTAINER_ID_SIZE];
    int fd;
    struct event knock;
    bool rests;             /* not listened to until there are descriptors again */
    struct container row;   /* as it was last read */
    bool known;             /* there is such a row */
    struct client *clients; /* a utlist */
    size_t count;
    int64_t hour_ms; /* monotonic: when the hour that is counted began */
    uint64_t hour_bytes;
    UT_hash_handle hh;
};

/* Look for the directories in egress/ of the state directory, now and from now on. Errors:
 * ERR_INTERNAL. */
int doors_open(struct proxy *p, struct error *err);

/* Close all, with their connections. */
void doors_close(struct proxy *p);

/* Deadlines, doors that rest, and directories that could not be used yet; every tick. */
void doors_tick(struct proxy *p, int64_t now_ms);

/* Judge every open connection again, by the rows and settings of now. */
void doors_judge(struct proxy *p);

/* Tell the scribe what open connections have carried. */
void doors_count(struct proxy *p);

/*
 * Read the container's row again: whether it may have a connection at all. NULL, or why not
 * (static).
 */
const char *door_refusal(struct door *d);

/* Count @bytes of the container's. False: they are over its limit of this hour. */
bool door_spend(struct door *d, size_t bytes);

#endif
