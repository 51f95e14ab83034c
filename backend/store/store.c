/* The connection: opening, migrations, statements, transactions. See store.h. */
#include "backend/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/schema.h"
#include "backend/shared.h"
#include "backend/store/internal.h"
#include "backend/store/migrations.h"

enum {
    LIST_GROWTH = 64, /* records at a time */
    WRITER_WAIT_MS = 5000,
    BUSY_WAIT_MS = 5000,
    WAL_CHECKPOINT_PAGES = 4096,   /* 16 MiB: some 250 executions */
    WAL_RESERVED_BYTES = 32 << 20, /* what the WAL's file has from the start */
    WAL_ZERO_BYTES = 64 << 10      /* written at a time */
};

int
store_fail(struct store *s, struct error *err)
{
    return error_set_detail(err, ERR_INTERNAL, sqlite3_errmsg(s->db),
                            "the state database refused the operation");
}

sqlite3_stmt *
store_stmt(struct store *s, enum statement which, struct error *err)
{
    if (!s->stmt[which] &&
        sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &s->stmt[which], NULL) != SQLITE_OK) {
        store_fail(s, err);
        return NULL;
    }
    return s->stmt[which];
}

void
stmt_release(sqlite3_stmt **st)
{
    if (!*st)
        return;
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
}

void
stmt_bind_text(sqlite3_stmt *st, int column, const char *text)
{
    if (text && text[0])
        sqlite3_bind_text(st, column, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, column);
}

const char *
stmt_spell(const char *const *names, int value)
{
    return value > 0 ? names[value - 1] : NULL;
}

int
stmt_run(struct store *s, sqlite3_stmt *st, struct error *err)
{
    return sqlite3_step(st) == SQLITE_DONE ? 0 : store_fail(s, err);
}

int
stmt_run_on(struct store *s, enum statement which, const char *key, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);

    if (!st)
        return -EIO;
    stmt_bind_text(st, 1, key);
    return stmt_run(s, st, err);
}

static void
free_records(const struct row_kind *kind, void *list, size_t count)
{
    for (size_t i = 0; kind->done && i < count; i++)
        kind->done((char *)list + i * kind->size);
    free(list);
}

int
stmt_read_all(struct store *s, sqlite3_stmt *st, const struct row_kind *kind, void **ret,
              size_t *ret_count, struct error *err)
{
    char *list = NULL;
    size_t count = 0;
    int rc, r = 0;

    while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (count % LIST_GROWTH == 0) {
            char *more = reallocarray(list, count + LIST_GROWTH, kind->size);

            if (!more) {
                r = error_errno(err, ENOMEM, "list of records");
                break;
            }
            list = more;
        }
        r = kind->read(st, list + count * kind->size, err);
        if (r == 0)
            count++;
    }
    if (r == 0 && rc != SQLITE_DONE)
        r = store_fail(s, err);
    if (r < 0) {
        free_records(kind, list, count);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

void
column_copy(sqlite3_stmt *st, int column, char *buf, size_t size)
{
    const unsigned char *text = sqlite3_column_text(st, column);

    snprintf(buf, size, "%s", text ? (const char *)text : "");
}

int
column_enum(sqlite3_stmt *st, int column, const char *const *names)
{
    const unsigned char *text = sqlite3_column_text(st, column);

    return text ? schema_enum(names, (const char *)text) : 0;
}

static int
exec(struct store *s, const char *sql, struct error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(s, err);
}

/* Step one of the statements that take no arguments and return no row. */
static int
run(struct store *s, enum statement which, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, which, err);

    return st ? stmt_run(s, st, err) : -EIO;
}

/* Choose whether the next commit waits for the disk (SQLite docs, PRAGMA synchronous, WAL mode). */
static int
set_synced(struct store *s, bool synced, struct error *err)
{
    int r;

    if (s->synced == synced)
        return 0;
    r = exec(s, synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err);
    if (r == 0)
        s->synced = synced;
    return r;
}

/* Wait for the turn to write. Errors: as shared_lock(). */
static int
turn_take(struct store *s, struct store_turn *turn, struct error *err)
{
    int64_t began_ns = metrics_now_ns();
    int r = shared_lock(s->shared, SHARED_LOCK_WRITER, NULL, WRITER_WAIT_MS, &turn->lock, err);

    turn->since_ns = metrics_now_ns();
    metrics_write_wait(turn->since_ns - began_ns);
    return r;
}

/* Give it back, if it is ours. */
static void
turn_give(struct store_turn *turn)
{
    if (turn->lock)
        metrics_write_hold(metrics_now_ns() - turn->since_ns);
    shared_unlock(&turn->lock);
}

int
store_tx_begin(struct store *s, bool synced, struct store_tx *tx, struct error *err)
{
    int r;

    r = turn_take(s, &tx->turn, err);
    if (r < 0)
        return r;
    r = set_synced(s, synced, err);
    if (r == 0)
        r = run(s, STMT_BEGIN, err);
    if (r < 0) {
        turn_give(&tx->turn);
        return r;
    }
    tx->store = s;
    return 0;
}

int
store_tx_commit(struct store_tx *tx, struct error *err)
{
    int r = run(tx->store, STMT_COMMIT, err);

    if (r == 0)
        tx->store = NULL;
    store_tx_done(tx);
    return r;
}

void
store_tx_done(struct store_tx *tx)
{
    if (tx->store)
        run(tx->store, STMT_ROLLBACK, NULL);
    tx->store = NULL;
    turn_give(&tx->turn);
}

