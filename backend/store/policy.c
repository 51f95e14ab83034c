/* What is kept of configuration: PUT config's overrides, and the uids of owners. */
#include <errno.h>

#include "backend/store/internal.h"

int
store_override_get(struct store *s, json_t **ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OVERRIDE_GET, err);
    json_t *policy;

    if (!st)
        return -EIO;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    policy = json_loads((const char *)sqlite3_column_text(st, 0), 0, NULL);
    if (!policy)
        return error_set(err, ERR_INTERNAL, "the stored overrides cannot be read");
    *ret = policy;
    return 0;
}

static int
override_set(struct store *s, json_t *policy, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OVERRIDE_SET, err);
    _cleanup_(freep) char *text = json_dumps(policy, JSON_COMPACT);

    if (!st)
        return -EIO;
    if (!text)
        return error_errno(err, ENOMEM, "overrides");
    sqlite3_bind_text(st, 1, text, -1, SQLITE_TRANSIENT);
    return stmt_run(s, st, err);
}

int
store_override_change(struct store *s, store_override_fn change, void *arg, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    json_auto_t *stored = NULL;
    json_auto_t *changed = NULL;
    int r;

    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = store_override_get(s, &stored, err);
    if (r == 0)
        r = change(stored, arg, &changed, err);
    if (r == 0)
        r = override_set(s, changed, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

static int
owner_get(struct store *s, const char *owner, int64_t *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OWNER_GET, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    else if (rc != SQLITE_DONE)
        return store_fail(s, err);
    return rc == SQLITE_ROW ? 0 : -ENOENT;
}

static int
owner_add(struct store *s, const char *owner, int64_t first, int64_t last, int64_t *ret,
          struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OWNER_ADD, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    sqlite3_bind_int64(st, 2, first);
    sqlite3_bind_int64(st, 3, last);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_QUOTA_EXCEEDED,
                         "every uid of service.uid_first to uid_last has an owner; ask the admin");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    *ret = sqlite3_column_int64(st, 0);
    return stmt_run(s, st, err);
}

int
store_owner_uid(struct store *s, const char *owner, int64_t first, int64_t last, int64_t *ret,
                struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int64_t uid = 0;
    int r;

    r = owner_get(s, owner, ret, err);
    if (r != -ENOENT)
        return r;
    r = store_tx_begin(s, true, &tx, err);
    if (r < 0)
        return r;
    r = owner_get(s, owner, &uid, err);
    if (r == -ENOENT)
        r = owner_add(s, owner, first, last, &uid, err);
    if (r == 0)
        r = store_tx_commit(&tx, err);
    if (r == 0)
        *ret = uid;
    return r;
}
