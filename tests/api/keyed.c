/* Steps of the tests of Idempotency-Key: see keyed.h. */
#include "tests/test.h"

#include "tests/api/keyed.h"

#include <signal.h>
#include <stdio.h>

#include <sqlite3.h>

#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { PATIENCE_SECONDS = 60, KEYS = 16, KEY_SIZE = 64 };

const char *
key_fresh(void)
{
    static char headers[KEYS][KEY_SIZE];
    static int count;
    char *header = headers[count % KEYS];

    snprintf(header, KEY_SIZE, "Idempotency-Key: key-%d", ++count);
    return header;
}

void
assert_same_answer(const struct reply *a, const struct reply *b)
{
    assert_int_equal(a->status, b->status);
    assert_string_equal(a->body, b->body);
    assert_string_not_equal(a->request_id, b->request_id);
}

static bool
service_answers(void *arg)
{
    struct reply r = call(ALICE, "GET", "/status", NULL, NULL);
    bool answers = r.status == 200;

    (void)arg;
    reply_done(&r);
    return answers;
}

void
kill_workers(void)
{
    struct pids workers = host_role("worker");

    assert_true(workers.count > 0);
    for (size_t i = 0; i < workers.count; i++)
        assert_int_equal(kill(workers.list[i], SIGKILL), 0);
    for (size_t i = 0; i < workers.count; i++)
        host_wait_role("worker", workers.count, workers.list[i]);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
}

static sqlite3 *
open_database(void)
{
    char path[STEP_PATH_SIZE];
    sqlite3 *db = NULL;

    state_path("sandbox.db", path);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

void
change_database(const char *sql)
{
    sqlite3 *db = open_database();

    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

long long
ask_database(const char *sql)
{
    sqlite3 *db = open_database();
    sqlite3_stmt *st = NULL;
    long long number;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    number = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return number;
}

void
forget_answers(void)
{
    change_database("UPDATE idempotency SET status = NULL, body = NULL");
}
