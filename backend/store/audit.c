/* Rows of the audit log, and their output. The hash chain over them is chain.c's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/internal.h"

static int
insert(struct store *s, const struct audit_entry *e, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_AUDIT_BEGIN, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, e->id);
    stmt_bind_text(st, 2, stmt_spell(audit_kind_names, (int)e->kind));
    stmt_bind_text(st, 3, e->owner);
    stmt_bind_text(st, 4, e->agent_id);
    stmt_bind_text(st, 5, e->session_id);
    stmt_bind_text(st, 6, e->container_id);
    stmt_bind_text(st, 7, e->tier);
    stmt_bind_text(st, 8, e->template_name);
    sqlite3_bind_text(st, 9, e->command, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 10, e->started_at_ms);
    stmt_bind_text(st, 11, e->request_id);
    sqlite3_bind_int64(st, 12, (int64_t)e->worker);
    stmt_bind_text(st, 13, e->details);
    sqlite3_bind_int(st, 14, e->background);
    sqlite3_bind_int64(st, 15, e->output_cap);
    rc = sqlite3_step(st);
    if (rc == SQLITE_CONSTRAINT && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_UNIQUE)
        return error_set(err, ERR_CONFLICT, "the audit has this entry already");
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

/* Count the execution in its container's row. */
static int
count_execution(struct store *s, const struct audit_entry *e, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_COUNT, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, e->container_id);
    sqlite3_bind_int64(st, 2, e->finished_at_ms);
    return stmt_run(s, st, err);
}

/* Refuse an entry whose container has been stopped meanwhile. */
static int
check_container(struct store *s, const struct audit_entry *e, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_AUDIT_STOPPED, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, e->container_id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return error_set(err, ERR_CONTAINER_NOT_RUNNING, "the container was stopped meanwhile");
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
store_audit_begin(struct store *s, const struct audit_entry *e, struct quota_gate *gate,
                  struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    /* Of one in the background, the client is told now. */
    r = store_tx_begin(s, e->background, &tx, err);
    if (r == 0)
        r = check_container(s, e, err);
    if (r == 0)
        r = quota_begin_execution(s, e, gate, err);
    if (r == 0)
        r = insert(s, e, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

static int
add_output(struct store *s, int64_t seq, const struct audit_output *o, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OUTPUT_ADD, err);

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, seq);
    sqlite3_bind_blob64(st, 2, o->out ? o->out : "", o->out_len, SQLITE_STATIC);
    sqlite3_bind_blob64(st, 3, o->errout ? o->errout : "", o->errout_len, SQLITE_STATIC);
    sqlite3_bind_int(st, 4, o->out_truncated);
    sqlite3_bind_int(st, 5, o->errout_truncated);
    sqlite3_bind_int64(st, 6, (int64_t)o->out_head);
    sqlite3_bind_int64(st, 7, (int64_t)o->errout_head);
    return stmt_run(s, st, err);
}

/* Write the outcome into the row, whose output hashes to @output_hash ("": it has none); *ret_seq
 * is the row's. ERR_CONFLICT if it is not running. */
static int
finish(struct store *s, const struct audit_entry *e, const char *output_hash, int64_t *ret_seq,
       struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = NULL;
    int64_t position = 0;
    char hash[HASH_SIZE];
    int rc, r;

    r = chain_append(s, e, output_hash, &position, hash, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_AUDIT_FINISH, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, e->id);
    stmt_bind_text(st, 2, stmt_spell(audit_status_names, (int)e->status));
    sqlite3_bind_int64(st, 3, e->finished_at_ms);
    sqlite3_bind_int64(st, 4, e->duration_ms);
    sqlite3_bind_int64(st, 5, e->cpu_ms);
    if (e->exit_code >= 0)
        sqlite3_bind_int(st, 6, e->exit_code);
    stmt_bind_text(st, 7, e->signal);
    sqlite3_bind_int64(st, 8, (int64_t)e->stdout_bytes);
    sqlite3_bind_int64(st, 9, (int64_t)e->stderr_bytes);
    sqlite3_bind_int64(st, 10, position);
    sqlite3_bind_text(st, 11, hash, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 12, e->max_memory_kib);
    stmt_bind_text(st, 13, output_hash);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_CONFLICT, "the execution has been recorded as ended already");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    *ret_seq = sqlite3_column_int64(st, 0);
    return stmt_run(s, st, err);
}

