/* Rows of the pool: containers that nobody owns yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/internal.h"

enum { LIST_GROWTH = 64 };

const char *const pool_status_names[] = {"warming", "ready", "draining", NULL};

int
store_pool_insert(struct store *s, const struct pool_entry *e, bool *ret, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, false, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_POOL_INSERT, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, e->id);
    stmt_bind_text(st, 2, e->template_name);
    stmt_bind_text(st, 3, e->tier);
    stmt_bind_text(st, 4, e->fingerprint);
    stmt_bind_text(st, 5, stmt_spell(pool_status_names, (int)e->status));
    sqlite3_bind_int64(st, 6, e->created_at_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    *ret = sqlite3_changes(s->db) > 0;
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Run @which on @id in a transaction of its own; *ret: whether there was such a row. */
static int
change(struct store *s, enum statement which, const char *id, bool *ret, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, false, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, which, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    *ret = sqlite3_changes(s->db) > 0;
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_pool_ready(struct store *s, const char *id, bool *ret, struct error *err)
{
    return change(s, STMT_POOL_READY, id, ret, err);
}

int
store_pool_drain_one(struct store *s, const char *id, bool *ret, struct error *err)
{
    return change(s, STMT_POOL_DRAIN, id, ret, err);
}

int
store_pool_delete(struct store *s, const char *id, struct error *err)
{
    bool ignored;

    return change(s, STMT_POOL_DELETE, id, &ignored, err);
}

int
store_pool_list(struct store *s, struct pool_entry **ret, size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_POOL_LIST, err);
    _cleanup_(freep) struct pool_entry *list = NULL;
    size_t count = 0;
    int rc;

    if (!st)
        return -EIO;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct pool_entry *e;

        if (count % LIST_GROWTH == 0) {
            e = reallocarray(list, count + LIST_GROWTH, sizeof(*list));
            if (!e)
                return error_errno(err, ENOMEM, "list of the pool");
            list = e;
        }
        e = &list[count++];
        *e = (struct pool_entry){.created_at_ms = sqlite3_column_int64(st, 5)};
        column_copy(st, 0, e->id, sizeof(e->id));
        column_copy(st, 1, e->template_name, sizeof(e->template_name));
        column_copy(st, 2, e->tier, sizeof(e->tier));
        column_copy(st, 3, e->fingerprint, sizeof(e->fingerprint));
        e->status = (enum pool_status)column_enum(st, 4, pool_status_names);
    }
    if (rc != SQLITE_DONE)
        return store_fail(s, err);
    *ret = TAKE(list);
    *ret_count = count;
    return 0;
}

/* Take the oldest that is ready and was made of the same out of the pool; "" if there is none. */
static int
take_oldest(struct store *s, const char *fingerprint, const struct container *c,
            char ret_id[CONTAINER_ID_SIZE], struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_POOL_TAKE, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, c->template_name);
    stmt_bind_text(st, 2, c->tier);
    stmt_bind_text(st, 3, fingerprint);
    ret_id[0] = '\0';
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return 0;
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    column_copy(st, 0, ret_id, CONTAINER_ID_SIZE);
    return stmt_run(s, st, err);
}

static int
count_request(struct store *s, const struct container *c, bool claimed, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_POOL_COUNT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, c->template_name);
    stmt_bind_text(st, 2, c->tier);
    sqlite3_bind_int(st, 3, claimed);
    return stmt_run(s, st, err);
}

int
store_pool_claim(struct store *s, const char *fingerprint, struct container *c,
                 struct quota_gate *gate, bool *ret, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    char id[CONTAINER_ID_SIZE] = "";
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = take_oldest(s, fingerprint, c, id, err);
    if (r == 0)
        r = count_request(s, c, id[0], err);
    if (r == 0 && id[0]) {
        memcpy(c->id, id, sizeof(id));
        r = container_insert(s, c, gate, err);
    }
    if (r == 0)
        r = store_tx_commit(&tx, err);
    *ret = r == 0 && id[0];
    return r;
}

int
store_pool_figures(struct store *s, const char *template_name, const char *tier,
                   struct pool_figures *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_POOL_FIGURES, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    stmt_bind_text(st, 2, tier);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    *ret = (struct pool_figures){
        .ready = sqlite3_column_int64(st, 0),
        .warming = sqlite3_column_int64(st, 1),
        .claimed = sqlite3_column_int64(st, 2),
        .missed = sqlite3_column_int64(st, 3),
        .held = sqlite3_column_int(st, 4) != 0,
    };
    return 0;
}

int
store_pool_hold(struct store *s, const char *template_name, const char *tier, bool held,
                struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, true, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_POOL_HOLD, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    stmt_bind_text(st, 2, tier);
    sqlite3_bind_int(st, 3, held);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_pool_release(struct store *s, struct error *err)
{
    bool ignored;

    return change(s, STMT_POOL_RELEASE, NULL, &ignored, err);
}
