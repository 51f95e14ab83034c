/*
 * Telling the service manager how the service is: sd_notify(3), by datagrams to the socket that
 * NOTIFY_SOCKET names. Whoever started us without one is told nothing.
 */
#ifndef FCGI_NOTIFY_H
#define FCGI_NOTIFY_H

#include <stdint.h>

struct notify {
    int fd;               /* connected; -1: nobody is told */
    int64_t watchdog_ms;  /* how often we have to say that we live; 0: we do not */
    int64_t next_beat_ms; /* monotonic: when that is due */
};

/* Nobody is told. */
#define NOTIFY_NONE ((struct notify){.fd = -1})

/* Look at the environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Before there are threads.
 * What cannot be reached is as if it was not named. */
void notify_open(struct notify *n);

/* Tell @state: lines such as "READY=1\nSTATUS=...". Never waits. */
void notify_tell(const struct notify *n, const char *state);

/* Say that we live, if that is due. Returns the milliseconds until it is due again; -1: never. */
int64_t notify_beat(struct notify *n);

/* In a child, and at the end: the socket is the manager's alone. */
void notify_close(struct notify *n);

#endif
