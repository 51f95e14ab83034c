/* Executions in the background: see background.h. */
#include "backend/background.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/container_place.h"
#include "backend/guest/control.h"
#include "backend/guest/spool.h"
#include "backend/log.h"
#include "backend/metrics.h"
#include "backend/outcome.h"
#include "backend/store/store.h"
#include "backend/utf8.h"

enum {
    PATH_SIZE = 4096,
    BATCH = 100,       /* rows read at a time */
    BIRTH_MS = 30000,  /* from the row to the spool, at most */
    OVERDUE_MS = 60000 /* past the container's own limit of time */
};

/* What a spool says. Initialise with {0}; seen_done() closes it. */
struct seen {
    struct guest_spool *spool; /* owned; NULL: there is none to read */
    struct guest_spool_state state;
};

static void
seen_done(struct seen *seen)
{
    if (seen->spool)
        guest_spool_free(seen->spool);
}

/* Look into the spool of @e. One that is not as it should be is none. */
static void
look(struct backend *b, const struct audit_entry *e, struct seen *ret)
{
    char directory[PATH_SIZE];
    struct error err = {0};
    int r;

    container_guest_directory(b, e->container_id, directory, sizeof(directory));
    r = guest_spool_open(directory, id_audit_number(e->id), &ret->spool, &err);
    if (r == 0)
        r = guest_spool_state(ret->spool, &ret->state, &err);
    if (r == 0)
        return;
    if (r != -ENOENT)
        log_warn("the spool of %s cannot be read: %s", e->id, err.detail);
    seen_done(ret);
    *ret = (struct seen){0};
}

/* Take one stream from the spool. */
static int
take_stream(struct guest_spool *spool, enum guest_stream stream, char **ret, size_t *ret_len,
            size_t *ret_head, bool *ret_truncated, uint64_t *ret_total, struct error *err)
{
    int r = guest_spool_read(spool, stream, 0, ret, ret_len, ret_head, ret_total, err);

    if (r < 0)
        return r;
    *ret_truncated = *ret_len < *ret_total;
    if (*ret_truncated)
        utf8_mend(*ret, ret_len, ret_head);
    return 0;
}

static int
take_output(struct guest_spool *spool, struct audit_entry *e, struct audit_output *o,
            struct error *err)
{
    int r = take_stream(spool, GUEST_STDOUT, &o->out, &o->out_len, &o->out_head, &o->out_truncated,
                        &e->stdout_bytes, err);

    return r < 0 ? r
                 : take_stream(spool, GUEST_STDERR, &o->errout, &o->errout_len, &o->errout_head,
                               &o->errout_truncated, &e->stderr_bytes, err);
}

/*
 * Record the end of @running: as the spool tells it, or, where that tells none, as @otherwise, with
 * what output there is. Returns 1, or the store's errors.
 */
static int
record(struct backend *b, const struct audit_entry *running, const struct seen *seen,
       enum audit_status otherwise, struct error *err)
{
    struct audit_entry e = *running; /* what it owns stays theirs */
    struct audit_output output = {0};
    struct error unread = {0};
    struct store *store = NULL;
    int r;

    if (seen->spool && seen->state.ended)
        outcome_note(&e, &seen->state.result);
    else
        outcome_cut_off(&e, otherwise);
    if (seen->spool && take_output(seen->spool, &e, &output, &unread) < 0)
        log_warn("the output of %s cannot be read: %s", e.id, unread.detail);
    e.finished_at_ms = time_now_ms();
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_audit_finish(store, &e, &output, true, err);
    if (r == 0)
        metrics_execution(e.tier, e.status);
    audit_output_done(&output);
    if (r == -EEXIST)
        error_clear(err); /* somebody else was as quick */
    return r == 0 || r == -EEXIST ? 1 : r;
}

/*
 * Whether @e can have no process any more: its container is gone or stopped, or was started again
 * since, or has let it run too long. Who removes the container says how what ran in it has ended.
 */
static int
is_lost(struct backend *b, const struct audit_entry *e, bool *ret_lost, bool *ret_running,
        struct error *err)
{
    struct container c = {0};
    struct store *store = NULL;
    int64_t limit_ms;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_container_get(store, e->container_id, &c, err);
    container_done(&c);
    if (r == -ENOENT)
        error_clear(err);
    else if (r < 0)
        return r;
    if (r == 0 && c.status == CONTAINER_REMOVING)
        return 0;
    limit_ms = c.limits.timeout_seconds * 1000 + OVERDUE_MS;
    *ret_running = r == 0 && c.status == CONTAINER_RUNNING;
    *ret_lost = !*ret_running || c.started_at_ms > e->started_at_ms ||
                time_now_ms() - e->started_at_ms > limit_ms;
    return 0;
}

