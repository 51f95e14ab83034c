/* Threads that are made when they are needed: see pool.h. */
#include "fcgi/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

enum { STACK_BYTES = 256 * 1024 };

/* A thread without work. Lifetime: thread; on the pool's stack of them only while it waits. */
struct waiter {
    pthread_cond_t wake;
    struct waiter *below;
    bool has_item;
    uint64_t item;
};

/* Lifetime: process. */
struct pool {
    struct pool_spec spec;
    pthread_attr_t attributes;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t empty; /* signalled when a thread ends */
    struct waiter *idle;  /* the last that became free on top */
    size_t threads;       /* that serve or wait */
    size_t ending;        /* that will do neither again */
    size_t finishing;     /* that serve, but not for long */
    uint64_t *queue;      /* a ring of queue_size items */
    size_t queue_size;    /* spec.queue_max, and one for each thread that is finishing */
    size_t queue_first;
    size_t queue_count;
    bool stopping;
};

/* What a new thread starts with; the thread frees it. */
struct start {
    struct pool *pool;
    uint64_t item;
};

static struct timespec
monotonic_after(int ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static int
condition_init(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    int rc;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
    return rc;
}

static bool
queue_pop(struct pool *p, uint64_t *ret_item)
{
    if (p->queue_count == 0)
        return false;
    *ret_item = p->queue[p->queue_first];
    p->queue_first = (p->queue_first + 1) % p->queue_size;
    p->queue_count--;
    return true;
}

static void
queue_push(struct pool *p, uint64_t item)
{
    p->queue[(p->queue_first + p->queue_count) % p->queue_size] = item;
    p->queue_count++;
}

static void
idle_remove(struct pool *p, const struct waiter *w)
{
    struct waiter **link = &p->idle;

    while (*link != w)
        link = &(*link)->below;
    *link = w->below;
}

/*
 * With the lock held, wait for an item. False if the thread shall end: the pool stops, or nothing
 * came for a while and others are there.
 */
static bool
wait_for_item(struct pool *p, struct waiter *w, uint64_t *ret_item)
{
    struct timespec until = monotonic_after(p->spec.idle_ms);

    w->has_item = false;
    w->below = p->idle;
    p->idle = w;
    while (!w->has_item && !p->stopping) {
        if (pthread_cond_timedwait(&w->wake, &p->lock, &until) != ETIMEDOUT || w->has_item)
            continue;
        if (p->threads > 1)
            break;
        until = monotonic_after(p->spec.idle_ms);
    }
    if (!w->has_item) {
        idle_remove(p, w);
        return false;
    }
    *ret_item = w->item;
    return true;
}

static void *
thread_main(void *argument)
{
    struct start *start = argument;
    struct pool *p = start->pool;
    uint64_t item = start->item;
    struct waiter w;
    void *state;

    free(start);
    state = p->spec.thread_begin(p->spec.context);
    condition_init(&w.wake);
    pthread_mutex_lock(&p->lock);
    do {
        pthread_mutex_unlock(&p->lock);
        p->spec.serve(p->spec.context, state, item);
        pthread_mutex_lock(&p->lock);
        p->finishing--;
    } while (queue_pop(p, &item) || (!p->stopping && wait_for_item(p, &w, &item)));
    p->threads--;
    p->ending++;
    pthread_mutex_unlock(&p->lock);

    pthread_cond_destroy(&w.wake);
    if (state)
        p->spec.thread_end(state);
    /* Counted until here: pool_free() must not return while thread_end() uses the context. */
    pthread_mutex_lock(&p->lock);
    p->ending--;
    pthread_cond_signal(&p->empty);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* With the lock held, make a thread that begins with @item. */
static int
thread_start(struct pool *p, uint64_t item)
{
    struct start *start = malloc(sizeof(*start));
    pthread_t thread;

    if (!start)
        return -ENOMEM;
    *start = (struct start){.pool = p, .item = item};
    if (pthread_create(&thread, &p->attributes, thread_main, start) != 0) {
        free(start);
        return -EAGAIN;
    }
    p->threads++;
    return 0;
}

int
pool_new(const struct pool_spec *spec, struct pool **ret, struct error *err)
{
    struct pool *p = calloc(1, sizeof(*p));

    if (!p)
        return error_errno(err, ENOMEM, "pool");
    p->spec = *spec;
    p->queue_size = spec->queue_max + spec->threads_max;
    p->queue = calloc(p->queue_size, sizeof(*p->queue));
    if (!p->queue) {
        free(p);
        return error_errno(err, ENOMEM, "pool's queue");
    }
    pthread_attr_init(&p->attributes);
    pthread_attr_setstacksize(&p->attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&p->attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_init(&p->lock, NULL);
    condition_init(&p->empty);
    *ret = p;
    return 0;
}

int
pool_submit(struct pool *p, uint64_t item)
{
    struct waiter *w;
    int r = 0;

    pthread_mutex_lock(&p->lock);
    w = p->idle;
    if (w) {
        p->idle = w->below;
        w->item = item;
        w->has_item = true;
        pthread_cond_signal(&w->wake);
    } else if (p->threads < p->spec.threads_max && thread_start(p, item) == 0) {
        r = 0;
    } else if (p->queue_count < p->spec.queue_max + p->finishing && p->threads > 0) {
        queue_push(p, item);
    } else {
        r = -EBUSY;
    }
    pthread_mutex_unlock(&p->lock);
    return r;
}

void
pool_finishing(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->finishing++;
    pthread_mutex_unlock(&p->lock);
}

size_t
pool_threads(struct pool *p)
{
    size_t n;

    pthread_mutex_lock(&p->lock);
    n = p->threads;
    pthread_mutex_unlock(&p->lock);
    return n;
}

void
pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    for (struct waiter *w = p->idle; w; w = w->below)
        pthread_cond_signal(&w->wake);
    while (p->threads + p->ending > 0)
        pthread_cond_wait(&p->empty, &p->lock);
    pthread_mutex_unlock(&p->lock);

    pthread_attr_destroy(&p->attributes);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->empty);
    free(p->queue);
    free(p);
}
