/*
 * Quotas: what an owner has and uses, counted where it is added to. Whoever adds holds the writer
 * lock from the count to the commit, so that no two are let in by the same count, whichever
 * processes they are of; and what a crash interrupts was either committed, and is counted, or was
 * not.
 */
#include <errno.h>

#include "backend/id.h"
#include "backend/store/internal.h"

enum { MINUTE_MS = 60000, DAY_MS = 86400000 };

/* Refuse: note in @gate which quota has been used up, and until when. */
static int
shut(struct quota_gate *gate, enum quota which, int64_t used, int64_t free_at_ms)
{
    gate->shut = true;
    gate->which = which;
    gate->used = used;
    gate->free_at_ms = free_at_ms;
    return -EDQUOT;
}

/* The number that @which gives for @owner, with @second for its second parameter. */
static int
count(struct store *s, enum statement which, const char *owner, int64_t second, int64_t *ret,
      struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    if (sqlite3_bind_parameter_count(st) > 1)
        sqlite3_bind_int64(st, 2, second);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    *ret = sqlite3_column_int64(st, 0);
    return 0;
}

/* Refuse if @owner has as many of what @statement counts, in units of @unit, as the quota says. */
static int
check_count(struct store *s, enum statement statement, const char *owner, int64_t unit,
            enum quota which, struct quota_gate *gate, struct error *err)
{
    int64_t most = gate->quotas->most[which], used = 0;
    int r;

    if (most == 0)
        return 0;
    r = count(s, statement, owner, 0, &used, err);
    if (r == 0 && used >= most * unit)
        r = shut(gate, which, used / unit, 0);
    return r;
}

/*
 * Refuse if the last so many executions were all begun within the last minute. Those of a time to
 * come, which a clock that was put back leaves, do not count.
 */
