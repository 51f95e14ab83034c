/* Rows of containers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/internal.h"

static void
bind_container(sqlite3_stmt *st, const struct container *c)
{
    stmt_bind_text(st, 1, c->id);
    stmt_bind_text(st, 2, c->scope_key);
    stmt_bind_text(st, 3, c->owner);
    sqlite3_bind_int64(st, 4, c->uid);
    stmt_bind_text(st, 5, c->agent_id);
    stmt_bind_text(st, 6, c->session_id);
    stmt_bind_text(st, 7, stmt_spell(scope_names, (int)c->scope));
    sqlite3_bind_int(st, 8, c->one_shot);
    stmt_bind_text(st, 9, c->tier);
    stmt_bind_text(st, 10, c->template_name);
    stmt_bind_text(st, 11, c->image);
    stmt_bind_text(st, 12, c->runtime);
    stmt_bind_text(st, 13, stmt_spell(network_names, (int)c->network));
    stmt_bind_text(st, 14, stmt_spell(access_names, (int)c->workspace_access));
    sqlite3_bind_double(st, 15, c->limits.cpu_cores);
    sqlite3_bind_int64(st, 16, c->limits.memory_mb);
    sqlite3_bind_int64(st, 17, c->limits.disk_mb);
    sqlite3_bind_int64(st, 18, c->limits.max_processes);
    sqlite3_bind_int64(st, 19, c->limits.timeout_seconds);
    stmt_bind_text(st, 20, c->labels ? c->labels : "{}");
    stmt_bind_text(st, 21, stmt_spell(container_status_names, (int)c->status));
    sqlite3_bind_int64(st, 22, (int64_t)c->worker);
    sqlite3_bind_int64(st, 23, c->created_at_ms);
    sqlite3_bind_int64(st, 24, c->last_used_at_ms);
    sqlite3_bind_int64(st, 25, c->gpus);
    sqlite3_bind_int64(st, 26, c->gpu_mask);
    sqlite3_bind_int64(st, 27, c->gid);
}

int
container_insert(struct store *s, const struct container *c, struct quota_gate *gate,
                 struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = NULL;
    int r = quota_check_container(s, c->owner, gate, err);
    int rc;

    if (r < 0)
        return r;
    st = store_stmt(s, STMT_CONTAINER_INSERT, err);
    if (!st)
        return -EIO;
    bind_container(st, c);
    rc = sqlite3_step(st);
    if (rc == SQLITE_CONSTRAINT && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_UNIQUE)
        return error_set(err, ERR_CONFLICT, "this scope has a container already");
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
store_container_insert(struct store *s, const struct container *c, struct quota_gate *gate,
                       struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int r = store_tx_begin(s, false, &tx, err);

    if (r == 0)
        r = container_insert(s, c, gate, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* The GPUs that containers have, running or not. */
