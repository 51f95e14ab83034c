/* Watching disk limits: see disk.h. */
#include "backend/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/change.h"
#include "backend/container.h"
#include "backend/engine.h"
#include "backend/log.h"
#include "backend/quota.h"
#include "backend/store/store.h"

enum {
    BATCH = 50,              /* containers that are read from the database at one time */
    ROUND_MS = 2000,         /* between two rounds, at least */
    ROUND_SHARE = 4,         /* times as long as a round takes is the pause after it, at least */
    BUDGET_MS = 500,         /* of one call */
    WORTH_KEEPING = 1 << 20, /* bytes */
    CLOCK_SLACK_MS = 1000    /* rows carry the time that other processes read */
};

/* Leave an entry about why it was stopped, in its owner's audit. */
static int
note(struct backend *b, const struct container *c, const struct engine_disk *disk,
     struct error *err)
{
    const struct caller us = {
        .user = c->owner, .role = ROLE_ADMIN, .action = "disk limit", .request_id = "janitor"};
    json_auto_t *before = json_pack(
        "{s:s, s:I, s:I, s:I}", "status", "running", "disk_mb", (json_int_t)(disk->bytes >> 20),
        "files", (json_int_t)disk->files, "disk_mb_limit", (json_int_t)c->limits.disk_mb);
    json_auto_t *after = json_pack("{s:s}", "status", "stopped");
    const struct change change = {
        .container_id = c->id,
        .template_name = c->template_name,
        .tier = c->tier,
        .before = before,
        .after = after,
    };

    return before && after ? change_note(b, &us, &change, err)
                           : error_errno(err, ENOMEM, "change entry");
}

static int
stop(struct backend *b, const struct container *c, const struct engine_disk *disk,
     struct error *err)
{
    const struct caller us = {.user = c->owner, .role = ROLE_ADMIN};
    struct container stopped = {0};
    int r;

    log_warn("container %s takes %lld MB of disk in %lld files, %s: stopped", c->id,
             (long long)(disk->bytes >> 20), (long long)disk->files,
             disk->over ? "more than its limit" : "with what else is its owner's too much");
    r = container_stop(b, &us, c->id, &stopped, err);
    container_done(&stopped);
    return r < 0 ? r : note(b, c, disk, err);
}

/* Keep what was measured for the owner's quota, where it has changed by so much as counts. */
static int
keep(struct store *store, struct container *c, int64_t bytes, struct error *err)
{
    if (llabs(bytes - c->disk_bytes) < WORTH_KEEPING)
        return 0;
    c->disk_bytes = bytes;
    return store_container_disk(store, c->id, bytes, err);
}

/* Whether the container's owner takes more than their quota, of which it is a part. */
static int
over_quota(struct backend *b, const struct container *c, bool *ret, struct error *err)
{
    int64_t most = settings_access(b->settings, c->owner)->quotas.most[QUOTA_DISK_MB];
    int64_t used[QUOTA_COUNT] = {0};
    int r = most > 0 ? quota_usage(b, c->owner, used, err) : 0;

    *ret = r == 0 && most > 0 && used[QUOTA_DISK_MB] > most;
    return r;
}

/* Look at one container, which may be gone by now. */
static int
look(struct backend *b, struct store *store, const char *id, struct error *err)
{
    struct engine_disk disk = {0};
    struct container c = {0};
    bool over = false;
    int r = store_container_get(store, id, &c, err);

    if (r == 0 && c.status == CONTAINER_RUNNING)
        r = engine_disk(b->engine, id, c.limits.disk_mb, &disk, err);
    if (r == 0 && c.status == CONTAINER_RUNNING)
        r = keep(store, &c, disk.bytes, err);
    if (r == 0 && c.status == CONTAINER_RUNNING)
        r = over_quota(b, &c, &over, err);
    if (r == 0 && (disk.over || over))
        r = stop(b, &c, &disk, err);
    container_done(&c);
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return 0;
}

static void
begin_round(struct disk_watch *w)
{
    w->began_ms = time_now_ms();
    w->worked_ms = 0;
}

static void
end_round(struct disk_watch *w)
{
    int64_t pause_ms = w->worked_ms * ROUND_SHARE;

    w->after[0] = '\0';
    w->since_ms = w->began_ms - CLOCK_SLACK_MS;
    w->next_ms = time_monotonic_ms() + (pause_ms > ROUND_MS ? pause_ms : ROUND_MS);
}

int
disk_tend(struct backend *b, struct disk_watch *w, struct error *err)
{
    int64_t start_ms = time_monotonic_ms(), spent_ms = 0;
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = NULL;
    struct store *store = NULL;
    size_t count = 0, i = 0;
    int r;

    if (start_ms < w->next_ms)
        return 0;
    if (w->after[0] == '\0')
        begin_round(w);
    r = backend_begin(b, err);
    if (r == 0)
        r = backend_store(b, &store, err);
    if (r == 0)
        r = store_container_used(store, w->since_ms, w->after, BATCH, &ids, &count, err);
    for (; r == 0 && i < count && spent_ms < BUDGET_MS; i++) {
        memcpy(w->after, ids[i], sizeof(w->after));
        r = look(b, store, ids[i], err);
        spent_ms = time_monotonic_ms() - start_ms;
    }
    backend_end(b);
    w->worked_ms += spent_ms;
    if (r == 0 && i == count && count < BATCH)
        end_round(w);
    return r;
}
