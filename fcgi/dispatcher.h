/*
 * The dispatcher: one thread that accepts connections, waits for bytes on all of them at once, and
 * gives a thread of a pool only a connection on which there is something to read. So a peer that is
 * silent, and a kept connection between two requests, hold a descriptor and nothing else.
 *
 * There are three lanes, each with its own listening socket and pool, so that executions, which
 * hold their thread for as long as they run, never stand in the way of quick requests, and neither
 * of them in the way of nginx, which asks for each who sends it.
 *
 * A connection is in one of three places: armed in the epoll set (one shot), in a pool's queue, or
 * with a thread. Whoever has it may close it, and nobody else touches it. It needs no memory of its
 * own: its descriptor and lane travel as one number.
 */
#ifndef FCGI_DISPATCHER_H
#define FCGI_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backend/error.h"

enum lane { LANE_CONTROL, LANE_EXECUTION, LANE_AUTHENTICATION, LANE_COUNT };

struct pool;

/* A connection's turn with a thread, for one request. Lifetime: request. */
struct turn {
    int fd;
    enum lane lane;    /* that it came by */
    bool overloaded;   /* answer that, and do nothing else */
    struct pool *pool; /* the dispatcher's own business, as is the next */
    bool ending;
};

/* Lifetime: that of dispatcher_run(). */
struct dispatcher_spec {
    int listeners[LANE_COUNT]; /* non-blocking; borrowed, but no longer listened on after TERM */
    size_t threads[LANE_COUNT];
    const uid_t *peers; /* whose processes may connect */
    size_t peer_count;
    int drain_seconds;                    /* how long TERM waits for what is being served */
    void *context;                        /* handed to the functions below */
    void *(*thread_begin)(void *context); /* makes what a thread keeps; may return NULL */
    void (*thread_end)(void *thread);     /* not called for NULL */
    /*
     * Serve one request, calling turn_ending() before the last bytes of its answer are sent.
     * Returns whether the connection is kept; if not, it was closed.
     */
    bool (*serve)(void *context, void *thread, struct turn *turn);
    void (*reload)(void *context); /* on HUP, in the dispatcher's thread */
};

/* The answer is about to be complete: the thread is as good as free for a request that follows it.
 */
void turn_ending(struct turn *turn);

/*
 * Serve until TERM. What is being served then is answered first, for at most drain_seconds. Kept
 * connections are not closed under nginx's feet meanwhile (a request on its way would become a
 * 502), but after their next answer. Returns 0 when all was answered, 1 if time ran out; then
 * threads are still at work, and the process has to _exit(). Errors: ERR_INTERNAL if it cannot
 * begin.
 */
int dispatcher_run(const struct dispatcher_spec *spec, struct error *err);

#endif
