/* A store on a database of its own, with entries in its audit log, for the tests of what is done to
 * them. */
#ifndef TESTS_UNIT_AUDIT_CASE_H
#define TESTS_UNIT_AUDIT_CASE_H

#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <sqlite3.h>

#include "backend/id.h"
#include "backend/shared.h"
#include "backend/store/store.h"

struct audit_case {
    char dir[64];
    char path[96];
    struct shared *shared;
    struct store *store;
};

static inline int
audit_case_setup(void **state)
{
    struct audit_case *c = calloc(1, sizeof(*c));
    struct error err = {0};
    char shared_path[96];
    int r;

    *state = c;
    snprintf(c->dir, sizeof(c->dir), "/tmp/test-audit.XXXXXX");
    if (!mkdtemp(c->dir) || sodium_init() < 0)
        return -1;
    snprintf(c->path, sizeof(c->path), "%s/sandbox.db", c->dir);
    snprintf(shared_path, sizeof(shared_path), "%s/shared", c->dir);
    r = shared_create(shared_path, &c->shared, &err);
    if (r == 0)
        r = store_open(c->path, c->shared, &c->store, &err);
    if (r < 0)
        print_error("%s: %s\n", err.msg, err.detail);
    return r;
}

static inline int
audit_case_teardown(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "shared"};
    struct audit_case *c = *state;
    char path[128];

    store_free(c->store);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", c->dir, files[i]);
        unlink(path);
    }
    rmdir(c->dir);
    free(c);
    return 0;
}

/* Do to the database what no statement of the store's does. */
static inline void
tamper(struct audit_case *c, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;

    assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA ignore_check_constraints=1; PRAGMA foreign_keys=1", NULL, NULL, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* The number that @sql selects. */
static inline int64_t
select_number(struct audit_case *c, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    int64_t n;

    assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* An execution called @id that started at @ms. The caller frees it. */
static inline struct audit_entry
audit_case_entry(const char *id, int64_t ms)
{
    struct audit_entry e = {
        .kind = AUDIT_EXECUTION,
        .status = AUDIT_RUNNING,
        .started_at_ms = ms,
        .exit_code = -1,
        .output_cap = 1000,
        .worker = 7,
        .command = strdup("echo hi"),
    };

    snprintf(e.id, sizeof(e.id), "%s", id);
    snprintf(e.owner, sizeof(e.owner), "alice");
    snprintf(e.agent_id, sizeof(e.agent_id), "agent");
    snprintf(e.session_id, sizeof(e.session_id), "session");
    snprintf(e.container_id, sizeof(e.container_id), "container_000000000001");
    snprintf(e.tier, sizeof(e.tier), "Sandbox");
    snprintf(e.template_name, sizeof(e.template_name), "base");
    snprintf(e.request_id, sizeof(e.request_id), "request");
    return e;
}

/* Finish @e with @size bytes of output. */
static inline void
audit_case_finish(struct audit_case *c, struct audit_entry *e, size_t size)
{
    char *text = calloc(1, size + 1);
    struct audit_output output = {.out = text, .out_len = size, .out_head = size};

    memset(text, 'x', size);
    e->status = AUDIT_COMPLETED;
    e->exit_code = 0;
    e->finished_at_ms = e->started_at_ms + 5;
    e->duration_ms = 5;
    e->cpu_ms = 3;
    e->max_memory_kib = 100;
    e->stdout_bytes = size;
    assert_int_equal(store_audit_finish(c->store, e, &output, false, NULL), 0);
    free(text);
}

/* An execution that started at @ms, ran and is over. */
static inline void
audit_case_run(struct audit_case *c, const char *id, int64_t ms, size_t size)
{
    struct audit_entry e = audit_case_entry(id, ms);

    assert_int_equal(store_audit_begin(c->store, &e, NULL, NULL), 0);
    audit_case_finish(c, &e, size);
    audit_entry_done(&e);
}

/* What a verification says. */
static inline struct chain_report
audit_case_verify(struct audit_case *c)
{
    struct chain_report report = {0};
    struct error err = {0};

    if (store_chain_verify(c->store, &report, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    return report;
}

/* Give up what started before @ms, as the change entry @id. Returns how many that were. */
static inline int64_t
audit_case_retire(struct audit_case *c, const char *id, int64_t ms)
{
    struct audit_entry by = audit_case_entry(id, 1000000);
    int64_t removed = -1;
    bool more = true;

    by.kind = AUDIT_CHANGE;
    by.status = AUDIT_COMPLETED;
    by.finished_at_ms = by.started_at_ms;
    assert_int_equal(store_audit_retire(c->store, ms, &by, &removed, &more, NULL), 0);
    audit_entry_done(&by);
    return removed;
}

/* Delete what was given up. */
static inline void
audit_case_purge(struct audit_case *c)
{
    int64_t freed = 0;
    bool more = true;

    while (more)
        assert_int_equal(store_audit_purge(c->store, &freed, &more, NULL), 0);
}

#endif
