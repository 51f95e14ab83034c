/* Cleanups of the audit log: see retention.h. */
#include "backend/retention.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/id.h"
#include "backend/log.h"
#include "backend/store/store.h"

enum {
    DAY_MS = 24 * 60 * 60 * 1000,
    TURN_MS = 2,      /* for those who wait to write */
    SHRINK_ROUNDS = 8 /* of one pass */
};

static const struct caller janitor = {
    .user = RETENTION_OWNER,
    .role = ROLE_ADMIN,
    .action = "audit retention",
    .request_id = "janitor",
};

/* Delete the rows of every gap, a bounded number at a time. */
static int
purge(struct store *store, int64_t *freed_bytes, struct error *err)
{
    /* The writer lock goes to whoever is awake: without a pause it would be us each time. */
    const struct timespec turn = {.tv_nsec = TURN_MS * 1000000L};
    bool more = true;
    int r = 0;

    while (r == 0 && more) {
        r = store_audit_purge(store, freed_bytes, &more, err);
        if (more)
            nanosleep(&turn, NULL);
    }
    return r;
}

/* One change entry's worth. */
static int
retire(struct backend *b, struct store *store, const struct caller *caller, int64_t before_ms,
       struct retired *sum, bool *ret_more, struct error *err)
{
    struct audit_entry e = {
        .kind = AUDIT_CHANGE,
        .status = AUDIT_COMPLETED,
        .started_at_ms = time_now_ms(),
        .exit_code = -1,
        .worker = b->context->worker_id,
        .command = strdup(caller->action),
    };
    int64_t removed = 0;
    int r;

    if (!e.command)
        return error_errno(err, ENOMEM, "cleanup entry");
    id_audit(e.id);
    e.finished_at_ms = e.started_at_ms;
    snprintf(e.owner, sizeof(e.owner), "%s", caller->user);
    snprintf(e.request_id, sizeof(e.request_id), "%s", caller->request_id);
    r = store_audit_retire(store, before_ms, &e, &removed, ret_more, err);
    audit_entry_done(&e);
    sum->entries += removed;
    return r < 0 ? r : purge(store, &sum->freed_bytes, err);
}

int
retention_clean(struct backend *b, const struct caller *caller, int64_t before_ms,
                struct retired *ret, struct error *err)
{
    struct retired sum = {0};
    struct store *store = NULL;
    int64_t leftover = 0; /* somebody else's, and counted there */
    bool more = true;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = purge(store, &leftover, err);
    while (r == 0 && more)
        r = retire(b, store, caller, before_ms, &sum, &more, err);
    if (r == 0)
        *ret = sum;
    return r;
}

static int
clean(struct backend *b, int64_t before_ms, const char *why, struct retired *ret, struct error *err)
{
    int r = retention_clean(b, &janitor, before_ms, ret, err);

    if (r == 0 && ret->entries > 0)
        log_info("audit: %lld entries removed, %s", (long long)ret->entries, why);
    return r;
}

static int
drop_old(struct backend *b, struct store *store, int64_t days, struct error *err)
{
    int64_t before_ms = time_day_start(time_now_ms()) - days * DAY_MS;
    struct retired done;
    int64_t oldest_ms = 0;
    int r;

    if (days == 0)
        return 0;
    r = store_audit_oldest(store, 0, 1, &oldest_ms, err);
    if (r == -ENOENT || (r == 0 && oldest_ms >= before_ms))
        return 0;
    return r < 0 ? r : clean(b, before_ms, "older than audit.retention_days", &done, err);
}

/*
 * Remove the share of entries by which the database is too large, and look again: entries differ in
 * size. A little more than needed goes, so that the next pass has nothing to do.
 */
static int
shrink(struct backend *b, struct store *store, int64_t max_bytes, struct error *err)
{
    int64_t aim_bytes = max_bytes - max_bytes / 16;
    struct retired done = {.entries = 1};
    int64_t used = 0, until_ms = 0;
    int r = store_used_bytes(store, &used, err);

    if (max_bytes == 0 || used <= max_bytes)
        return r;
    for (int round = 0; r == 0 && used > aim_bytes && done.entries > 0 && round < SHRINK_ROUNDS;
         round++) {
        r = store_audit_oldest(store, used - aim_bytes, used, &until_ms, err);
        if (r == -ENOENT)
            return 0;
        if (r == 0)
            r = clean(b, until_ms + 1, "the database being over audit.max_mb", &done, err);
        if (r == 0)
            r = store_used_bytes(store, &used, err);
    }
    return r;
}

int
retention_tend(struct backend *b, struct error *err)
{
    const struct audit_policy *policy = &b->settings->audit;
    struct store *store = NULL;
    int64_t leftover = 0;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = purge(store, &leftover, err);
    if (r == 0)
        r = drop_old(b, store, policy->retention_days, err);
    return r < 0 ? r : shrink(b, store, policy->max_mb << 20, err);
}
