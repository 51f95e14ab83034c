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

/* The turn to write, by the writer lock. Initialise with {0}. */
struct store_turn {
    pthread_mutex_t *lock; /* NULL: not ours */
    int64_t since_ns;      /* monotonic */
};

/* A write transaction under the writer lock. Initialise with {0}; use with
 * _cleanup_(store_tx_done). */
struct store_tx {
    struct store *store; /* NULL: not begun, or ended */
    struct store_turn turn;
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

/* Insert the row of @c, inside a transaction, if @gate lets it (NULL: in any case). Errors:
 * ERR_CONFLICT if its scope key is taken; -EDQUOT, without an error noted, if @gate is shut. */
int container_insert(struct store *s, const struct container *c, struct quota_gate *gate,
                     struct error *err);

/*
 * Inside a transaction: admit the execution that @e announces, and count it. @gate NULL: whatever
 * the quotas are. Returns -EDQUOT, without an error noted, if @gate is shut.
 */
int quota_begin_execution(struct store *s, const struct audit_entry *e, struct quota_gate *gate,
                          struct error *err);

/* Inside a transaction: count what the execution @e has used. */
int quota_end_execution(struct store *s, const struct audit_entry *e, struct error *err);

/* Inside a transaction: whether @owner may have one more container, or snapshot; as above. */
int quota_check_container(struct store *s, const char *owner, struct quota_gate *gate,
                          struct error *err);
int quota_check_snapshot(struct store *s, const char *owner, struct quota_gate *gate,
                         struct error *err);

/* How the rows of one kind become records. */
struct row_kind {
    size_t size; /* bytes of a record */
    /* Fill in a record from the row that @st stands at; a failure leaves nothing in it. */
    int (*read)(sqlite3_stmt *st, void *record, struct error *err);
    void (*done)(void *record); /* free what a record owns; NULL: nothing */
};

/* Read every row of @st into an array, the caller's. On failure nothing is left. */
int stmt_read_all(struct store *s, sqlite3_stmt *st, const struct row_kind *kind, void **ret,
                  size_t *ret_count, struct error *err);

/* Begin a write transaction. @synced: its commit must survive a power cut. */
int store_tx_begin(struct store *s, bool synced, struct store_tx *tx, struct error *err);

/* Commit and free the lock. On failure the transaction is rolled back. */
int store_tx_commit(struct store_tx *tx, struct error *err);

/* Roll back what was not committed, and free the lock. */
void store_tx_done(struct store_tx *tx);

/* Begin to read the database as it is now, whatever is written meanwhile. *ret is @s, for
 * _cleanup_(store_read_done). */
int store_read_begin(struct store *s, struct store **ret, struct error *err);

/* End it. NULL is fine. */
void store_read_done(struct store **s);

/* Insert an entry that is finished, inside a transaction. */
int audit_append(struct store *s, const struct audit_entry *e, struct error *err);

/* Fill @e from the row that @st stands at, whose first columns are those of an audit entry. */
int audit_read(sqlite3_stmt *st, struct audit_entry *e, struct error *err);

enum { HASH_SIZE = 65 /* BLAKE2b-256 in hex, and NUL */ };

/* The hash of an entry's kept output. */
void chain_output_hash(const struct audit_output *o, char out[HASH_SIZE]);

/* An entry's link: over @before, the hash of the entry before it, over its fields, and over
 * @output_hash ("": it has no output). */
void chain_link(const struct audit_entry *e, const char *output_hash, const char *before,
                char out[HASH_SIZE]);

/* Append the entry to the chain, inside a transaction: its position and hash, for the row. */
int chain_append(struct store *s, const struct audit_entry *e, const char *output_hash,
                 int64_t *ret_position, char hash[HASH_SIZE], struct error *err);

/* What cleanups have taken out of the chain, by its table of gaps. */
struct gaps {
    int64_t count;
    int64_t positions;    /* in them together */
    int64_t first;        /* of the first gap; 0: there is none */
    int64_t cleanups;     /* that made them, by the entry that signs them off */
    bool signed_off;      /* a change entry vouches for just these */
    char hash[HASH_SIZE]; /* over all of them */
};

/* Read the gaps and their sign-off. */
int gaps_read(struct store *s, struct gaps *ret, struct error *err);

#endif
