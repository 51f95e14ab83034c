/* Rows of bearer tokens. */
#include <errno.h>

#include <sodium.h>

#include "backend/store/internal.h"

enum { HASH_COLUMN = 7 }; /* of STMT_TOKEN_BY_HASH */

/* Whether the owner has room for one more. Inside a write transaction. */
static int
check_count(struct store *s, const struct token *t, int64_t max, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_COUNT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, t->owner);
    stmt_bind_text(st, 2, t->id);
    sqlite3_bind_int64(st, 3, t->created_at_ms);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    if (sqlite3_column_int64(st, 0) >= max)
        return error_set(err, ERR_QUOTA_EXCEEDED, "a user may have %lld tokens; revoke one first",
                         (long long)max);
    return 0;
}

static int
put(struct store *s, const struct token *t, const unsigned char hash[TOKEN_HASH_BYTES],
    struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_PUT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, t->id);
    stmt_bind_text(st, 2, t->owner);
    stmt_bind_text(st, 3, t->name);
    sqlite3_bind_blob(st, 4, hash, TOKEN_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, t->created_at_ms);
    if (t->expires_at_ms)
        sqlite3_bind_int64(st, 6, t->expires_at_ms);
    return stmt_run(s, st, err);
}

int
store_token_put(struct store *s, const struct token *t, const unsigned char hash[TOKEN_HASH_BYTES],
                int64_t max, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = check_count(s, t, max, err);
    if (r == 0)
        r = put(s, t, hash, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Fill @record, a token, from the row that @st stands at. */
static int
read_token(sqlite3_stmt *st, void *record, struct error *err)
{
    struct token *t = record;

    (void)err;
    *t = (struct token){.seq = sqlite3_column_int64(st, 0)};
    column_copy(st, 1, t->id, sizeof(t->id));
    column_copy(st, 2, t->owner, sizeof(t->owner));
    column_copy(st, 3, t->name, sizeof(t->name));
    t->created_at_ms = sqlite3_column_int64(st, 4);
    t->expires_at_ms = sqlite3_column_int64(st, 5);
    t->last_used_at_ms = sqlite3_column_int64(st, 6);
    return 0;
}

static const struct row_kind token_rows = {.size = sizeof(struct token), .read = read_token};

/*
 * How long the index takes to find a hash tells nothing: who does not have the key cannot choose
 * one. It is compared in constant time all the same, so that nothing hangs on that thought.
 */
int
store_token_by_hash(struct store *s, const unsigned char hash[TOKEN_HASH_BYTES], struct token *ret,
                    struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_BY_HASH, err);
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 1, hash, TOKEN_HASH_BYTES, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return store_fail(s, err);
    if (rc == SQLITE_DONE || sqlite3_column_bytes(st, HASH_COLUMN) != TOKEN_HASH_BYTES ||
        sodium_memcmp(sqlite3_column_blob(st, HASH_COLUMN), hash, TOKEN_HASH_BYTES) != 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such token");
    return read_token(st, ret, err);
}

int
store_token_list(struct store *s, const struct token_filter *filter, struct token **ret,
                 size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_LIST, err);
    void *list = NULL;
    int r;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, filter->owner);
    sqlite3_bind_int64(st, 2, filter->before);
    sqlite3_bind_int64(st, 3, filter->limit);
    r = stmt_read_all(s, st, &token_rows, &list, ret_count, err);
    if (r == 0)
        *ret = list;
    return r;
}

static int
erase(struct store *s, const char *id, struct token *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_DELETE, err);
    int rc, r;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such token");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    r = read_token(st, ret, err);
    return r < 0 ? r : stmt_run(s, st, err);
}

int
store_token_delete(struct store *s, const char *id, struct token *ret, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = erase(s, id, ret, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

static int
note_use(struct store *s, int64_t seq, int64_t now_ms, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TOKEN_USED, err);

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, seq);
    sqlite3_bind_int64(st, 2, now_ms);
    return stmt_run(s, st, err);
}

int
store_token_used(struct store *s, const int64_t *seqs, size_t count, int64_t now_ms,
                 struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = note_use(s, seqs[i], now_ms, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_token_expire(struct store *s, int64_t before_ms, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_TOKEN_EXPIRE, err);
    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, before_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}