static int
gpus_taken(struct store *s, int64_t *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_GPUS, err);
    int rc;

    if (!st)
        return -EIO;
    *ret = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        *ret |= sqlite3_column_int64(st, 0);
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
store_container_insert_gpus(struct store *s, struct container *c, int64_t total,
                            struct quota_gate *gate, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    int64_t taken = 0, missing = c->gpus;
    int r = store_tx_begin(s, false, &tx, err);

    if (r == 0)
        r = gpus_taken(s, &taken, err);
    c->gpu_mask = 0;
    for (int64_t i = 0; r == 0 && i < total && missing > 0; i++) {
        if (taken & INT64_C(1) << i)
            continue;
        c->gpu_mask |= INT64_C(1) << i;
        missing--;
    }
    if (r == 0 && missing > 0)
        r = error_set(err, ERR_CONFLICT,
                      "this sandbox needs GPUs: %lld; of this machine's %lld too few are free, as "
                      "other sandboxes have the rest",
                      (long long)c->gpus, (long long)total);
    if (r == 0)
        r = container_insert(s, c, gate, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* Fill @c from the row that @st stands at. */
static int
read_container(sqlite3_stmt *st, struct container *c, struct error *err)
{
    *c = (struct container){.seq = sqlite3_column_int64(st, 0)};
    column_copy(st, 1, c->id, sizeof(c->id));
    column_copy(st, 2, c->scope_key, sizeof(c->scope_key));
    column_copy(st, 3, c->owner, sizeof(c->owner));
    c->uid = sqlite3_column_int64(st, 4);
    column_copy(st, 5, c->agent_id, sizeof(c->agent_id));
    column_copy(st, 6, c->session_id, sizeof(c->session_id));
    c->scope = (enum scope)column_enum(st, 7, scope_names);
    c->one_shot = sqlite3_column_int(st, 8) != 0;
    column_copy(st, 9, c->tier, sizeof(c->tier));
    column_copy(st, 10, c->template_name, sizeof(c->template_name));
    column_copy(st, 11, c->image, sizeof(c->image));
    column_copy(st, 12, c->runtime, sizeof(c->runtime));
    c->network = (enum network)column_enum(st, 13, network_names);
    c->workspace_access = (enum access)column_enum(st, 14, access_names);
    c->limits = (struct limits){
        .cpu_cores = sqlite3_column_double(st, 15),
        .memory_mb = sqlite3_column_int64(st, 16),
        .disk_mb = sqlite3_column_int64(st, 17),
        .max_processes = sqlite3_column_int64(st, 18),
        .timeout_seconds = sqlite3_column_int64(st, 19),
    };
    c->status = (enum container_status)column_enum(st, 21, container_status_names);
    c->worker = (uint64_t)sqlite3_column_int64(st, 22);
    c->created_at_ms = sqlite3_column_int64(st, 23);
    c->started_at_ms = sqlite3_column_int64(st, 24);
    c->last_used_at_ms = sqlite3_column_int64(st, 25);
    c->executions_count = sqlite3_column_int64(st, 26);
    c->gpus = sqlite3_column_int64(st, 27);
    c->gpu_mask = sqlite3_column_int64(st, 28);
    c->gid = sqlite3_column_int64(st, 29);
    c->disk_bytes = sqlite3_column_int64(st, 30);
    c->labels = strdup((const char *)sqlite3_column_text(st, 20));
    return c->labels ? 0 : error_errno(err, ENOMEM, "container");
}

static int
get_one(struct store *s, enum statement which, const char *key, struct container *ret,
        struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);
    int rc;

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, key);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return error_set(err, ERR_NOT_FOUND, "there is no such container");
    return rc == SQLITE_ROW ? read_container(st, ret, err) : store_fail(s, err);
}

int
store_container_get(struct store *s, const char *id, struct container *ret, struct error *err)
{
    return get_one(s, STMT_CONTAINER_GET, id, ret, err);
}

int
store_container_by_scope(struct store *s, const char *scope_key, struct container *ret,
                         struct error *err)
{
    return get_one(s, STMT_CONTAINER_BY_SCOPE, scope_key, ret, err);
}

static int
read_row(sqlite3_stmt *st, void *record, struct error *err)
{
    return read_container(st, record, err);
}

static void
done_record(void *record)
{
    container_done(record);
}

static const struct row_kind container_rows = {
    .size = sizeof(struct container),
    .read = read_row,
    .done = done_record,
};

/* Read every row of @st into an array. */
static int
read_all(struct store *s, sqlite3_stmt *st, struct container **ret, size_t *ret_count,
         struct error *err)
{
    void *list = NULL;
    int r = stmt_read_all(s, st, &container_rows, &list, ret_count, err);

    if (r == 0)
        *ret = list;
    return r;
}

