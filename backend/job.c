/* Carrying out jobs: see job.h. */
#include "backend/job.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/context.h"
#include "backend/engine.h"
#include "backend/joblog.h"
#include "backend/log.h"
#include "backend/store/store.h"
#include "backend/template.h"
#include "backend/template_act.h"

enum {
    TICK_SECONDS = 1,
    GRACE_MS = 60000, /* beyond builds.timeout_seconds, which the broker watches */
    TIDY_MS = 60000,  /* between two looks for removals that were cut short */
    FINISH_TRIES = 30 /* a second each: a result must not be lost to a busy or full disk */
};

static const char died[] = "the builder died twice while it worked on this";

/* One of the threads. Lifetime: process. */
struct hand {
    struct backend *backend; /* owned */
    bool outage;             /* the engine went away in the last job, and is waited for */
    int64_t tidy_at_ms;      /* monotonic */
};

/* What the threads share. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
} idle = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};

void
job_wake(void)
{
    pthread_mutex_lock(&idle.lock);
    pthread_cond_broadcast(&idle.wake);
    pthread_mutex_unlock(&idle.lock);
}

static void
wait_a_tick(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TICK_SECONDS;
    pthread_mutex_lock(&idle.lock);
    pthread_cond_timedwait(&idle.wake, &idle.lock, &until);
    pthread_mutex_unlock(&idle.lock);
}

/* Build from what the YAML or the store says of the template now. */
static int
build_from(struct backend *b, const char *name, const char *dockerfile, json_t *files,
           int64_t mtime_ms, struct job_log *log, struct error *err)
{
    _cleanup_(closep) int fd = -1;
    int r = context_check(dockerfile, files, b->settings->builds.context_mb, err);

    if (r == 0)
        r = context_make(dockerfile, files, mtime_ms, &fd, err);
    return r < 0 ? r : engine_image_build(b->engine, name, fd, job_log_take, log, err);
}

static int
build(struct backend *b, struct store *store, const struct template *t, struct job_log *log,
      struct error *err)
{
    const struct template_entry *entry = settings_template(b->settings, t->name);
    _cleanup_(template_row_done) struct template_row row = {0};
    json_auto_t *files = NULL;
    int r;

    if (entry)
        return build_from(b, t->name, entry->dockerfile, entry->files, b->settings->loaded_at_ms,
                          log, err);
    r = store_template_source(store, t->name, &row, err);
    if (r < 0)
        return r;
    files = json_loads(row.files, 0, NULL);
    if (!files || !row.dockerfile)
        return error_set(err, ERR_INTERNAL, "the stored template cannot be read");
    return build_from(b, t->name, row.dockerfile, files, row.created_at_ms, log, err);
}

static int
pull(struct backend *b, const struct template *t, struct job_log *log, struct error *err)
{
    struct engine_template what = {0};

    snprintf(what.image, sizeof(what.image), "%s", t->image);
    if (strcmp(t->image, t->service) != 0)
        snprintf(what.name, sizeof(what.name), "%s", t->name);
    return engine_image_pull(b->engine, &what, job_log_take, log, err);
}

static int
carry_out(struct backend *b, struct store *store, const struct job *job, struct job_log *log,
          struct error *err)
{
    struct template t;
    int r = template_find(b, job->template_name, &t, err);

    if (r < 0)
        return r;
    /* templates.yaml may have been edited since. */
    if ((job->kind == JOB_PULL) != (t.image[0] != '\0'))
        return error_set(err, ERR_CONFLICT, "the template is made in another way now");
    if (job->attempts > 1)
        job_log_say(log, "\n[begun again: it was interrupted]\n");
    return job->kind == JOB_PULL ? pull(b, &t, log, err) : build(b, store, &t, log, err);
}

/* Note how it ended; insist, or nobody could start another. */
static void
finish(struct store *store, const struct job *job, const struct error *failure)
{
    const char *sentence = failure->code == ERR_NONE ? NULL : failure->msg;

    for (int i = 0; i < FINISH_TRIES; i++) {
        struct error err = {0};
        int64_t now = time_now_ms();

        if (store_job_finish(store, job->template_name, sentence, now, &err) == 0) {
            if (!sentence)
                store_template_touch(store, job->template_name, now, NULL);
            return;
        }
        log_error("job of template %s: %s (%s)", job->template_name, err.msg, err.detail);
        wait_a_tick();
    }
}

