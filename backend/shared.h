/*
 * What the processes of one service share: the locks that put work in order across them, the number
 * of the settings in force, which workers live, and what they all count. It is a file mapped by the
 * manager before it forks, so that a command-line tool can map it too while the service runs.
 *
 * The locks are robust process-shared mutexes: the death of a holder frees them. Order of taking:
 * scope, then container, then writer; never two of one kind.
 */
#ifndef BACKEND_SHARED_H
#define BACKEND_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/error.h"
#include "backend/metrics.h"

enum {
    SHARED_LOCK_BUCKETS = 512,
    SHARED_WORKERS_MAX = 64,
    SHARED_USED_TOKENS = 256,
    SHARED_REFUSAL_SIZE = 512
};

enum shared_lock_kind {
    SHARED_LOCK_SCOPE,     /* finding or making the container of a scope's key */
    SHARED_LOCK_CONTAINER, /* changing one container's state */
    SHARED_LOCK_WRITER     /* SQLite's one writer; the key is ignored */
};

/* Whether the policy leaves the bridge of network Full open. */
enum shared_gate { SHARED_GATE_UNKNOWN, SHARED_GATE_OPEN, SHARED_GATE_CLOSED };

struct shared {
    atomic_uint settings_generation; /* raised by every PUT config and every reload */
    int64_t started_at_ms;           /* CLOCK_BOOTTIME when the manager started */
    int64_t started_on_ms;           /* the same since the epoch */
    atomic_uint_least64_t workers[SHARED_WORKERS_MAX]; /* ids of live workers by slot; 0: none */
    atomic_uint wal_pages;                             /* in SQLite's WAL, as of the last commit */
    atomic_int janitor_pid;                            /* to nudge it with SIGUSR2; 0: none */
    atomic_int builder_pid;                            /* likewise */
    atomic_int full_gate; /* enum shared_gate: told to the broker, which is root and so does not
                             read the database, where the overrides are */
    atomic_uint_least64_t used_tokens[SHARED_USED_TOKENS]; /* whose use is to be written; 0: free */
    struct metrics metrics;
    atomic_uint refusal_turn; /* odd while `refusal` is being written */
    atomic_char refusal[SHARED_REFUSAL_SIZE];
    pthread_mutex_t writer;
    pthread_mutex_t scopes[SHARED_LOCK_BUCKETS];
    pthread_mutex_t containers[SHARED_LOCK_BUCKETS];
};

/*
 * Make (or truncate) the file @path and map it with every lock free. The mapping lives as long as
 * the process. Errors: ERR_INTERNAL.
 */
int shared_create(const char *path, struct shared **ret, struct error *err);

/* Map the file that a running service made. Errors: ERR_NOT_FOUND, ERR_INTERNAL. */
int shared_open(const char *path, struct shared **ret, struct error *err);

/*
 * Take the lock of @kind that @key hashes to, waiting at most @timeout_ms (monotonic clock). A lock
 * whose holder died is made consistent and taken. On success *ret is what shared_unlock() takes.
 * Errors: ERR_OVERLOADED on timeout, ERR_INTERNAL.
 */
int shared_lock(struct shared *s, enum shared_lock_kind kind, const char *key, int timeout_ms,
                pthread_mutex_t **ret, struct error *err);

/* Give a lock back; fit for _cleanup_. NULL is fine; *@lock is NULL afterwards. */
void shared_unlock(pthread_mutex_t **lock);

/* Note for all processes why the last edit of the YAML was refused; "": it was not. The manager's
 * alone to call. It takes no lock, which somebody else could hold. */
void shared_refuse(struct shared *s, const char *why);

/* Copy what shared_refuse() noted to @buf. */
void shared_refusal(struct shared *s, char buf[SHARED_REFUSAL_SIZE]);

/* Whether the worker with this id (never 0) is alive. */
bool shared_worker_alive(struct shared *s, uint64_t worker_id);

#endif
