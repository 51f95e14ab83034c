/* Rows of jobs, one a template, and their logs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/store/internal.h"

enum { LIST_GROWTH = 16, LOG_READ_MAX = 4 << 20 };

/* Fill @j from the row that @st stands at. */
static void
read_job(sqlite3_stmt *st, struct job *j)
{
    *j = (struct job){
        .kind = (enum job_kind)column_enum(st, 1, job_kind_names),
        .status = (enum job_status)column_enum(st, 2, job_status_names),
        .attempts = sqlite3_column_int64(st, 3),
        .created_at_ms = sqlite3_column_int64(st, 5),
        .finished_at_ms = sqlite3_column_int64(st, 6),
    };
    column_copy(st, 0, j->template_name, sizeof(j->template_name));
    column_copy(st, 4, j->error, sizeof(j->error));
    column_copy(st, 7, j->nonce, sizeof(j->nonce));
}

/* Queue it in the transaction at hand. */
static int
queue(struct store *s, const char *template_name, enum job_kind kind, const char *nonce,
      int64_t now_ms, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_JOB_QUEUE, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    stmt_bind_text(st, 2, stmt_spell(job_kind_names, (int)kind));
    sqlite3_bind_int64(st, 3, now_ms);
    stmt_bind_text(st, 4, nonce);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_JOB_RUNNING, "a job of this template is going on; see its log");
    return rc == SQLITE_ROW ? 0 : store_fail(s, err);
}

int
store_job_queue(struct store *s, const char *template_name, enum job_kind kind, const char *nonce,
                int64_t now_ms, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r = store_tx_begin(s, true, &tx, err);

    if (r == 0)
        r = queue(s, template_name, kind, nonce, now_ms, err);
    if (r == 0)
        r = stmt_run_on(s, STMT_JOB_LOG_CLEAR, template_name, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_get(struct store *s, const char *template_name, struct job *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_JOB_GET, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "this template was never built or pulled");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    read_job(st, ret);
    return 0;
}

int
store_job_list(struct store *s, struct job **ret, size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_JOB_LIST, err);
    _cleanup_(freep) struct job *list = NULL;
    size_t count = 0;
    int rc;

    if (!st)
        return -EIO;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (count % LIST_GROWTH == 0) {
            struct job *more = realloc(list, (count + LIST_GROWTH) * sizeof(*list));

            if (!more)
                return error_errno(err, ENOMEM, "jobs");
            list = more;
        }
        read_job(st, &list[count++]);
    }
    if (rc != SQLITE_DONE)
        return store_fail(s, err);
    *ret = TAKE(list);
    *ret_count = count;
    return 0;
}

/* Whether there is one: nobody shall take the writer's lock every second to find none. */
static int
any_queued(struct store *s, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_JOB_QUEUED, err);
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

    if (rc == SQLITE_DONE)
        return -ENOENT;
    return rc == SQLITE_ROW ? 0 : store_fail(s, err);
}

/* Take the oldest in the transaction at hand. */
static int
claim(struct store *s, struct job *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_JOB_CLAIM, err);
    int rc;

    if (!st)
        return -EIO;
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return -ENOENT;
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    read_job(st, ret);
    return stmt_run(s, st, err);
}

int
store_job_claim(struct store *s, struct job *ret, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r = any_queued(s, err);

    if (r == 0)
        r = store_tx_begin(s, false, &tx, err);
    if (r == 0)
        r = claim(s, ret, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_again(struct store *s, const char *template_name, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r = store_tx_begin(s, false, &tx, err);

    if (r == 0)
        r = stmt_run_on(s, STMT_JOB_AGAIN, template_name, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_finish(struct store *s, const char *template_name, const char *error, int64_t now_ms,
                 struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, true, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_JOB_FINISH, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    stmt_bind_text(st, 2, error);
    sqlite3_bind_int64(st, 3, now_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_recover(struct store *s, const char *reason, int64_t now_ms, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, true, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_JOB_RECOVER, err);
    if (!st)
        return -EIO;
    sqlite3_bind_int(st, 1, JOB_ATTEMPTS_MAX);
    stmt_bind_text(st, 2, reason);
    sqlite3_bind_int64(st, 3, now_ms);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_log_add(struct store *s, const char *template_name, const char *text, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r = store_tx_begin(s, false, &tx, err);

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_JOB_LOG_ADD, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    stmt_bind_text(st, 2, text);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_job_log_get(struct store *s, const char *template_name, char **ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = NULL;
    _cleanup_(buf_done) struct buf log;
    struct job job;
    int rc = SQLITE_DONE, r;

    buf_init(&log, LOG_READ_MAX);
    r = store_job_get(s, template_name, &job, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_JOB_LOG_GET, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, template_name);
    while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
        r = buf_append(&log, sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    if (r == 0 && rc != SQLITE_DONE)
        return store_fail(s, err);
    if (r == 0)
        r = buf_append(&log, "", 0); /* an empty log is a string too */
    if (r < 0)
        return error_errno(err, -r, "log of a job");
    *ret = buf_take(&log);
    return 0;
}