int
store_read_begin(struct store *s, struct store **ret, struct error *err)
{
    int r = run(s, STMT_BEGIN_READ, err);

    if (r == 0)
        *ret = s;
    return r;
}

void
store_read_done(struct store **s)
{
    if (*s)
        run(*s, STMT_COMMIT, NULL);
}

static int
user_version(struct store *s, size_t *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc;

    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return store_fail(s, err);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = (size_t)sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? 0 : store_fail(s, err);
}

static int
migrate(struct store *s, struct error *err)
{
    _cleanup_(store_tx_done) struct store_tx tx = {0};
    char pragma[48];
    size_t version = 0;
    int r;

    r = user_version(s, &version, err);
    if (r < 0 || version == ARRAY_LEN(migrations))
        return r;
    r = store_tx_begin(s, true, &tx, err);
    if (r == 0)
        r = user_version(s, &version, err); /* another process may have been faster */
    if (r < 0)
        return r;
    if (version > ARRAY_LEN(migrations))
        return error_set(err, ERR_INTERNAL, "sandbox.db was made by a newer version of sandboxd");
    for (; version < ARRAY_LEN(migrations); version++) {
        r = exec(s, migrations[version], err);
        if (r < 0)
            return r;
    }
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu", version);
    r = exec(s, pragma, err);
    return r < 0 ? r : store_tx_commit(&tx, err);
}

/* SQLite calls this after each commit with the WAL's length (sqlite3_wal_hook). */
static int
note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store *s = arg;

    (void)db;
    (void)name;
    atomic_store(&s->shared->wal_pages, (unsigned)pages);
    return SQLITE_OK;
}

/* Settings of a connection; the janitor alone checkpoints, a thread's cache stays small. */
static int
configure(struct store *s, struct error *err)
{
    int r;

    sqlite3_busy_timeout(s->db, BUSY_WAIT_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    r = exec(s,
             "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=ON;"
             "PRAGMA cell_size_check=ON; PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY;"
             "PRAGMA journal_size_limit=67108864; PRAGMA synchronous=FULL",
             err);
    s->synced = true;
    sqlite3_wal_hook(s->db, note_wal, s);
    return r < 0 ? r : migrate(s, err);
}

const char *
store_library_version(void)
{
    return sqlite3_libversion();
}

int
store_open(const char *path, struct shared *shared, struct store **ret, struct error *err)
{
    _cleanup_(store_freep) struct store *s = calloc(1, sizeof(*s));
    int rc, r;

    if (!s)
        return error_errno(err, ENOMEM, "store");
    s->shared = shared;
    rc = sqlite3_open_v2(path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    r = rc == SQLITE_OK ? configure(s, err) : store_fail(s, err);
    if (r == 0)
        *ret = TAKE(s);
    return r;
}

/* Only what this version can read. */
static int
check_version(struct store *s, struct error *err)
{
    size_t version = 0;
    int r = user_version(s, &version, err);

    if (r < 0 || version == ARRAY_LEN(migrations))
        return r;
    return error_set(err, ERR_INTERNAL, "sandbox.db is of another version of sandboxd");
}

int
store_open_reading(const char *path, struct store **ret, struct error *err)
{
    _cleanup_(store_freep) struct store *s = calloc(1, sizeof(*s));
    int rc, r;

    if (!s)
        return error_errno(err, ENOMEM, "store");
    rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return store_fail(s, err);
    sqlite3_busy_timeout(s->db, BUSY_WAIT_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    r = check_version(s, err);
    if (r == 0)
        *ret = TAKE(s);
    return r;
}

void
store_free(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < STMT_COUNT; i++)
        sqlite3_finalize(s->stmt[i]);
    sqlite3_close(s->db);
    free(s);
}

int
store_checkpoint(struct store *s, struct error *err)
{
    struct store_turn turn = {0};
    int rc, r;

    r = turn_take(s, &turn, err);
    if (r < 0)
        return r;
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    atomic_store(&s->shared->wal_pages, 0); /* the next commit says how long it is then */
    turn_give(&turn);
    return rc == SQLITE_OK || rc == SQLITE_BUSY ? 0 : store_fail(s, err);
}

/*
 * Append zeros to the WAL's file up to its reserve. SQLite takes what follows its last frame for
 * nothing, whatever it is, and nobody writes meanwhile: we hold the writer lock.
 */
static int
reserve(int fd, off_t size)
{
    static const char zeros[WAL_ZERO_BYTES];
    ssize_t n;

    while (size < WAL_RESERVED_BYTES) {
        n = pwrite(fd, zeros, sizeof(zeros), size);
        if (n < 0 && errno != EINTR)
            return -errno;
        size += n > 0 ? n : 0;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int
reserve_wal(struct store *s, struct error *err)
{
    _cleanup_(turn_give) struct store_turn turn = {0};
    const char *path = sqlite3_filename_wal(sqlite3_db_filename(s->db, NULL));
    _cleanup_(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, path); /* no commit has made it yet */
    if (st.st_size >= WAL_RESERVED_BYTES)
        return 0;
    r = turn_take(s, &turn, err);
    if (r < 0)
        return r;
    r = fstat(fd, &st) < 0 ? -errno : reserve(fd, st.st_size);
    return r < 0 ? error_errno(err, -r, "reserving room for the WAL") : 0;
}

int
store_tend_wal(struct store *s, struct error *err)
{
    int r = reserve_wal(s, err);

    if (r == 0 && atomic_load(&s->shared->wal_pages) >= WAL_CHECKPOINT_PAGES)
        r = store_checkpoint(s, err);
    return r;
}
