/* Walking the audit log's hash chain, from its first position to its head: see store.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/store/internal.h"

enum { /* the columns that STMT_CHAIN_WALK has beyond an entry's */
       COLUMN_CHAIN = 26,
       COLUMN_OUTPUT_HASH,
       COLUMN_HAS_OUTPUT,
       COLUMN_STDOUT,
       COLUMN_STDERR,
       COLUMN_STDOUT_TRUNCATED,
       COLUMN_STDERR_TRUNCATED,
       COLUMN_STDOUT_HEAD,
       COLUMN_STDERR_HEAD
};

static const char genesis[] = "0000000000000000000000000000000000000000000000000000000000000000";

/* How far the walk has come. */
struct walk {
    struct chain_report report;
    int64_t position;     /* of the last entry that was right, or gone by right */
    char hash[HASH_SIZE]; /* its hash */
};

/* Note what is wrong, and where. */
static int broken(struct walk *w, int64_t position, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
broken(struct walk *w, int64_t position, const char *fmt, ...)
{
    va_list args;

    w->report.position = position;
    va_start(args, fmt);
    vsnprintf(w->report.what, sizeof(w->report.what), fmt, args);
    va_end(args);
    return 0;
}

/* Step over the gap that begins where the walk stands, if one does. */
static int
step_over(struct store *s, struct walk *w, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_GAP_AT, err);
    int rc;

    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, w->position + 1);
    rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return 0;
    if (rc != SQLITE_ROW)
        return store_fail(s, err);
    w->position = sqlite3_column_int64(st, 0);
    column_copy(st, 1, w->hash, HASH_SIZE);
    return 0;
}

/* The hash of the output that @st's row has now, "" for none. */
static void
output_hash(sqlite3_stmt *st, char out[HASH_SIZE])
{
    struct audit_output o = {
        .out_truncated = sqlite3_column_int(st, COLUMN_STDOUT_TRUNCATED) != 0,
        .errout_truncated = sqlite3_column_int(st, COLUMN_STDERR_TRUNCATED) != 0,
        .out_head = (size_t)sqlite3_column_int64(st, COLUMN_STDOUT_HEAD),
        .errout_head = (size_t)sqlite3_column_int64(st, COLUMN_STDERR_HEAD),
    };

    out[0] = '\0';
    if (sqlite3_column_type(st, COLUMN_HAS_OUTPUT) == SQLITE_NULL)
        return;
    /* Not written to: only its type says that the hash could. */
    o.out = (char *)(uintptr_t)sqlite3_column_blob(st, COLUMN_STDOUT);
    o.out_len = (size_t)sqlite3_column_bytes(st, COLUMN_STDOUT);
    o.errout = (char *)(uintptr_t)sqlite3_column_blob(st, COLUMN_STDERR);
    o.errout_len = (size_t)sqlite3_column_bytes(st, COLUMN_STDERR);
    chain_output_hash(&o, out);
}

/* Check the entry in @st's row, which is the next one. */
static int
check_entry(struct walk *w, sqlite3_stmt *st, struct error *err)
{
    struct audit_entry e = {0};
    char signed_output[HASH_SIZE], output[HASH_SIZE], link[HASH_SIZE];
    int r = audit_read(st, &e, err);

    if (r < 0)
        return r;
    column_copy(st, COLUMN_OUTPUT_HASH, signed_output, sizeof(signed_output));
    chain_link(&e, signed_output, w->hash, link);
    output_hash(st, output);
    if (strcmp(link, e.hash) != 0)
        broken(w, w->position + 1, "entry %s was changed, or put in another's place", e.id);
    else if (strcmp(output, signed_output) != 0)
        broken(w, w->position + 1, "the output of entry %s was %s", e.id,
               output[0] ? "changed" : "removed");
    else
        w->report.entries++;
    w->position++;
    snprintf(w->hash, sizeof(w->hash), "%s", e.hash);
    audit_entry_done(&e);
    return 0;
}

static int
walk_entries(struct store *s, struct walk *w, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CHAIN_WALK, err);
    int rc = SQLITE_DONE, r = 0;

    if (!st)
        return -EIO;
    while (r == 0 && !w->report.what[0] && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t position = sqlite3_column_int64(st, COLUMN_CHAIN);

        r = step_over(s, w, err);
        if (r < 0 || position <= w->position) /* given up, and not deleted yet */
            continue;
        if (position != w->position + 1)
            broken(w, w->position + 1, "the entry is missing, and no cleanup has removed it");
        else
            r = check_entry(w, st, err);
    }
    if (r == 0 && !w->report.what[0] && rc != SQLITE_DONE)
        r = store_fail(s, err);
    return r;
}

/* The chain has to end at its head. */
static int
check_head(struct store *s, struct walk *w, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CHAIN_GET, err);
    int64_t length;

    if (!st)
        return -EIO;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    length = sqlite3_column_int64(st, 0);
    column_copy(st, 1, w->report.head, sizeof(w->report.head));
    if (length > w->position)
        return broken(w, w->position + 1, "the newest entries are missing: the chain goes to %lld",
                      (long long)length);
    if (length < w->position || strcmp(w->report.head, w->hash) != 0)
        return broken(w, w->position, "the chain's head is not its last entry");
    return 0;
}

/* Every entry has a place in the chain, once it is finished. */
static int
check_strays(struct store *s, struct walk *w, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CHAIN_STRAY, err);
    int rc;

    if (!st)
        return -EIO;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return broken(w, 0, "entry %s is finished, and not in the chain",
                      (const char *)sqlite3_column_text(st, 0));
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

static int
walk(struct store *s, struct walk *w, struct error *err)
{
    struct gaps gaps;
    int r = gaps_read(s, &gaps, err);

    if (r < 0)
        return r;
    w->report.removed = gaps.positions;
    w->report.cleanups = gaps.cleanups;
    if (!gaps.signed_off)
        return broken(w, gaps.first,
                      "the positions that cleanups removed are not those which one "
                      "has signed off");
    r = walk_entries(s, w, err);
    if (r == 0 && !w->report.what[0])
        r = step_over(s, w, err); /* the newest may be gone, too */
    if (r == 0 && !w->report.what[0])
        r = check_head(s, w, err);
    return r < 0 || w->report.what[0] ? r : check_strays(s, w, err);
}

int
store_chain_verify(struct store *s, struct chain_report *ret, struct error *err)
{
    _cleanup_(store_read_done) struct store *reading = NULL;
    struct walk w = {0};
    int r;

    snprintf(w.hash, sizeof(w.hash), "%s", genesis);
    r = store_read_begin(s, &reading, err);
    if (r == 0)
        r = walk(s, &w, err);
    if (r == 0)
        *ret = w.report;
    return r;
}
