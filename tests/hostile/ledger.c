/* Requests, audit and database, held against each other: see ledger.h. */
#include "tests/hostile/ledger.h"

#include "tests/test.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"

enum { LINE_SIZE = 8192, BUSY_MS = 10000, LOG_FLUSH_MS = 1200 };

/* The first column of the first row of @sql, in which ?1 is @text, in @out. */
static void
query(sqlite3 *db, const char *sql, const char *text, char *out, size_t size)
{
    sqlite3_stmt *st = NULL;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    if (text)
        sqlite3_bind_text(st, 1, text, -1, SQLITE_TRANSIENT);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    snprintf(out, size, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
}

/* The id of the request that the line of nginx's log tells of, if it is one to execute that was
 * answered; else NULL. */
static const char *
executed(char *line)
{
    char *request = strstr(line, "\"POST "), *end = request ? strchr(request + 1, '"') : NULL;
    char *id = strrchr(line, ' ');
    long status = 0;

    if (!end || !id || sscanf(end + 1, " %ld", &status) != 1 || (status != 200 && status != 202))
        return NULL;
    *end = '\0';
    id[strcspn(id, "\n")] = '\0';
    return strstr(request, "/execute HTTP/") || strstr(request, "/exec HTTP/") ? id + 1 : NULL;
}

static void
assert_requests_have_entries(sqlite3 *db)
{
    char path[PATH_MAX], line[LINE_SIZE], count[32];
    _cleanup_(fclosep) FILE *log = fopen(host_path("log/nginx-access.log", path), "re");
    const char *id;

    assert_non_null(log);
    while (fgets(line, sizeof(line), log)) {
        id = executed(line);
        if (!id)
            continue;
        query(db, "SELECT count(*) FROM audit WHERE kind = 'execution' AND request_id = ?1", id,
              count, sizeof(count));
        if (strcmp(count, "1") != 0)
            fail_msg("request %s has %s audit entries", id, count);
    }
}

void
ledger_assert_whole(void)
{
    char path[PATH_MAX], answer[256];
    sqlite3 *db = NULL;

    usleep(LOG_FLUSH_MS * 1000); /* nginx keeps its log's lines back for a second */
    assert_int_equal(
        sqlite3_open_v2(host_path("sandbox.db", path), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, BUSY_MS);
    query(db, "PRAGMA integrity_check", NULL, answer, sizeof(answer));
    assert_string_equal(answer, "ok");
    query(db,
          "SELECT count(*) - count(DISTINCT request_id) FROM audit WHERE kind = 'execution'"
          " AND request_id <> ''",
          NULL, answer, sizeof(answer));
    assert_string_equal(answer, "0");
    assert_requests_have_entries(db);
    sqlite3_close(db);
    assert_int_equal(host_shell("\"$SANDBOXD\" audit verify --state \"$SANDBOX_STATE\""
                                " >\"$SANDBOX_STATE\"/verified &&"
                                " grep -q ': ok$' \"$SANDBOX_STATE\"/verified"),
                     0);
}