int
store_audit_finish(struct store *s, const struct audit_entry *e, const struct audit_output *output,
                   bool count, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    bool kept = output && output->out_len + output->errout_len > 0;
    char output_hash[HASH_SIZE] = "";
    int64_t seq = 0;
    int r;

    if (kept)
        chain_output_hash(output, output_hash); /* before others wait for the lock */
    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = finish(s, e, output_hash, &seq, err);
    if (r == 0 && kept)
        r = add_output(s, seq, output, err);
    if (r == 0)
        r = quota_end_execution(s, e, err);
    if (r == 0 && count)
        r = count_execution(s, e, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
audit_append(struct store *s, const struct audit_entry *e, struct error *err)
{
    int64_t seq = 0;
    int r = insert(s, e, err);

    return r < 0 ? r : finish(s, e, "", &seq, err);
}

int
store_audit_insert(struct store *s, const struct audit_entry *e, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = audit_append(s, e, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_audit_insert_all(struct store *s, const struct audit_entry *entries, size_t count,
                       struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r;

    r = store_tx_begin(s, false, &tx, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = audit_append(s, &entries[i], err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
audit_read(sqlite3_stmt *st, struct audit_entry *e, struct error *err)
{
    *e = (struct audit_entry){.seq = sqlite3_column_int64(st, 0)};
    column_copy(st, 1, e->id, sizeof(e->id));
    e->kind = (enum audit_kind)column_enum(st, 2, audit_kind_names);
    column_copy(st, 3, e->owner, sizeof(e->owner));
    column_copy(st, 4, e->agent_id, sizeof(e->agent_id));
    column_copy(st, 5, e->session_id, sizeof(e->session_id));
    column_copy(st, 6, e->container_id, sizeof(e->container_id));
    column_copy(st, 7, e->tier, sizeof(e->tier));
    column_copy(st, 8, e->template_name, sizeof(e->template_name));
    e->status = (enum audit_status)column_enum(st, 10, audit_status_names);
    e->started_at_ms = sqlite3_column_int64(st, 11);
    e->finished_at_ms = sqlite3_column_int64(st, 12);
    e->duration_ms = sqlite3_column_int64(st, 13);
    e->cpu_ms = sqlite3_column_int64(st, 14);
    e->exit_code = sqlite3_column_type(st, 15) == SQLITE_NULL ? -1 : sqlite3_column_int(st, 15);
    column_copy(st, 16, e->signal, sizeof(e->signal));
    e->stdout_bytes = (uint64_t)sqlite3_column_int64(st, 17);
    e->stderr_bytes = (uint64_t)sqlite3_column_int64(st, 18);
    column_copy(st, 19, e->request_id, sizeof(e->request_id));
    e->worker = (uint64_t)sqlite3_column_int64(st, 20);
    column_copy(st, 21, e->hash, sizeof(e->hash));
    e->max_memory_kib = sqlite3_column_int64(st, 23);
    e->background = sqlite3_column_int(st, 24) != 0;
    e->output_cap = sqlite3_column_int64(st, 25);
    e->command = strdup((const char *)sqlite3_column_text(st, 9));
    if (sqlite3_column_type(st, 22) != SQLITE_NULL)
        e->details = strdup((const char *)sqlite3_column_text(st, 22));
    if (e->command && (e->details || sqlite3_column_type(st, 22) == SQLITE_NULL))
        return 0;
    audit_entry_done(e);
    return error_errno(err, ENOMEM, "audit entry");
}

int
store_audit_get(struct store *s, const char *id, const char *owner, struct audit_entry *ret,
                struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_AUDIT_GET, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    stmt_bind_text(st, 2, owner);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such audit entry");
    return rc == SQLITE_ROW ? audit_read(st, ret, err) : store_fail(s, err);
}

static void
bind_filter(sqlite3_stmt *st, const struct audit_filter *f)
{
    stmt_bind_text(st, 1, f->owner);
    stmt_bind_text(st, 2, f->agent_id);
    stmt_bind_text(st, 3, f->session_id);
    stmt_bind_text(st, 4, f->container_id);
    stmt_bind_text(st, 5, f->tier);
    stmt_bind_text(st, 6, stmt_spell(audit_status_names, f->status));
    stmt_bind_text(st, 7, stmt_spell(audit_kind_names, f->kind));
    sqlite3_bind_int64(st, 8, f->since_ms);
    sqlite3_bind_int64(st, 9, f->until_ms);
    sqlite3_bind_int64(st, 10, f->before);
    sqlite3_bind_int64(st, 11, f->limit);
}

static int
read_row(sqlite3_stmt *st, void *record, struct error *err)
{
    return audit_read(st, record, err);
}

static void
done_record(void *record)
{
    audit_entry_done(record);
}

static const struct row_kind audit_rows = {
    .size = sizeof(struct audit_entry),
    .read = read_row,
    .done = done_record,
};

int
store_audit_list(struct store *s, const struct audit_filter *filter, struct audit_entry **ret,
                 size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_AUDIT_LIST, err);
    void *list = NULL;
    int r;

    if (!st)
        return -EIO;
    bind_filter(st, filter);
    r = stmt_read_all(s, st, &audit_rows, &list, ret_count, err);
    if (r == 0)
        *ret = list;
    return r;
}

int
store_background_running(struct store *s, const char *container_id, int64_t after, int64_t limit,
                         struct audit_entry **ret, size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_BACKGROUND_RUNNING, err);
    void *list = NULL;
    int r;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, container_id);
    sqlite3_bind_int64(st, 2, after);
    sqlite3_bind_int64(st, 3, limit);
    r = stmt_read_all(s, st, &audit_rows, &list, ret_count, err);
    if (r == 0)
        *ret = list;
    return r;
}

int
store_background_spent(struct store *s, char ret_id[CONTAINER_ID_SIZE], struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_BACKGROUND_SPENT, err);
    int rc;

    if (!st)
        return -EIO;
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such container");
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    column_copy(st, 0, ret_id, CONTAINER_ID_SIZE);
    return 0;
}

void
store_audit_list_free(struct audit_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        audit_entry_done(&list[i]);
    free(list);
}

/* Copy a blob, NUL-terminated beyond its end. */
static char *
column_blob_dup(sqlite3_stmt *st, int column, size_t *ret_len)
{
    const void *blob = sqlite3_column_blob(st, column);
    size_t len = (size_t)sqlite3_column_bytes(st, column);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, blob, len);
    copy[len] = '\0';
    *ret_len = len;
    return copy;
}

int
store_audit_output(struct store *s, int64_t seq, struct audit_output *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_OUTPUT_GET, err);
    struct audit_output o = {0};
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, seq);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        o.out = column_blob_dup(st, 0, &o.out_len);
        o.errout = column_blob_dup(st, 1, &o.errout_len);
        o.out_truncated = sqlite3_column_int(st, 2) != 0;
        o.errout_truncated = sqlite3_column_int(st, 3) != 0;
        o.out_head = (size_t)sqlite3_column_int64(st, 4);
        o.errout_head = (size_t)sqlite3_column_int64(st, 5);
        if (!o.out || !o.errout) {
            audit_output_done(&o);
            return error_errno(err, ENOMEM, "output");
        }
    } else if (rc != SQLITE_DONE) {
        return store_fail(s, err);
    }
    *ret = o;
    return 0;
}
