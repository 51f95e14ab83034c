/*
 * A running job's log: pieces are gathered for a moment before they are stored, so that a chatty
 * build does not become thousands of commits; readers see it a moment late. It is bounded.
 */
#ifndef BACKEND_JOBLOG_H
#define BACKEND_JOBLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/buf.h"
#include "backend/error.h"
#include "backend/store/store.h"

enum { JOB_LOG_MAX = 1 << 20 };

/* Lifetime: one job. */
struct job_log {
    struct store *store;
    const char *template_name; /* borrowed */
    struct buf pending;        /* owned: not stored yet */
    size_t total;              /* bytes so far, pending ones included */
    bool full;                 /* the rest is dropped */
    int64_t stored_at_ms;      /* monotonic: when it was stored last */
    int64_t deadline_ms;       /* monotonic: the job is ended then, if nobody else has */
};

/* Begin, or go on where an earlier attempt stopped. Errors: ERR_INTERNAL. */
int job_log_init(struct job_log *log, struct store *store, const char *template_name,
                 int64_t deadline_ms, struct error *err);

/* Store what is pending, and free it. */
void job_log_done(struct job_log *log);

/* An engine_log_fn over a struct job_log. */
int job_log_take(void *log, const char *text, size_t len);

/* Append a line of our own. */
void job_log_say(struct job_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
