/* What the store's files share: the connection, its prepared statements, and write transactions. */
#ifndef BACKEND_STORE_INTERNAL_H
#define BACKEND_STORE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <sqlite3.h>

#include "backend/cleanup.h"
#include "backend/error.h"
#include "backend/store/statements.h"
#include "backend/store/store.h"

/* Lifetime: thread. */
struct store {
    sqlite3 *db;
    struct shared *shared;
    sqlite3_stmt *stmt[STMT_COUNT]; /* prepared on first use */
    bool synced;                    /* what PRAGMA synchronous stands at: FULL, else NORMAL */
};

/* A write transaction under the writer lock. Initialise with {0}; use with
 * _cleanup_(store_tx_done). */
struct store_tx {
    struct store *store; /* NULL: not begun, or ended */
    pthread_mutex_t *lock;
};

/* Translate the connection's last failure. Returns -EIO. */
int store_fail(struct store *s, struct error *err);

/* The prepared statement, reset and unbound; NULL (with @err set) if it cannot be prepared. */
sqlite3_stmt *store_stmt(struct store *s, enum statement which, struct error *err);

/* For `_cleanup_(stmt_release) sqlite3_stmt *st`: reset a borrowed statement. */
void stmt_release(sqlite3_stmt **st);

/* Bind @text, or NULL where it is NULL or "". @text must outlive the step. */
void stmt_bind_text(sqlite3_stmt *st, int column, const char *text);

/* The spelling of an enum's value among @names; NULL for 0. */
const char *stmt_spell(const char *const *names, int value);

/* Step a statement that returns no row. Returns 0 or -EIO. */
int stmt_run(struct store *s, sqlite3_stmt *st, struct error *err);

/* Run a statement that has the text @key for its only parameter and returns no row. */
int stmt_run_on(struct store *s, enum statement which, const char *key, struct error *err);

/* Copy a text column, "" for NULL, into @buf of @size bytes. */
void column_copy(sqlite3_stmt *st, int column, char *buf, size_t size);

/* The value of an enum by its spelling in a text column; 0 if it is none of @names. */
int column_enum(sqlite3_stmt *st, int column, const char *const *names);

/* Begin a write transaction. @synced: its commit must survive a power cut. */
int store_tx_begin(struct store *s, bool synced, struct store_tx *tx, struct error *err);

/* Commit and free the lock. On failure the transaction is rolled back. */
int store_tx_commit(struct store_tx *tx, struct error *err);

/* Roll back what was not committed, and free the lock. */
void store_tx_done(struct store_tx *tx);

#endif