/*
 * Run the job that was claimed. Returns whether Docker or the broker went away meanwhile; then it
 * is in the queue again, if it has attempts left.
 */
static bool
run(struct backend *b, struct store *store, const struct job *job)
{
    int64_t limit_ms = b->settings->builds.timeout_seconds * 1000 + GRACE_MS;
    struct error err = {0};
    struct job_log log;
    bool outage;
    int r;

    log_info("%s of template %s begins, attempt %d", job_kind_names[job->kind - 1],
             job->template_name, (int)job->attempts);
    r = job_log_init(&log, store, job->template_name, time_monotonic_ms() + limit_ms, &err);
    if (r == 0)
        r = carry_out(b, store, job, &log, &err);
    outage = r == -EHOSTDOWN;
    if (outage && job->attempts < JOB_ATTEMPTS_MAX) {
        job_log_say(&log, "\n[interrupted: %s]\n", err.msg);
        job_log_done(&log);
        error_clear(&err);
        if (store_job_again(store, job->template_name, &err) == 0)
            return true;
    }
    if (err.code != ERR_NONE)
        job_log_say(&log, "\nfailed: %s\n", err.msg);
    job_log_done(&log);
    log_info("%s of template %s: %s%s%s", job_kind_names[job->kind - 1], job->template_name,
             err.code == ERR_NONE ? "done" : err.msg, err.detail[0] ? ": " : "", err.detail);
    finish(store, job, &err);
    return outage;
}

/* Finish what workers that died on the way, or an engine that was away, have left. */
static void
tidy(struct hand *h)
{
    struct error err = {0};

    if (time_monotonic_ms() < h->tidy_at_ms)
        return;
    h->tidy_at_ms = time_monotonic_ms() + TIDY_MS;
    if (template_finish_removals(h->backend, &err) < 0)
        log_warn("removal of a template: %s (%s)", err.msg, err.detail);
}

/* One look at the queue, and one job. Returns 0 if there was one. */
static int
turn(struct hand *h, struct error *err)
{
    struct backend *b = h->backend;
    struct store *store = NULL;
    struct engine_info info;
    struct job job;
    int r = backend_begin(b, err);

    if (r == 0)
        r = backend_store(b, &store, err);
    if (r == 0 && h->outage)
        r = engine_info(b->engine, &info, NULL);
    if (r < 0)
        return r;
    h->outage = false;
    tidy(h);
    r = store_job_claim(store, &job, err);
    if (r == 0)
        h->outage = run(b, store, &job);
    return r;
}

static void *
thread_main(void *arg)
{
    struct hand *h = arg;

    for (;;) {
        struct error err = {0};
        int r = turn(h, &err);

        if (err.code != ERR_NONE)
            log_error("builder: %s (%s)", err.msg, err.detail);
        backend_end(h->backend);
        if (r < 0 || h->outage)
            wait_a_tick();
    }
    return NULL;
}

/* Put right what a dead builder left. */
static int
recover(struct service_context *ctx, struct error *err)
{
    _cleanup_(backend_freep) struct backend *b = backend_new(ctx);
    struct store *store = NULL;
    int r = b ? backend_store(b, &store, err) : error_errno(err, ENOMEM, "builder");

    return r < 0 ? r : store_job_recover(store, died, time_now_ms(), err);
}

static int
start_thread(struct service_context *ctx, struct error *err)
{
    struct hand *h = calloc(1, sizeof(*h));
    pthread_t thread;
    int rc = ENOMEM;

    if (h)
        h->backend = backend_new(ctx);
    if (h && h->backend)
        rc = pthread_create(&thread, NULL, thread_main, h);
    if (rc == 0) {
        pthread_detach(thread);
        return 0;
    }
    if (h)
        backend_free(h->backend);
    free(h);
    return error_errno(err, rc, "builder thread");
}

int
job_start(struct service_context *ctx, struct error *err)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(ctx->current, &generation);
    int r = recover(ctx, err);

    for (int64_t i = 0; r == 0 && i < s->builds.concurrency; i++)
        r = start_thread(ctx, err);
    return r;
}
