/* Logs of jobs: see joblog.h. */
#include "backend/joblog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/id.h"
#include "backend/log.h"

enum { PENDING_MAX = 64 << 10, PENDING_MANY = 32 << 10, PENDING_MS = 300, LINE_MAX_BYTES = 512 };

static const char cut[] = "\n[the log is longer than 1 MiB; the rest of it is not kept]\n";

int
job_log_init(struct job_log *log, struct store *store, const char *template_name,
             int64_t deadline_ms, struct error *err)
{
    _cleanup_(freep) char *before = NULL;
    int r = store_job_log_get(store, template_name, &before, err);

    *log = (struct job_log){
        .store = store,
        .template_name = template_name,
        .total = before ? strlen(before) : 0,
        .deadline_ms = deadline_ms,
    };
    log->full = log->total >= JOB_LOG_MAX;
    buf_init(&log->pending, PENDING_MAX);
    return r;
}

static void
flush(struct job_log *log)
{
    struct error err = {0};

    log->stored_at_ms = time_monotonic_ms();
    if (log->pending.len == 0)
        return;
    /* A job does not fail because its log cannot be kept. */
    if (store_job_log_add(log->store, log->template_name, log->pending.data, &err) < 0)
        log_warn("log of template %s: %s (%s)", log->template_name, err.msg, err.detail);
    buf_clear(&log->pending);
}

void
job_log_done(struct job_log *log)
{
    flush(log);
    buf_done(&log->pending);
}

static void
append(struct job_log *log, const char *text, size_t len)
{
    if (log->full)
        return;
    log->full = log->total + len > JOB_LOG_MAX;
    if (log->full) {
        text = cut;
        len = strlen(cut);
    }
    if (log->pending.len + len > PENDING_MANY)
        flush(log);
    if (buf_append(&log->pending, text, len) == 0)
        log->total += len;
}

int
job_log_take(void *arg, const char *text, size_t len)
{
    struct job_log *log = arg;
    int64_t now = time_monotonic_ms();

    append(log, text, len);
    if (now - log->stored_at_ms >= PENDING_MS)
        flush(log);
    return now < log->deadline_ms ? 0 : -1;
}

void
job_log_say(struct job_log *log, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    append(log, line, strlen(line));
}