static int
check_minute(struct store *s, const char *owner, int64_t now_ms, struct quota_gate *gate,
             struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = NULL;
    int64_t most = gate->quotas->most[QUOTA_EXECUTIONS_PER_MINUTE];
    int rc;

    if (most == 0)
        return 0;
    st = store_stmt(s, STMT_RECENT_NTH, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    sqlite3_bind_int64(st, 2, now_ms - MINUTE_MS);
    sqlite3_bind_int64(st, 3, now_ms + MINUTE_MS);
    sqlite3_bind_int64(st, 4, most - 1);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return shut(gate, QUOTA_EXECUTIONS_PER_MINUTE, most,
                    sqlite3_column_int64(st, 0) + MINUTE_MS);
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

/* What @owner has begun and used on the day of @now_ms. */
static int
read_day(struct store *s, const char *owner, int64_t now_ms, int64_t *ret_executions,
         int64_t *ret_cpu_ms, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_USAGE_GET, err);
    int rc;

    if (!st)
        return -EIO;
    *ret_executions = 0;
    *ret_cpu_ms = 0;
    stmt_bind_text(st, 1, owner);
    sqlite3_bind_int64(st, 2, now_ms / DAY_MS);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret_executions = sqlite3_column_int64(st, 0);
        *ret_cpu_ms = sqlite3_column_int64(st, 1);
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

static int
check_day(struct store *s, const char *owner, int64_t now_ms, struct quota_gate *gate,
          struct error *err)
{
    int64_t most = gate->quotas->most[QUOTA_EXECUTIONS_PER_DAY];
    int64_t most_cpu = gate->quotas->most[QUOTA_CPU_SECONDS_PER_DAY];
    int64_t executions = 0, cpu_ms = 0;
    int64_t tomorrow_ms = (now_ms / DAY_MS + 1) * DAY_MS;
    int r;

    if (most == 0 && most_cpu == 0)
        return 0;
    r = read_day(s, owner, now_ms, &executions, &cpu_ms, err);
    if (r == 0 && most > 0 && executions >= most)
        r = shut(gate, QUOTA_EXECUTIONS_PER_DAY, executions, tomorrow_ms);
    if (r == 0 && most_cpu > 0 && cpu_ms >= most_cpu * 1000)
        r = shut(gate, QUOTA_CPU_SECONDS_PER_DAY, cpu_ms / 1000, tomorrow_ms);
    return r;
}

static int
check_disk(struct store *s, const char *owner, struct quota_gate *gate, struct error *err)
{
    return check_count(s, STMT_DISK_USED, owner, INT64_C(1) << 20, QUOTA_DISK_MB, gate, err);
}

/* Whether @owner may begin one more execution. */
static int
check_execution(struct store *s, const char *owner, int64_t now_ms, struct quota_gate *gate,
                struct error *err)
{
    int r = check_day(s, owner, now_ms, gate, err);

    if (r == 0)
        r = check_minute(s, owner, now_ms, gate, err);
    if (r == 0)
        r = check_disk(s, owner, gate, err);
    return r < 0 ? r
                 : check_count(s, STMT_AUDIT_RUNNING, owner, 1, QUOTA_CONCURRENT_EXECUTIONS, gate,
                               err);
}

/* Add to what @owner has begun and used on the day of @now_ms. */
static int
add_to_day(struct store *s, const char *owner, int64_t now_ms, int64_t executions, int64_t cpu_ms,
           struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_USAGE_ADD, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    sqlite3_bind_int64(st, 2, now_ms / DAY_MS);
    sqlite3_bind_int64(st, 3, executions);
    sqlite3_bind_int64(st, 4, cpu_ms);
    return stmt_run(s, st, err);
}

/* Note the execution among the recent ones, of which those of more than a minute ago go. */
static int
add_recent(struct store *s, const struct audit_entry *e, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *expire = store_stmt(s, STMT_RECENT_EXPIRE, err);
    _cleanup_(stmt_release) sqlite3_stmt *add = store_stmt(s, STMT_RECENT_ADD, err);
    int r;

    if (!expire || !add)
        return -EIO;
    stmt_bind_text(expire, 1, e->owner);
    sqlite3_bind_int64(expire, 2, e->started_at_ms - MINUTE_MS);
    sqlite3_bind_int64(expire, 3, e->started_at_ms + MINUTE_MS);
    r = stmt_run(s, expire, err);
    stmt_bind_text(add, 1, e->owner);
    sqlite3_bind_int64(add, 2, e->started_at_ms);
    stmt_bind_text(add, 3, e->id);
    return r < 0 ? r : stmt_run(s, add, err);
}

int
quota_begin_execution(struct store *s, const struct audit_entry *e, struct quota_gate *gate,
                      struct error *err)
{
    int r = gate ? check_execution(s, e->owner, e->started_at_ms, gate, err) : 0;

    if (r == 0)
        r = add_to_day(s, e->owner, e->started_at_ms, 1, 0, err);
    if (r == 0 && gate && gate->quotas->most[QUOTA_EXECUTIONS_PER_MINUTE] > 0)
        r = add_recent(s, e, err);
    return r;
}

int
quota_end_execution(struct store *s, const struct audit_entry *e, struct error *err)
{
    return e->cpu_ms > 0 ? add_to_day(s, e->owner, e->finished_at_ms, 0, e->cpu_ms, err) : 0;
}

int
quota_check_container(struct store *s, const char *owner, struct quota_gate *gate,
                      struct error *err)
{
    int r = gate ? check_disk(s, owner, gate, err) : 0;

    if (r < 0 || !gate)
        return r;
    return check_count(s, STMT_CONTAINERS_OF, owner, 1, QUOTA_CONTAINERS, gate, err);
}

int
quota_check_snapshot(struct store *s, const char *owner, struct quota_gate *gate, struct error *err)
{
    int r = gate ? check_disk(s, owner, gate, err) : 0;

    if (r < 0 || !gate)
        return r;
    return check_count(s, STMT_SNAPSHOTS_OF, owner, 1, QUOTA_SNAPSHOTS, gate, err);
}

int
store_quota_look(struct store *s, const char *owner, bool new_container, int64_t now_ms,
                 struct quota_gate *gate, struct error *err)
{
    _cleanup_(store_read_done) struct store *reading = NULL;
    int r = store_read_begin(s, &reading, err);

    if (r == 0)
        r = check_execution(s, owner, now_ms, gate, err);
    if (r == 0 && new_container)
        r = quota_check_container(s, owner, gate, err);
    return r;
}

int
store_quota_usage(struct store *s, const char *owner, int64_t now_ms, int64_t ret[QUOTA_COUNT],
                  struct error *err)
{
    static const enum statement counts[QUOTA_COUNT] = {
        [QUOTA_CONTAINERS] = STMT_CONTAINERS_OF,
        [QUOTA_CONCURRENT_EXECUTIONS] = STMT_AUDIT_RUNNING,
        [QUOTA_EXECUTIONS_PER_MINUTE] = STMT_AUDIT_SINCE,
        [QUOTA_DISK_MB] = STMT_DISK_USED,
        [QUOTA_SNAPSHOTS] = STMT_SNAPSHOTS_OF,
    };
    _cleanup_(store_read_done) struct store *reading = NULL;
    int r = store_read_begin(s, &reading, err);

    for (int i = 0; r == 0 && i < QUOTA_COUNT; i++)
        if (counts[i])
            r = count(s, counts[i], owner, now_ms - MINUTE_MS, &ret[i], err);
    if (r == 0)
        r = read_day(s, owner, now_ms, &ret[QUOTA_EXECUTIONS_PER_DAY],
                     &ret[QUOTA_CPU_SECONDS_PER_DAY], err);
    if (r < 0)
        return r;
    ret[QUOTA_CPU_SECONDS_PER_DAY] /= 1000;
    ret[QUOTA_DISK_MB] >>= 20;
    return 0;
}

int
store_container_disk(struct store *s, const char *id, int64_t bytes, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, false, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_CONTAINER_DISK, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    sqlite3_bind_int64(st, 2, bytes);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}
