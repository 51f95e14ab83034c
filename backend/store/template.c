/* Rows of templates made through the API. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/internal.h"

enum { LIST_GROWTH = 16 };

int
store_template_insert(struct store *s, const struct template_row *t, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int rc, r;

    r = store_tx_begin(s, true, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_TEMPLATE_INSERT, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, t->name);
    stmt_bind_text(st, 2, t->image);
    stmt_bind_text(st, 3, t->dockerfile);
    stmt_bind_text(st, 4, t->files ? t->files : "{}");
    sqlite3_bind_int64(st, 5, t->created_at_ms);
    stmt_bind_text(st, 6, t->nonce);
    rc = sqlite3_step(st);
    if (rc == SQLITE_CONSTRAINT && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        r = error_set(err, ERR_CONFLICT, "there is a template called '%s' already", t->name);
    else if (rc != SQLITE_DONE)
        r = store_fail(s, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Fill @t from the row that @st stands at. */
static int
read_template(sqlite3_stmt *st, struct template_row *t, struct error *err)
{
    const char *dockerfile = (const char *)sqlite3_column_text(st, 2);
    const char *files = (const char *)sqlite3_column_text(st, 3);

    *t = (struct template_row){
        .dockerfile = dockerfile ? strdup(dockerfile) : NULL,
        .files = strdup(files),
        .removing = sqlite3_column_int(st, 4) != 0,
        .created_at_ms = sqlite3_column_int64(st, 5),
        .updated_at_ms = sqlite3_column_int64(st, 6),
    };
    column_copy(st, 0, t->name, sizeof(t->name));
    column_copy(st, 1, t->image, sizeof(t->image));
    column_copy(st, 7, t->nonce, sizeof(t->nonce));
    if (t->files && (!dockerfile || t->dockerfile))
        return 0;
    template_row_done(t);
    return error_errno(err, ENOMEM, "template");
}

static int
get_one(struct store *s, enum statement which, const char *name, struct template_row *ret,
        struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, name);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such template");
    return rc == SQLITE_ROW ? read_template(st, ret, err) : store_fail(s, err);
}

int
store_template_get(struct store *s, const char *name, struct template_row *ret, struct error *err)
{
    return get_one(s, STMT_TEMPLATE_GET, name, ret, err);
}

int
store_template_source(struct store *s, const char *name, struct template_row *ret,
                      struct error *err)
{
    return get_one(s, STMT_TEMPLATE_SOURCE, name, ret, err);
}

int
store_template_list(struct store *s, struct template_row **ret, size_t *ret_count,
                    struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TEMPLATE_LIST, err);
    struct template_row *list = NULL;
    size_t count = 0;
    int rc = SQLITE_DONE, r = st ? 0 : -EIO;

    while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (count % LIST_GROWTH == 0) {
            struct template_row *more = realloc(list, (count + LIST_GROWTH) * sizeof(*list));

            if (!more) {
                r = error_errno(err, ENOMEM, "templates");
                break;
            }
            list = more;
        }
        r = read_template(st, &list[count], err);
        count += r == 0;
    }
    if (r == 0 && rc != SQLITE_DONE)
        r = store_fail(s, err);
    if (r < 0) {
        store_template_list_free(list, count);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

void
store_template_list_free(struct template_row *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        template_row_done(&list[i]);
    free(list);
}

/* Refuse to remove what is in use; in the transaction that notes the removal. */
static int
check_unused(struct store *s, const char *name, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_TEMPLATE_USED, err);
    long long containers, pooled;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, name);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    containers = sqlite3_column_int64(st, 0);
    pooled = sqlite3_column_int64(st, 1);
    if (containers > 0)
        return error_set(err, ERR_TEMPLATE_IN_USE,
                         "%lld container%s of this template; remove %s first", containers,
                         containers == 1 ? " is" : "s are", containers == 1 ? "it" : "them");
    if (pooled > 0)
        return error_set(err, ERR_TEMPLATE_IN_USE,
                         "the pool holds %lld container%s of this template; drain it first", pooled,
                         pooled == 1 ? "" : "s");
    return 0;
}

static int
check_idle(struct store *s, const char *name, struct error *err)
{
    struct job job;
    int r = store_job_get(s, name, &job, err);

    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    if (r == 0 && (job.status == JOB_QUEUED || job.status == JOB_RUNNING))
        return error_set(err, ERR_JOB_RUNNING, "a %s of this template is going on",
                         job_kind_names[job.kind - 1]);
    return r;
}

int
store_template_removing(struct store *s, const char *name, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    struct template_row row = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = store_template_get(s, name, &row, err);
    template_row_done(&row);
    if (r == 0)
        r = check_idle(s, name, err);
    if (r == 0)
        r = check_unused(s, name, err);
    if (r == 0)
        r = stmt_run_on(s, STMT_TEMPLATE_REMOVING, name, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_template_touch(struct store *s, const char *name, int64_t now_ms, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, false, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_TEMPLATE_TOUCH, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, name);
    sqlite3_bind_int64(st, 2, now_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_template_delete(struct store *s, const char *name, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r = store_tx_begin(s, true, &tx, err);

    if (r == 0)
        r = stmt_run_on(s, STMT_JOB_DELETE, name, err);
    if (r == 0)
        r = stmt_run_on(s, STMT_TEMPLATE_DELETE, name, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}