int
store_container_list(struct store *s, const struct container_filter *filter, struct container **ret,
                     size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_LIST, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, filter->owner);
    stmt_bind_text(st, 2, filter->agent_id);
    stmt_bind_text(st, 3, filter->tier);
    stmt_bind_text(st, 4, stmt_spell(scope_names, filter->scope));
    stmt_bind_text(st, 5, stmt_spell(container_status_names, filter->status));
    sqlite3_bind_int64(st, 6, filter->before);
    sqlite3_bind_int64(st, 7, filter->limit);
    return read_all(s, st, ret, ret_count, err);
}

int
store_container_all(struct store *s, struct container **ret, size_t *ret_count, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CONTAINER_ALL, err);

    return st ? read_all(s, st, ret, ret_count, err) : -EIO;
}

void
store_container_list_free(struct container *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        container_done(&list[i]);
    free(list);
}

/* Run @which on @id in a transaction of its own; *ret_changed rows were changed. */
static int
change(struct store *s, enum statement which, const char *id, const char *status, int64_t now_ms,
       bool synced, int *ret_changed, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int r;

    r = store_tx_begin(s, synced, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, which, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    if (status) {
        stmt_bind_text(st, 2, status);
        sqlite3_bind_int64(st, 3, now_ms);
    }
    r = stmt_run(s, st, err);
    stmt_release(&st);
    *ret_changed = sqlite3_changes(s->db);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

int
store_container_status(struct store *s, const char *id, enum container_status status,
                       int64_t now_ms, struct error *err)
{
    int changed;
    int r = change(s, STMT_CONTAINER_STATUS, id, stmt_spell(container_status_names, (int)status),
                   now_ms, true, &changed, err);

    if (r == 0 && changed == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such container");
    return r;
}

int
store_container_limits(struct store *s, const char *id, const struct limits *limits,
                       struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    sqlite3_stmt *st;
    int changed, r;

    r = store_tx_begin(s, true, &tx, err);
    if (r < 0)
        return r;
    st = store_stmt(s, STMT_CONTAINER_LIMITS, err);
    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, id);
    sqlite3_bind_double(st, 2, limits->cpu_cores);
    sqlite3_bind_int64(st, 3, limits->memory_mb);
    sqlite3_bind_int64(st, 4, limits->max_processes);
    r = stmt_run(s, st, err);
    stmt_release(&st);
    changed = sqlite3_changes(s->db);
    if (r == 0)
        r = store_tx_commit(&tx, err);
    if (r == 0 && changed == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no such container");
    return r;
}

int
store_container_removing(struct store *s, const char *id, struct error *err)
{
    int changed;

    return change(s, STMT_CONTAINER_REMOVING, id, NULL, 0, true, &changed, err);
}

int
store_container_delete(struct store *s, const char *id, struct error *err)
{
    int changed;

    return change(s, STMT_CONTAINER_DELETE, id, NULL, 0, true, &changed, err);
}

int
store_gauges(struct store *s, struct gauges *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_COUNTS_BY_STATUS, err);
    struct gauges g = {0};
    int rc;

    if (!st)
        return -EIO;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *what = (const char *)sqlite3_column_text(st, 0);
        int status = column_enum(st, 0, container_status_names);

        if (status > 0)
            g.containers[status - 1] = sqlite3_column_int64(st, 1);
        else if (what && strcmp(what, "jobs") == 0)
            g.jobs_queued = sqlite3_column_int64(st, 1);
        else
            g.executions_running = sqlite3_column_int64(st, 1);
    }
    if (rc != SQLITE_DONE)
        return store_fail(s, err);
    *ret = g;
    return 0;
}

int
store_counts(struct store *s, const char *owner, int64_t since_ms, struct counts *ret,
             struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st =
        store_stmt(s, owner ? STMT_COUNTS_OF : STMT_COUNTS, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, owner);
    sqlite3_bind_int64(st, 2, since_ms);
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    ret->containers = sqlite3_column_int64(st, 0);
    ret->executions_running = sqlite3_column_int64(st, 1);
    ret->executions_since = sqlite3_column_int64(st, 2);
    return 0;
}
