/* Requests with an Idempotency-Key, and their answers. */
#include <errno.h>
#include <string.h>

#include "backend/store/internal.h"

/* The statement @which with the parameters that all of them begin with. */
static sqlite3_stmt *
about(struct store *s, enum statement which, const struct keyed *k, struct error *err)
{
    sqlite3_stmt *st = store_stmt(s, which, err);

    if (st) {
        stmt_bind_text(st, 1, k->owner);
        stmt_bind_text(st, 2, k->key);
    }
    return st;
}

/* As about(), for those that name the attempt, too. */
static sqlite3_stmt *
about_attempt(struct store *s, enum statement which, const struct keyed *k, struct error *err)
{
    sqlite3_stmt *st = about(s, which, k, err);

    if (st)
        stmt_bind_text(st, 3, k->nonce);
    return st;
}

int
store_keyed_get(struct store *s, struct keyed *k, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = about(s, STMT_IDEMPOTENCY_GET, k, err);
    const char *body;
    int rc;

    if (!st)
        return -EIO;
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "no request had this Idempotency-Key");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    keyed_done(k);
    column_copy(st, 0, k->fingerprint, sizeof(k->fingerprint));
    column_copy(st, 1, k->nonce, sizeof(k->nonce));
    k->worker = (uint64_t)sqlite3_column_int64(st, 2);
    k->status = sqlite3_column_int(st, 3);
    body = (const char *)sqlite3_column_text(st, 4);
    k->body = body ? strdup(body) : NULL;
    return body && !k->body ? error_errno(err, ENOMEM, "kept answer") : 0;
}

static int
add(struct store *s, const struct keyed *k, bool *ret_added, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = about(s, STMT_IDEMPOTENCY_ADD, k, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 3, k->fingerprint);
    stmt_bind_text(st, 4, k->nonce);
    sqlite3_bind_int64(st, 5, (int64_t)k->worker);
    sqlite3_bind_int64(st, 6, k->created_at_ms);
    rc = sqlite3_step(st);
    *ret_added = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW)
        rc = sqlite3_step(st);
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
store_keyed_begin(struct store *s, struct keyed *k, bool *ret_added, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = add(s, k, ret_added, err);
    if (r == 0 && !*ret_added)
        r = store_keyed_get(s, k, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

static int
take(struct store *s, const struct keyed *k, uint64_t worker, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = about_attempt(s, STMT_IDEMPOTENCY_TAKE, k, err);
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 4, (int64_t)k->worker);
    sqlite3_bind_int64(st, 5, (int64_t)worker);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_CONFLICT, "another attempt of this request goes on");
    return rc == SQLITE_ROW ? stmt_run(s, st, err) : store_fail(s, err);
}

int
store_keyed_take(struct store *s, const struct keyed *k, uint64_t worker, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = take(s, k, worker, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

static int
answer(struct store *s, const struct keyed *k, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = about_attempt(s, STMT_IDEMPOTENCY_ANSWER, k, err);

    if (!st)
        return -EIO;
    sqlite3_bind_int(st, 4, k->status);
    if (k->body)
        sqlite3_bind_text(st, 5, k->body, -1, SQLITE_STATIC);
    return stmt_run(s, st, err);
}

int
store_keyed_answer(struct store *s, const struct keyed *k, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, k->body != NULL, &tx, err);
    if (r == 0)
        r = answer(s, k, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Run @st in a transaction of its own that nobody is told of. */
static int
run_alone(struct store *s, sqlite3_stmt *st, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = stmt_run(s, st, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_keyed_forget(struct store *s, const struct keyed *k, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = about_attempt(s, STMT_IDEMPOTENCY_FORGET, k, err);

    return st ? run_alone(s, st, err) : -EIO;
}

int
store_keyed_expire(struct store *s, int64_t before_ms, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_IDEMPOTENCY_EXPIRE, err);

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, before_ms);
    return run_alone(s, st, err);
}
