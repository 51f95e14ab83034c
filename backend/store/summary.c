/* Figures over the executions in the audit log: see store.h. */
#include <errno.h>
#include <string.h>

#include "backend/store/internal.h"

static sqlite3_stmt *
summary_stmt(struct store *s, enum statement which, const struct audit_filter *f, struct error *err)
{
    enum { OF_OWNER = STMT_SUMMARY_TOTALS_OF - STMT_SUMMARY_TOTALS };
    sqlite3_stmt *st = store_stmt(s, f->owner ? (enum statement)(which + OF_OWNER) : which, err);

    if (!st)
        return NULL;
    sqlite3_bind_int64(st, 1, f->since_ms);
    sqlite3_bind_int64(st, 2, f->until_ms ? f->until_ms : INT64_MAX);
    if (f->owner)
        stmt_bind_text(st, 3, f->owner);
    return st;
}

static int
read_totals(struct store *s, const struct audit_filter *f, struct audit_summary *ret,
            struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = summary_stmt(s, STMT_SUMMARY_TOTALS, f, err);

    if (!st)
        return -EIO;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    ret->total = sqlite3_column_int64(st, 0);
    ret->cpu_ms = sqlite3_column_int64(st, 1);
    return 0;
}

static int
read_share(sqlite3_stmt *st, void *record, struct error *err)
{
    struct audit_share *share = record;

    (void)err;
    column_copy(st, 0, share->key, sizeof(share->key));
    share->count = sqlite3_column_int64(st, 1);
    return 0;
}

static const struct row_kind share_rows = {.size = sizeof(struct audit_share), .read = read_share};

static int
read_shares(struct store *s, enum statement which, const struct audit_filter *f,
            struct audit_shares *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = summary_stmt(s, which, f, err);
    void *items = NULL;
    int r;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 4, AUDIT_SHARES_MAX);
    r = stmt_read_all(s, st, &share_rows, &items, &ret->count, err);
    if (r == 0)
        ret->items = items;
    return r;
}

/* The durations come in order, with how many there are of each: a percentile is the first one that
 * is not exceeded by so many of all (nearest rank). */
static int
read_durations(struct store *s, const struct audit_filter *f, struct audit_summary *ret,
               struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = summary_stmt(s, STMT_SUMMARY_DURATION, f, err);
    int64_t before = 0; /* as long or shorter, up to here */
    int rc;

    if (!st)
        return -EIO;
    ret->p50_ms = ret->p95_ms = ret->max_ms = -1;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t ms = sqlite3_column_int64(st, 0), all = sqlite3_column_int64(st, 2);

        before += sqlite3_column_int64(st, 1);
        if (ret->p50_ms < 0 && before * 100 >= all * 50)
            ret->p50_ms = ms;
        if (ret->p95_ms < 0 && before * 100 >= all * 95)
            ret->p95_ms = ms;
        ret->max_ms = ms;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
store_audit_summary(struct store *s, const struct audit_filter *filter, struct audit_summary *ret,
                    struct error *err)
{
    _cleanup_(store_read_done) struct store *reading = NULL;
    struct audit_summary sum = {0};
    int r;

    r = store_read_begin(s, &reading, err);
    if (r == 0)
        r = read_totals(s, filter, &sum, err);
    if (r == 0)
        r = read_shares(s, STMT_SUMMARY_STATUS, filter, &sum.by_status, err);
    if (r == 0)
        r = read_shares(s, STMT_SUMMARY_TIER, filter, &sum.by_tier, err);
    if (r == 0)
        r = read_shares(s, STMT_SUMMARY_AGENT, filter, &sum.by_agent, err);
    if (r == 0)
        r = read_shares(s, STMT_SUMMARY_DAY, filter, &sum.by_day, err);
    if (r == 0)
        r = read_durations(s, filter, &sum, err);
    if (r < 0)
        audit_summary_done(&sum);
    else
        *ret = sum;
    return r;
}
