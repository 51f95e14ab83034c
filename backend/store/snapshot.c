/* Rows of snapshots. */
#include <errno.h>

#include "backend/store/internal.h"

/* Whether the container has room for one more. Inside a write transaction. */
static int
check_count(struct store *s, const char *container_id, int64_t max, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_SNAPSHOT_COUNT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, container_id);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    if (sqlite3_column_int64(st, 0) >= max)
        return error_set(
            err, ERR_QUOTA_EXCEEDED,
            "a container may have %lld snapshots (sandbox.yaml: containers.snapshots_max); "
            "delete one first",
            (long long)max);
    return 0;
}

static int
insert(struct store *s, const struct snapshot *snapshot, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_SNAPSHOT_INSERT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, snapshot->id);
    stmt_bind_text(st, 2, snapshot->container_id);
    stmt_bind_text(st, 3, snapshot->owner);
    stmt_bind_text(st, 4, snapshot->name);
    stmt_bind_text(st, 5, stmt_spell(snapshot_status_names, (int)snapshot->status));
    sqlite3_bind_int64(st, 6, (int64_t)snapshot->worker);
    sqlite3_bind_int64(st, 7, snapshot->size_bytes);
    sqlite3_bind_int64(st, 8, snapshot->created_at_ms);
    return stmt_run(s, st, err);
}

int
store_snapshot_insert(struct store *s, const struct snapshot *snapshot, int64_t max,
                      struct quota_gate *gate, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = check_count(s, snapshot->container_id, max, err);
    if (r == 0)
        r = quota_check_snapshot(s, snapshot->owner, gate, err);
    if (r == 0)
        r = insert(s, snapshot, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Fill @record, a snapshot, from the row that @st stands at. */
static int
read_snapshot(sqlite3_stmt *st, void *record, struct error *err)
{
    struct snapshot *n = record;

    (void)err;
    *n = (struct snapshot){.seq = sqlite3_column_int64(st, 0)};
    column_copy(st, 1, n->id, sizeof(n->id));
    column_copy(st, 2, n->container_id, sizeof(n->container_id));
    column_copy(st, 3, n->owner, sizeof(n->owner));
    column_copy(st, 4, n->name, sizeof(n->name));
    n->status = (enum snapshot_status)column_enum(st, 5, snapshot_status_names);
    n->worker = (uint64_t)sqlite3_column_int64(st, 6);
    n->size_bytes = sqlite3_column_int64(st, 7);
    n->created_at_ms = sqlite3_column_int64(st, 8);
    return 0;
}

static const struct row_kind snapshot_rows = {
    .size = sizeof(struct snapshot),
    .read = read_snapshot,
};

int
store_snapshot_get(struct store *s, const char *container_id, const char *id, struct snapshot *ret,
                   struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_SNAPSHOT_GET, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, container_id);
    stmt_bind_text(st, 2, id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such snapshot");
    return rc == SQLITE_ROW ? read_snapshot(st, ret, err) : store_fail(s, err);
}

int
store_snapshot_list(struct store *s, const struct snapshot_filter *filter, struct snapshot **ret,
                    size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_SNAPSHOT_LIST, err);
    void *list = NULL;
    int r;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, filter->container_id);
    stmt_bind_text(st, 2, stmt_spell(snapshot_status_names, filter->status));
    sqlite3_bind_int64(st, 3, filter->before);
    sqlite3_bind_int64(st, 4, filter->limit);
    r = stmt_read_all(s, st, &snapshot_rows, &list, ret_count, err);
    if (r == 0)
        *ret = list;
    return r;
}

int
store_snapshot_take(struct store *s, const struct snapshot *snapshot, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_SNAPSHOT_TAKE, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, snapshot->id);
    sqlite3_bind_int64(st, 2, (int64_t)snapshot->worker);
    sqlite3_bind_int64(st, 3, snapshot->created_at_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Run @which on @id in a transaction of its own, with @size_bytes for its second parameter (-1: it
 * has none). Synced. */
static int
change(struct store *s, enum statement which, const char *id, int64_t size_bytes, int *ret_changed,
       struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r;

    r = store_tx_begin(s, true, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, which, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    if (size_bytes >= 0)
        sqlite3_bind_int64(st, 2, size_bytes);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    *ret_changed = sqlite3_changes(s->db);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_snapshot_ready(struct store *s, const char *id, int64_t size_bytes, struct error *err)
{
    int changed;
    int r = change(s, STMT_SNAPSHOT_READY, id, size_bytes, &changed, err);

    if (r == 0 && changed == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such snapshot");
    return r;
}

int
store_snapshot_removing(struct store *s, const char *id, struct error *err)
{
    int changed;

    return change(s, STMT_SNAPSHOT_REMOVING, id, -1, &changed, err);
}

int
store_snapshot_delete(struct store *s, const char *id, struct error *err)
{
    int changed;

    return change(s, STMT_SNAPSHOT_DELETE, id, -1, &changed, err);
}
