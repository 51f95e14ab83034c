/*
 * A pool of threads that grows when work comes and nobody is free, up to a limit, and shrinks
 * again. The thread that became free last gets the next item, so that few threads stay warm and the
 * others grow idle and end.
 *
 * Stacks are small (256 KiB), because an execution holds a thread for as long as it runs. What runs
 * on them fits: SQLite needs some 20 KiB for our statements, jansson under 10 KiB at the 32 levels
 * that bodies may have, a `struct error` and a log record 3 KiB each.
 */
#ifndef FCGI_POOL_H
#define FCGI_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "backend/cleanup.h"
#include "backend/error.h"

struct pool;

/* What a pool does; copied by pool_new(). */
struct pool_spec {
    size_t threads_max;
    size_t queue_max; /* items that may wait while every thread is busy */
    int idle_ms;      /* a thread without work for so long ends, unless it is the only one */
    void *context;    /* handed to the functions below */
    void *(*thread_begin)(void *context); /* makes what a thread keeps; may return NULL */
    /* @thread is from thread_begin. Has to call pool_finishing() once. */
    void (*serve)(void *context, void *thread, uint64_t item);
    void (*thread_end)(void *thread); /* not called for NULL */
};

/* A pool without threads yet. Errors: ERR_INTERNAL. */
int pool_new(const struct pool_spec *spec, struct pool **ret, struct error *err);

/*
 * Have @item served by a free thread, a new one, or the next that becomes free. Returns 0, or
 * -EBUSY if every thread is busy and the queue is full; the item is then still the caller's.
 */
int pool_submit(struct pool *p, uint64_t item);

/*
 * Called by serve() just before it does what lets others know that the item is done: one more item
 * may then be queued, since this thread is about to be free. Without it, whoever sends its next
 * item at once would find all threads busy with the one before.
 */
void pool_finishing(struct pool *p);

/* How many threads there are now. */
size_t pool_threads(struct pool *p);

/* Serve what was submitted, end every thread, free. Not concurrently with pool_submit(). */
void pool_free(struct pool *p);
CLEANUP_FN(struct pool *, pool_free)

#endif