/*
 * That it is lost is told by clocks, where its container runs: should the guest know it after all,
 * it is ended and collected as such, rather than going on while the audit says that it does not.
 */
static bool
is_alive(struct backend *b, const struct audit_entry *e)
{
    char directory[PATH_SIZE];
    struct error ignored = {0};

    container_guest_directory(b, e->container_id, directory, sizeof(directory));
    return guest_kill(directory, id_audit_number(e->id), &ignored) == 0;
}

static void
forget(struct backend *b, const struct audit_entry *e)
{
    char directory[PATH_SIZE];
    struct error ignored = {0};

    container_guest_directory(b, e->container_id, directory, sizeof(directory));
    guest_forget(directory, id_audit_number(e->id), &ignored); /* else background_tidy() does */
}

int
background_collect(struct backend *b, const struct audit_entry *e, struct error *err)
{
    _cleanup_(seen_done) struct seen seen = {0};
    bool lost = false, running = false;
    int r = 0;

    look(b, e, &seen);
    if (!seen.spool && time_now_ms() - e->started_at_ms > BIRTH_MS)
        lost = true;
    else if (!seen.spool || !seen.state.ended)
        r = is_lost(b, e, &lost, &running, err);
    if (r < 0)
        return r;
    if (!lost && !(seen.spool && seen.state.ended))
        return 0;
    if (lost && running && is_alive(b, e))
        return 0;
    r = record(b, e, &seen, AUDIT_INTERRUPTED, err);
    if (r == 1 && seen.spool)
        forget(b, e);
    return r;
}

int
background_runs(struct backend *b, const char *id, struct error *err)
{
    struct audit_entry *list = NULL;
    struct store *store = NULL;
    size_t count = 0;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_background_running(store, id, 0, 1, &list, &count, err);
    store_audit_list_free(list, count);
    return r < 0 ? r : count > 0;
}

/* Call @visit for every execution in the background in container @id (NULL: in all), until it
 * fails. */
static int
for_each(struct backend *b, const char *id,
         int (*visit)(struct backend *, const struct audit_entry *, struct error *),
         struct error *err)
{
    struct store *store = NULL;
    int64_t after = 0;
    size_t count = 0;
    int r = backend_store(b, &store, err);

    while (r >= 0) {
        struct audit_entry *list = NULL;

        count = 0;
        r = store_background_running(store, id, after, BATCH, &list, &count, err);
        for (size_t i = 0; r >= 0 && i < count; i++) {
            after = list[i].seq;
            r = visit(b, &list[i], err);
        }
        store_audit_list_free(list, count);
        if (count < BATCH)
            break;
    }
    return r < 0 ? r : 0;
}

static int
end_killed(struct backend *b, const struct audit_entry *e, struct error *err)
{
    _cleanup_(seen_done) struct seen seen = {0};

    look(b, e, &seen);
    return record(b, e, &seen, AUDIT_KILLED, err);
}

static int
end_interrupted(struct backend *b, const struct audit_entry *e, struct error *err)
{
    _cleanup_(seen_done) struct seen seen = {0};

    look(b, e, &seen);
    return record(b, e, &seen, AUDIT_INTERRUPTED, err);
}

int
background_end(struct backend *b, const char *container_id, struct error *err)
{
    return for_each(b, container_id, end_killed, err);
}

int
background_lost(struct backend *b, const char *container_id, struct error *err)
{
    return for_each(b, container_id, end_interrupted, err);
}

int
background_tend(struct backend *b, struct error *err)
{
    return for_each(b, NULL, background_collect, err);
}

/* Whether the spool @number belongs to an entry that runs. */
static int
is_wanted(struct backend *b, uint64_t number, bool *ret, struct error *err)
{
    char id[AUDIT_ID_SIZE];
    struct audit_entry e = {0};
    int r;

    id_audit_of(number, id);
    r = store_audit_get(b->store, id, NULL, &e, err);
    *ret = r == 0 && e.status == AUDIT_RUNNING;
    audit_entry_done(&e);
    if (r == -ENOENT)
        error_clear(err);
    return r == -ENOENT ? 0 : r;
}

int
background_tidy(struct backend *b, const char *id, struct error *err)
{
    char directory[PATH_SIZE];
    _cleanup_(freep) uint64_t *spools = NULL;
    struct store *store = NULL;
    size_t count = 0;
    bool wanted;
    int r;

    container_guest_directory(b, id, directory, sizeof(directory));
    r = backend_store(b, &store, err);
    if (r == 0)
        r = guest_spool_list(directory, &spools, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = is_wanted(b, spools[i], &wanted, err);
        if (r == 0 && !wanted)
            r = guest_forget(directory, spools[i], err);
    }
    return r;
}
