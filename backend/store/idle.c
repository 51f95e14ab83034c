/* What no execution uses: which containers are idle, and taking them away from whoever comes. */
#include <errno.h>
#include <stdlib.h>

#include "backend/store/internal.h"

/* Read the ids that @st gives, @limit of them at most. */
static int
read_ids(struct store *s, sqlite3_stmt *st, size_t limit, char (**ret)[CONTAINER_ID_SIZE],
         size_t *ret_count, struct error *err)
{
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = calloc(limit, sizeof(*ids));
    size_t count = 0;
    int rc;

    if (!ids)
        return error_errno(err, ENOMEM, "ids of containers");
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && count < limit)
        column_copy(st, 0, ids[count++], sizeof(ids[0]));
    if (rc != SQLITE_DONE)
        return store_fail(s, err);
    *ret = TAKE(ids);
    *ret_count = count;
    return 0;
}

int
store_idle_list(struct store *s, const char *owner, int64_t before_ms, bool running, size_t limit,
                char (**ret)[CONTAINER_ID_SIZE], size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_IDLE_LIST, err);

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, before_ms);
    stmt_bind_text(st, 2, owner);
    sqlite3_bind_int(st, 3, running);
    sqlite3_bind_int64(st, 4, (int64_t)limit);
    return read_ids(s, st, limit, ret, ret_count, err);
}

int
store_container_used(struct store *s, int64_t since_ms, const char *after, size_t limit,
                     char (**ret)[CONTAINER_ID_SIZE], size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_USED, err);

    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, after, -1, SQLITE_STATIC); /* "" is not NULL here */
    sqlite3_bind_int64(st, 2, since_ms);
    sqlite3_bind_int64(st, 3, (int64_t)limit);
    return read_ids(s, st, limit, ret, ret_count, err);
}

/* Run @which, which changes the row of @id if it is idle since @before_ms. */
static int
take(struct store *s, enum statement which, const char *id, int64_t before_ms, bool *ret,
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
    sqlite3_bind_int64(st, 1, before_ms);
    stmt_bind_text(st, 2, id);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    *ret = sqlite3_changes(s->db) > 0;
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_idle_removing(struct store *s, const char *id, int64_t before_ms, bool *ret,
                    struct error *err)
{
    return take(s, STMT_IDLE_REMOVING, id, before_ms, ret, err);
}

int
store_idle_stopped(struct store *s, const char *id, int64_t before_ms, bool *ret, struct error *err)
{
    return take(s, STMT_IDLE_STOPPED, id, before_ms, ret, err);
}

int
store_container_known(struct store *s, const char *id, bool *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_KNOWN, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    *ret = sqlite3_column_int(st, 0) != 0;
    return 0;
}
