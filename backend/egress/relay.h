/*
 * Carrying bytes both ways between two sockets. What is read is written at once; what a slow reader
 * does not take is kept, at most PROXY_SCRATCH_SIZE bytes, and until it is gone nothing more is
 * read from the other side. So an idle relay holds no buffer, and a slow one a constant.
 */
#ifndef BACKEND_EGRESS_RELAY_H
#define BACKEND_EGRESS_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

enum relay_step {
    RELAY_GO,   /* the bytes pass */
    RELAY_LAST, /* they pass, and nothing after them */
    RELAY_END   /* they do not pass: the relay ends */
};

struct relay;

/* One of the two ways. */
struct flow {
    struct relay *relay;
    int from, to; /* borrowed */
    struct event readable, writable;
    char *held; /* owned: read, not yet written; NULL: none */
    size_t held_len, held_at;
    bool begun;
    bool ended;    /* nothing more is read */
    bool closes;   /* its end is told to the other side, once all is written */
    bool finished; /* its end was reached, and all is written */
    /*
     * Looks at *@len bytes at *@data before they pass, and may put others in their place (in memory
     * of its own, valid until the next call). NULL: all pass.
     */
    enum relay_step (*filter)(void *arg, const char **data, size_t *len);
    void *filter_arg;
};

/* Lifetime: its owner's. Zeroed before relay_init(). */
struct relay {
    struct flow up, down; /* from and to the client */
    bool one_shot;        /* it is over when `down` is */
    bool over;
    char *scratch; /* borrowed, PROXY_SCRATCH_SIZE bytes */
    /* @len bytes were read on the way @f. False: the relay ends. */
    bool (*passed)(void *arg, const struct flow *f, size_t len);
    void (*done)(void *arg); /* it is over; the relay may be freed in it */
    void *arg;
};

/* Prepare both ways between @client and @upstream (borrowed, non-blocking); neither is begun. */
void relay_init(struct relay *r, struct event_base *base, int client, int upstream);

/*
 * Let the way @f begin, first with the @len bytes @data, which no filter sees; they are all that
 * passes if @step is RELAY_LAST. The relay may be over, and freed, when this returns.
 */
void relay_begin(struct flow *f, const char *data, size_t len, enum relay_step step);

/* Stop, and free what is held. Fine at any time, also before relay_init(). */
void relay_stop(struct relay *r);

#endif
