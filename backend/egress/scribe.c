/* The scribe: see scribe.h. */
#include "backend/egress/scribe.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/egress/name.h"
#include "backend/egress/verdict.h"
#include "backend/id.h"
#include "backend/log.h"

enum { QUEUE_SIZE = 256, FLUSH_SECONDS = 5 };

/* What the scribe was told: an attempt, or bytes that were carried. */
struct message {
    struct container container; /* without its labels */
    char host[EGRESS_NAME_SIZE];
    char rule[EGRESS_RULE_SIZE];
    unsigned port;
    bool attempt, allowed;
    uint64_t sent, received;
    int64_t at_ms;
};

/* Lifetime: process. */
struct scribe {
    pthread_t thread;
    pthread_mutex_t lock; /* over the queue and `ends` */
    pthread_cond_t told, taken;
    struct message queue[QUEUE_SIZE];
    size_t first, count;
    bool ends;
    struct backend *backend; /* the thread's */
    struct ledger *ledger;   /* the thread's */
    bool failing;            /* the audit log could not be written when last tried */
};

static void
report(struct scribe *s, int r, const struct error *err)
{
    if (r < 0 && !s->failing)
        log_warn("the audit log lags behind: %s (%s)", err->msg, err->detail);
    s->failing = r < 0;
}

/* The thread's store; a database that is gone is not made anew. */
static struct store *
open_store(struct scribe *s)
{
    struct store *store = NULL;
    struct error err = {0};
    char path[PATH_MAX];
    int r;

    snprintf(path, sizeof(path), "%s/sandbox.db", s->backend->context->state_dir);
    r = access(path, F_OK) < 0 ? error_errno(&err, errno, path)
                               : backend_store(s->backend, &store, &err);
    if (r < 0)
        report(s, r, &err);
    return store;
}

static void
write_down(struct scribe *s, const struct message *m)
{
    const struct ledger_attempt attempt = {
        .container = &m->container,
        .host = m->host,
        .port = m->port,
        .allowed = m->allowed,
        .rule = m->rule,
    };
    struct error err = {0};
    struct store *store = m->attempt ? open_store(s) : NULL;

    if (store)
        report(s, ledger_note(s->ledger, store, &attempt, m->at_ms, &err), &err);
    if (!m->attempt)
        ledger_carried(s->ledger, &m->container, m->host, m->port, m->sent, m->received);
}

static void
flush(struct scribe *s, int64_t now_ms)
{
    struct store *store = open_store(s);
    struct error err = {0};

    if (store)
        report(s, ledger_flush(s->ledger, store, now_ms, &err), &err);
}

/* Wait for a message until @until (monotonic). Returns whether *ret is one; *ret_ends: there will
 * be no other. */
static bool
take(struct scribe *s, const struct timespec *until, struct message *ret, bool *ret_ends)
{
    bool got;

    pthread_mutex_lock(&s->lock);
    while (s->count == 0 && !s->ends)
        if (pthread_cond_timedwait(&s->told, &s->lock, until) == ETIMEDOUT)
            break;
    got = s->count > 0;
    if (got) {
        *ret = s->queue[s->first];
        s->first = (s->first + 1) % QUEUE_SIZE;
        s->count--;
        pthread_cond_signal(&s->taken);
    }
    *ret_ends = s->ends && s->count == 0;
    pthread_mutex_unlock(&s->lock);
    return got;
}

static void *
run(void *arg)
{
    struct scribe *s = arg;
    struct message m;
    struct timespec next;
    bool ends = false;

    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!ends) {
        int64_t now_ms;

        if (take(s, &next, &m, &ends))
            write_down(s, &m);
        now_ms = time_monotonic_ms();
        if (now_ms >= next.tv_sec * INT64_C(1000) + next.tv_nsec / 1000000) {
            flush(s, time_now_ms());
            clock_gettime(CLOCK_MONOTONIC, &next);
            next.tv_sec += FLUSH_SECONDS;
        }
    }
    flush(s, INT64_MAX);
    return NULL;
}

/* Start the thread, to which no signal comes: they are the loop's. */
static int
start(struct scribe *s)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    int r;

    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->told, &monotonic);
    pthread_cond_init(&s->taken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void
dispose(struct scribe *s)
{
    ledger_free(s->ledger);
    backend_free(s->backend);
    free(s);
}

struct scribe *
scribe_new(const struct service_context *ctx)
{
    struct scribe *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->backend = backend_new(ctx);
    s->ledger = ledger_new();
    if (s->backend && s->ledger && start(s) == 0)
        return s;
    dispose(s);
    return NULL;
}

void
scribe_free(struct scribe *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_signal(&s->told);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->told);
    pthread_cond_destroy(&s->taken);
    pthread_mutex_destroy(&s->lock);
    dispose(s);
}

/* Queue a message of @container and @host; @is has the rest. */
static void
tell(struct scribe *s, const struct container *container, const char *host,
     const struct message *is)
{
    struct message *m;

    pthread_mutex_lock(&s->lock);
    while (s->count == QUEUE_SIZE)
        pthread_cond_wait(&s->taken, &s->lock);
    m = &s->queue[(s->first + s->count) % QUEUE_SIZE];
    *m = *is;
    m->container = *container;
    m->container.labels = NULL; /* not ours */
    snprintf(m->host, sizeof(m->host), "%s", host);
    s->count++;
    pthread_cond_signal(&s->told);
    pthread_mutex_unlock(&s->lock);
}

void
scribe_note(struct scribe *s, const struct ledger_attempt *attempt)
{
    struct message m = {
        .port = attempt->port,
        .attempt = true,
        .allowed = attempt->allowed,
        .at_ms = time_now_ms(),
    };

    snprintf(m.rule, sizeof(m.rule), "%s", attempt->rule);
    tell(s, attempt->container, attempt->host, &m);
}

void
scribe_carried(struct scribe *s, const struct container *container, const char *host, unsigned port,
               uint64_t sent, uint64_t received)
{
    const struct message m = {.port = port, .sent = sent, .received = received};

    tell(s, container, host, &m);
}
