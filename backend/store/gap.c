/*
 * Taking old entries out of the audit log without breaking its chain. First, in one transaction,
 * the positions are given up: noted as gaps, with a change entry that vouches for all the gaps
 * there are by a hash over them, and that is in the chain itself. Only then are the rows deleted,
 * by and by: whoever dies on the way leaves gaps with rows in them, which the next cleanup or the
 * janitor deletes.
 */
#include <errno.h>
#include <string.h>

#include "backend/store/internal.h"

enum {
    RANGES_MAX = 256,             /* that one transaction gives up */
    PURGE_ROWS = 500,             /* that one transaction deletes, */
    PURGE_BYTES = 8 * 1024 * 1024 /* and how much output with them */
};

/* Positions without one between them that stays. */
struct range {
    int64_t first, last;
    char hash[HASH_SIZE]; /* of the last */
};

/* Find the finished entries that started before @before_ms: *ret_count ranges, and whether there
 * are more than RANGES_MAX. What is finished does not change, so no lock is held. */
static int
find_ranges(struct store *s, int64_t before_ms, struct range *ranges, size_t *ret_count,
            bool *ret_more, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_RETIRE_LIST, err);
    size_t n = 0;
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, before_ms);
    *ret_more = false;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t position = sqlite3_column_int64(st, 0);

        if (n == 0 || ranges[n - 1].last + 1 != position) {
            *ret_more = n == RANGES_MAX;
            if (*ret_more)
                break;
            ranges[n++].first = position;
        }
        ranges[n - 1].last = position;
        column_copy(st, 1, ranges[n - 1].hash, HASH_SIZE);
    }
    *ret_count = n;
    return rc == SQLITE_DONE || *ret_more ? 0 : store_fail(s, err);
}

/* Widen @range by the gaps that it touches, and take these out of the table. */
static int
take_touching(struct store *s, struct range *range, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_GAP_TAKE, err);
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, range->first);
    sqlite3_bind_int64(st, 2, range->last);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(st, 0), last = sqlite3_column_int64(st, 1);

        if (first < range->first)
            range->first = first;
        if (last > range->last) {
            range->last = last;
            column_copy(st, 2, range->hash, HASH_SIZE);
        }
    }
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

static int
add_gap(struct store *s, struct range *range, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_GAP_ADD, err);
    int r;

    if (!st)
        return -EIO;
    r = take_touching(s, range, err);
    if (r < 0)
        return r;
    sqlite3_bind_int64(st, 1, range->first);
    sqlite3_bind_int64(st, 2, range->last);
    sqlite3_bind_text(st, 3, range->hash, -1, SQLITE_STATIC);
    return stmt_run(s, st, err);
}

/* Gaps that nobody vouches for are not signed off by the way: that would hide who made them. */
static int
read_trusted(struct store *s, struct gaps *ret, struct error *err)
{
    int r = gaps_read(s, ret, err);

    if (r < 0 || ret->signed_off)
        return r;
    return error_set(err, ERR_CONFLICT,
                     "the audit log's chain is broken; see 'sandboxd audit verify'");
}

static int
note_signer(struct store *s, const char *id, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CHAIN_SIGN, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    return stmt_run(s, st, err);
}

/* Leave the entry @by, which vouches for the gaps as they are now; @removed more than before. */
static int
sign(struct store *s, const struct audit_entry *by, int64_t before_ms, const struct gaps *gaps,
     int64_t removed, struct error *err)
{
    char before[TIMESTAMP_SIZE];
    struct audit_entry e = *by;
    json_auto_t *details = NULL;
    _cleanup_(freep) char *text = NULL;
    int r;

    time_format(before_ms, before);
    details = json_pack("{s:n, s:{s:s, s:I, s:I, s:I, s:I, s:s}}", "before", "after",
                        "started_before", before, "removed", (json_int_t)removed, "removed_in_all",
                        (json_int_t)gaps->positions, "cleanups", (json_int_t)gaps->cleanups + 1,
                        "gaps", (json_int_t)gaps->count, "gaps_hash", gaps->hash);
    text = details ? json_dumps(details, JSON_COMPACT) : NULL;
    if (!text)
        return error_errno(err, ENOMEM, "cleanup entry");
    e.details = text;
    r = audit_append(s, &e, err);
    return r < 0 ? r : note_signer(s, e.id, err);
}

/* Make gaps of the ranges, inside a transaction. *ret_removed may be 0: another cleanup was faster.
 */
static int
give_up(struct store *s, struct range *ranges, size_t count, int64_t before_ms,
        const struct audit_entry *by, int64_t *ret_removed, struct error *err)
{
    struct gaps old = {0}, now = {0};
    int r = read_trusted(s, &old, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_gap(s, &ranges[i], err);
    if (r == 0)
        r = gaps_read(s, &now, err);
    if (r < 0)
        return r;
    now.cleanups = old.cleanups;
    *ret_removed = now.positions - old.positions;
    return *ret_removed > 0 ? sign(s, by, before_ms, &now, *ret_removed, err) : 0;
}

int
store_audit_retire(struct store *s, int64_t before_ms, const struct audit_entry *by,
                   int64_t *ret_removed, bool *ret_more, struct error *err)
{
    _cleanup_(freep) struct range *ranges = calloc(RANGES_MAX, sizeof(*ranges));
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    size_t count = 0;
    int r;

    if (!ranges)
        return error_errno(err, ENOMEM, "cleanup");
    *ret_removed = 0;
    r = find_ranges(s, before_ms, ranges, &count, ret_more, err);
    if (r < 0 || count == 0)
        return r;
    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = give_up(s, ranges, count, before_ms, by, ret_removed, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* A figure of the database file's. */
static int
figure(struct store *s, enum statement which, int64_t *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);

    if (!st)
        return -EIO;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    *ret = sqlite3_column_int64(st, 0);
    return 0;
}

int
store_used_bytes(struct store *s, int64_t *ret, struct error *err)
{
    int64_t size = 0, count = 0, unused = 0;
    int r = figure(s, STMT_PAGE_SIZE, &size, err);

    if (r == 0)
        r = figure(s, STMT_PAGE_COUNT, &count, err);
    if (r == 0)
        r = figure(s, STMT_PAGE_FREE, &unused, err);
    if (r == 0)
        *ret = (count - unused) * size;
    return r;
}

static int
delete_batch(struct store *s, int *ret_rows, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_PURGE, err);
    int r;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, PURGE_ROWS);
    sqlite3_bind_int64(st, 2, PURGE_BYTES);
    r = stmt_run(s, st, err);
    *ret_rows = sqlite3_changes(s->db);
    return r;
}

int
store_audit_purge(struct store *s, int64_t *freed_bytes, bool *ret_more, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int64_t before = 0, after = 0;
    struct gaps gaps;
    int rows = 0, r;

    *ret_more = false;
    r = read_trusted(s, &gaps, err);
    if (r < 0 || gaps.count == 0)
        return r;
    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = store_used_bytes(s, &before, err);
    if (r == 0)
        r = delete_batch(s, &rows, err);
    if (r == 0)
        r = store_used_bytes(s, &after, err);
    if (r == 0)
        r = store_tx_commit(&tx, err);
    if (r < 0)
        return r;
    *freed_bytes += before > after ? before - after : 0;
    *ret_more = rows > 0;
    return 0;
}

int
store_audit_oldest(struct store *s, int64_t share, int64_t of, int64_t *ret_ms, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_AUDIT_NTH, err);
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, share);
    sqlite3_bind_int64(st, 2, of);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return -ENOENT;
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    *ret_ms = sqlite3_column_int64(st, 0);
    return 0;
}
