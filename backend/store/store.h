/*
 * The store: the only SQL. A `struct store` is one thread's connection to sandbox.db (WAL). Reads
 * go straight ahead; every write transaction and every checkpoint is made under the service's one
 * writer lock, because Debian 12's SQLite (3.40.1) can lose commits when two connections write and
 * checkpoint at one instant (sqlite.org/wal.html, "The WAL-Reset Bug").
 *
 * Two grades of durability: an intent (a row that says what is about to be done) must survive the
 * death of any process, which a commit to the WAL does without waiting for the disk; a result that
 * a client is told of must survive a power cut too, and its commit is synced.
 */
#ifndef BACKEND_STORE_STORE_H
#define BACKEND_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/error.h"
#include "backend/store/records.h"

struct store;
struct shared;

/* The version of the SQLite library in use. Borrowed, static. */
const char *store_library_version(void);

/*
 * Open (and make, and migrate) the database @path. @shared holds the writer lock.
 * Errors: ERR_INTERNAL with SQLite's message; ERR_INTERNAL with a sentence of its own for a
 * database that a newer version made.
 */
int store_open(const char *path, struct shared *shared, struct store **ret, struct error *err);

/*
 * Open it only to read, beside a service that runs or without one: neither lock nor checkpoint.
 * Errors: ERR_INTERNAL, with SQLite's message in the detail.
 */
int store_open_reading(const char *path, struct store **ret, struct error *err);

/* Close it. */
void store_free(struct store *s);
CLEANUP_FN(struct store *, store_free)

/* Write what is in the WAL back into the database, and start it anew; under the writer lock. */
int store_checkpoint(struct store *s, struct error *err);

/*
 * Checkpoint if the WAL has grown so far that it should, and make sure that its file has room
 * ahead: a commit that only overwrites blocks which the file has needs no journal of the
 * filesystem's, and is synced in a fraction of the time. Cheap when there is nothing to do; the
 * janitor calls it.
 */
int store_tend_wal(struct store *s, struct error *err);

/* The overrides that PUT config stored: a new object of the caller's. */
int store_override_get(struct store *s, json_t **ret, struct error *err);

/* A function that makes new overrides of the stored ones, inside the write transaction. */
typedef int (*store_override_fn)(json_t *stored, void *arg, json_t **ret, struct error *err);

/* Replace the overrides by what @change makes of them; its failure leaves them alone. */
int store_override_change(struct store *s, store_override_fn change, void *arg, struct error *err);

/*
 * The uid of @owner's commands: the one they have, or the lowest free one in first..last, given now
 * and for ever. Errors: ERR_QUOTA_EXCEEDED when the range is used up.
 */
int store_owner_uid(struct store *s, const char *owner, int64_t first, int64_t last, int64_t *ret,
                    struct error *err);

/*
 * Insert @c as it stands, executions_count excepted, if its owner's quotas let it: @gate, NULL: in
 * any case. Errors: ERR_CONFLICT if its scope key is taken; -EDQUOT, without an error noted, if
 * @gate is shut now.
 */
int store_container_insert(struct store *s, const struct container *c, struct quota_gate *gate,
                           struct error *err);

/*
 * As store_container_insert(), with c->gpus GPUs for c->gpu_mask: of those numbered below @total
 * (at most 63) the lowest that no container has. Errors: also ERR_CONFLICT where too few are free.
 */
int store_container_insert_gpus(struct store *s, struct container *c, int64_t total,
                                struct quota_gate *gate, struct error *err);

/* Note how much disk the container takes. Not synced. Missing is fine. */
int store_container_disk(struct store *s, const char *id, int64_t bytes, struct error *err);

/* The container with this id, whoever owns it, also while it is being removed. Errors:
 * ERR_NOT_FOUND. */
int store_container_get(struct store *s, const char *id, struct container *ret, struct error *err);

/* The container with this scope key. Errors: ERR_NOT_FOUND. */
int store_container_by_scope(struct store *s, const char *scope_key, struct container *ret,
                             struct error *err);

/*
 * The containers that @filter lets through, newest first, those being removed left out. *ret is an
 * array of *ret_count that store_container_list_free() frees.
 */
int store_container_list(struct store *s, const struct container_filter *filter,
                         struct container **ret, size_t *ret_count, struct error *err);
void store_container_list_free(struct container *list, size_t count);

/* Every container, also those being removed: for the janitor. */
int store_container_all(struct store *s, struct container **ret, size_t *ret_count,
                        struct error *err);

/* Note the CPU time, the memory and the processes that @limits have as the container's. Errors:
 * ERR_NOT_FOUND. */
int store_container_limits(struct store *s, const char *id, const struct limits *limits,
                           struct error *err);

/* Note the container's state. Running sets started_at to @now_ms. Errors: ERR_NOT_FOUND. */
int store_container_status(struct store *s, const char *id, enum container_status status,
                           int64_t now_ms, struct error *err);

/* Mark it as being removed, and free its scope key for a successor. Missing is fine. */
int store_container_removing(struct store *s, const char *id, struct error *err);

/* Forget it and its snapshots. Missing is fine. */
int store_container_delete(struct store *s, const char *id, struct error *err);

/* Whether there is a row of this container, owned or in the pool. */
int store_container_known(struct store *s, const char *id, bool *ret, struct error *err);

/* Insert the pool's row as it stands; *ret false: its template and tier are held empty. */
int store_pool_insert(struct store *s, const struct pool_entry *e, bool *ret, struct error *err);

/* A `warming` one is ready; *ret false: it is to be drained, or gone. */
int store_pool_ready(struct store *s, const char *id, bool *ret, struct error *err);

/* Nobody gets it any more; *ret false: it is not in the pool, but claimed or gone. */
int store_pool_drain_one(struct store *s, const char *id, bool *ret, struct error *err);

/* Forget it. Missing is fine. */
int store_pool_delete(struct store *s, const char *id, struct error *err);

/* All of them, oldest first. *ret is an array of *ret_count that the caller frees. */
int store_pool_list(struct store *s, struct pool_entry **ret, size_t *ret_count, struct error *err);

/*
 * Move the oldest ready one of c's template and tier that has this fingerprint from the pool to
 * `container`, as the row @c with its id in c->id; *ret false: there is none. The request is
 * counted as claimed or missed. Errors: as store_container_insert(); then the pool is as before.
 */
int store_pool_claim(struct store *s, const char *fingerprint, struct container *c,
                     struct quota_gate *gate, bool *ret, struct error *err);

/* How many there are and were of this template and tier. */
int store_pool_figures(struct store *s, const char *template_name, const char *tier,
                       struct pool_figures *ret, struct error *err);

/* Hold this template and tier empty, or not. */
int store_pool_hold(struct store *s, const char *template_name, const char *tier, bool held,
                    struct error *err);

/* Hold none any more. */
int store_pool_release(struct store *s, struct error *err);

/*
 * The ids of at most @limit containers of @owner (NULL: everybody's) in which nothing runs and that
 * were last used or started at @before_ms or earlier, one-shots left out; with @running only those
 * that run. *ret is an array of *ret_count that the caller frees.
 */
int store_idle_list(struct store *s, const char *owner, int64_t before_ms, bool running,
                    size_t limit, char (**ret)[CONTAINER_ID_SIZE], size_t *ret_count,
                    struct error *err);

/*
 * The ids, in their order and after @after ("": from the first), of at most @limit containers that
 * run and in which something runs or ran since @since_ms, those started since then included. *ret
 * is an array of *ret_count that the caller frees.
 */
int store_container_used(struct store *s, int64_t since_ms, const char *after, size_t limit,
                         char (**ret)[CONTAINER_ID_SIZE], size_t *ret_count, struct error *err);

/* Mark the container as being removed, or stopped, if it is idle as above; *ret: whether it was. */
int store_idle_removing(struct store *s, const char *id, int64_t before_ms, bool *ret,
                        struct error *err);
int store_idle_stopped(struct store *s, const char *id, int64_t before_ms, bool *ret,
                       struct error *err);

/*
 * Insert @snapshot as it stands. Errors: ERR_QUOTA_EXCEEDED if its container has @max already,
 * those being removed left out; -EDQUOT, without an error noted, if @gate (NULL: none), its owner's
 * quotas, is shut now.
 */
int store_snapshot_insert(struct store *s, const struct snapshot *snapshot, int64_t max,
                          struct quota_gate *gate, struct error *err);

/* The snapshot @id of the container, in any state. Errors: ERR_NOT_FOUND. */
int store_snapshot_get(struct store *s, const char *container_id, const char *id,
                       struct snapshot *ret, struct error *err);

/* The snapshots that @filter lets through, newest first. *ret is an array of *ret_count that the
 * caller frees. */
int store_snapshot_list(struct store *s, const struct snapshot_filter *filter,
                        struct snapshot **ret, size_t *ret_count, struct error *err);

/* Take over what was left of a snapshot that somebody else was to make: it is `creating`, with the
 * worker and the time of @snapshot. */
int store_snapshot_take(struct store *s, const struct snapshot *snapshot, struct error *err);

/* Note that it is made, and what it takes. Errors: ERR_NOT_FOUND if it is not being made. */
int store_snapshot_ready(struct store *s, const char *id, int64_t size_bytes, struct error *err);

/* Mark it as being removed. Missing is fine. */
int store_snapshot_removing(struct store *s, const char *id, struct error *err);

/* Forget it. Missing is fine. */
int store_snapshot_delete(struct store *s, const char *id, struct error *err);

/*
 * Insert @t under the hash of its secret, or, where there is one with its id (of a request that is
 * carried on), give that one this secret instead of its own. Synced. Errors: ERR_QUOTA_EXCEEDED if
 * its owner has @max others that have not expired by t->created_at_ms.
 */
int store_token_put(struct store *s, const struct token *t,
                    const unsigned char hash[TOKEN_HASH_BYTES], int64_t max, struct error *err);

/* The token whose secret has this hash, as of now, whoever changed it. Errors: ERR_NOT_FOUND. */
int store_token_by_hash(struct store *s, const unsigned char hash[TOKEN_HASH_BYTES],
                        struct token *ret, struct error *err);

/* The tokens that @filter lets through, newest first. *ret is an array of *ret_count that the
 * caller frees. */
int store_token_list(struct store *s, const struct token_filter *filter, struct token **ret,
                     size_t *ret_count, struct error *err);

/* Forget the token; *ret is what it was. Synced. Errors: ERR_NOT_FOUND. */
int store_token_delete(struct store *s, const char *id, struct token *ret, struct error *err);

/* Note that the @count tokens with these seqs were used at @now_ms. Missing ones are fine. */
int store_token_used(struct store *s, const int64_t *seqs, size_t count, int64_t now_ms,
                     struct error *err);

/* Forget those that expired before @before_ms. */
int store_token_expire(struct store *s, int64_t before_ms, struct error *err);

/* How many containers of @owner (NULL: of everybody) there are, and executions running and since
 * @since_ms. */
int store_counts(struct store *s, const char *owner, int64_t since_ms, struct counts *ret,
                 struct error *err);

/* Count for the metrics. */
int store_gauges(struct store *s, struct gauges *ret, struct error *err);

/*
 * Whether @owner could begin an execution now, in a container to be made or not. It binds nobody:
 * store_audit_begin() looks again. Returns -EDQUOT, without an error noted, if @gate is shut now.
 */
int store_quota_look(struct store *s, const char *owner, bool new_container, int64_t now_ms,
                     struct quota_gate *gate, struct error *err);

/* What @owner has used of each quota, by enum quota. */
int store_quota_usage(struct store *s, const char *owner, int64_t now_ms, int64_t ret[QUOTA_COUNT],
                      struct error *err);

/*
 * Write the intent: an entry that is `running`, and counts for its owner's quotas from here on.
 * Synced only for one in the background. Errors: -EDQUOT, without an error noted, if @gate (NULL:
 * none), its owner's quotas, is shut now; ERR_CONTAINER_NOT_RUNNING if its container's row says so:
 * who stops an idle one, or removes one, changes the row first, and does so only while it has no
 * running entry.
 */
int store_audit_begin(struct store *s, const struct audit_entry *e, struct quota_gate *gate,
                      struct error *err);

/*
 * Write the result of entry @e->id: its outcome, its output (NULL: none), its place in the hash
 * chain, and (if @count) one more in its container's executions_count and its last_used_at. Synced.
 * An entry that is no longer `running` (the janitor was faster) is left as it is, with
 * ERR_CONFLICT.
 */
int store_audit_finish(struct store *s, const struct audit_entry *e,
                       const struct audit_output *output, bool count, struct error *err);

/* Insert an entry that is finished from the start (refused executions, changes). Synced. Errors:
 * ERR_CONFLICT if there is one with its id. */
int store_audit_insert(struct store *s, const struct audit_entry *e, struct error *err);

/*
 * Insert the @count @entries, finished from the start, all or none. Not synced: they outlive every
 * process, but the last of them not the loss of power, after which the chain just ends before them.
 */
int store_audit_insert_all(struct store *s, const struct audit_entry *entries, size_t count,
                           struct error *err);

/* The entry with this id; for @owner only, unless NULL. Errors: ERR_NOT_FOUND. */
int store_audit_get(struct store *s, const char *id, const char *owner, struct audit_entry *ret,
                    struct error *err);

/*
 * The entries that @filter lets through, newest first. *ret is an array of *ret_count that
 * store_audit_list_free() frees.
 */
int store_audit_list(struct store *s, const struct audit_filter *filter, struct audit_entry **ret,
                     size_t *ret_count, struct error *err);
void store_audit_list_free(struct audit_entry *list, size_t count);

/*
 * The executions that run in the background, oldest first: those of @container_id (NULL: of all),
 * with a seq above @after, at most @limit. *ret is as of store_audit_list().
 */
int store_background_running(struct store *s, const char *container_id, int64_t after,
                             int64_t limit, struct audit_entry **ret, size_t *ret_count,
                             struct error *err);

/* A one-shot container whose execution in the background has ended. Errors: ERR_NOT_FOUND: there is
 * none (any more). */
int store_background_spent(struct store *s, char ret_id[CONTAINER_ID_SIZE], struct error *err);

/* The output kept for the entry with this seq; empty if there is none. Caller: audit_output_done().
 */
int store_audit_output(struct store *s, int64_t seq, struct audit_output *ret, struct error *err);

/* Insert @t as it stands; synced. Errors: ERR_CONFLICT if the name is taken. */
int store_template_insert(struct store *s, const struct template_row *t, struct error *err);

/* The template @name without its Dockerfile and files, also one whose removal has begun. Errors:
 * ERR_NOT_FOUND. */
int store_template_get(struct store *s, const char *name, struct template_row *ret,
                       struct error *err);

/* As store_template_get(), with Dockerfile and files. */
int store_template_source(struct store *s, const char *name, struct template_row *ret,
                          struct error *err);

/*
 * All of them without Dockerfiles and files, newest first. *ret is an array of *ret_count that
 * store_template_list_free() frees.
 */
int store_template_list(struct store *s, struct template_row **ret, size_t *ret_count,
                        struct error *err);
void store_template_list_free(struct template_row *list, size_t count);

/*
 * Note that the template's removal begins, if nothing stands against it. Errors: ERR_NOT_FOUND,
 * ERR_JOB_RUNNING, ERR_TEMPLATE_IN_USE (there are containers of it, or the pool has some).
 */
int store_template_removing(struct store *s, const char *name, struct error *err);

/* Note that its image is a new one. Missing is fine. */
int store_template_touch(struct store *s, const char *name, int64_t now_ms, struct error *err);

/* Forget the template, its job and its log; synced. Missing is fine. */
int store_template_delete(struct store *s, const char *name, struct error *err);

/*
 * Queue a job for the request with @nonce (NULL: it has none); its predecessor and that one's log
 * are forgotten. Errors: ERR_JOB_RUNNING.
 */
int store_job_queue(struct store *s, const char *template_name, enum job_kind kind,
                    const char *nonce, int64_t now_ms, struct error *err);

/* The last job of a template. Errors: ERR_NOT_FOUND. */
int store_job_get(struct store *s, const char *template_name, struct job *ret, struct error *err);

/* Every template's last job: an array of *ret_count that the caller frees. */
int store_job_list(struct store *s, struct job **ret, size_t *ret_count, struct error *err);

/* Take the oldest queued job: it is running and has one attempt more. Returns -ENOENT, without an
 * error noted, if none is queued. */
int store_job_claim(struct store *s, struct job *ret, struct error *err);

/* Put a running job back into the queue. */
int store_job_again(struct store *s, const char *template_name, struct error *err);

/* End a running job: failed with the sentence @error, or done for NULL; synced. */
int store_job_finish(struct store *s, const char *template_name, const char *error, int64_t now_ms,
                     struct error *err);

/*
 * Put right what a dead builder left: its running jobs are queued again if they have attempts left,
 * else failed with @reason.
 */
int store_job_recover(struct store *s, const char *reason, int64_t now_ms, struct error *err);

/* Append to the log of a job. */
int store_job_log_add(struct store *s, const char *template_name, const char *text,
                      struct error *err);

/* A job's log so far: an owned string. Errors: ERR_NOT_FOUND if there never was a job. */
int store_job_log_get(struct store *s, const char *template_name, char **ret, struct error *err);

/* Figures over the executions of filter->owner (NULL: of all) from since_ms until until_ms, all as
 * of one moment. Caller: audit_summary_done(). */
int store_audit_summary(struct store *s, const struct audit_filter *filter,
                        struct audit_summary *ret, struct error *err);

/*
 * Give up the finished entries that started before @before_ms: from now on the chain does without
 * them, and store_audit_purge() deletes them. @by is the change entry that signs this off, but for
 * its details, which are set here; none is left where there is nothing to give up. *ret_removed
 * counts the entries; *ret_more says that there are so many pieces of the chain between others that
 * another call has to go on. Synced. Errors: ERR_CONFLICT if somebody has tampered with the gaps.
 */
int store_audit_retire(struct store *s, int64_t before_ms, const struct audit_entry *by,
                       int64_t *ret_removed, bool *ret_more, struct error *err);

/*
 * Delete some entries that were given up, with their output; adds to *freed_bytes what became free
 * in the database for new entries. *ret_more: call again, but let others write first. Errors: as
 * store_audit_retire().
 */
int store_audit_purge(struct store *s, int64_t *freed_bytes, bool *ret_more, struct error *err);

/* When, in ms, the entry started before which @share / @of of the finished ones lie. -ENOENT,
 * without an error, if there are no such. */
int store_audit_oldest(struct store *s, int64_t share, int64_t of, int64_t *ret_ms,
                       struct error *err);

/* Bytes of the database that are in use, free pages left out. */
int store_used_bytes(struct store *s, int64_t *ret, struct error *err);

/* What a walk along the hash chain found. */
struct chain_report {
    int64_t entries;  /* that are right */
    int64_t removed;  /* by cleanups, signed off */
    int64_t cleanups; /* that removed them */
    char head[65];    /* the newest entry's hash */
    char what[160];   /* is wrong; "" if all is well */
    int64_t position; /* in the chain of what is wrong; 0: it has none */
};

/*
 * Verify the audit log: every entry's link and output, that none is missing but those that a
 * cleanup has signed off, and the chain's head. Returns 0 also where something is wrong. It finds
 * what was changed by somebody who did not make the chain anew from there on: a copy of `head` kept
 * elsewhere tells that, too.
 */
int store_chain_verify(struct store *s, struct chain_report *ret, struct error *err);

/*
 * Insert @k, without an answer, unless its owner has a request of that key: then *ret_added is
 * false and @k is that request. Not synced. Caller: keyed_done().
 */
int store_keyed_begin(struct store *s, struct keyed *k, bool *ret_added, struct error *err);

/* Read the request @k->owner, @k->key into @k. Caller: keyed_done(). Errors: ERR_NOT_FOUND. */
int store_keyed_get(struct store *s, struct keyed *k, struct error *err);

/*
 * Let @worker carry out @k, which has no answer, instead of @k->worker. Errors: ERR_CONFLICT if
 * another one was faster.
 */
int store_keyed_take(struct store *s, const struct keyed *k, uint64_t worker, struct error *err);

/* Keep @k's answer: @k->status and @k->body. Synced where there is a body to lose. */
int store_keyed_answer(struct store *s, const struct keyed *k, struct error *err);

/* Forget @k. Missing is fine. */
int store_keyed_forget(struct store *s, const struct keyed *k, struct error *err);

/* Forget all that began before @before_ms. */
int store_keyed_expire(struct store *s, int64_t before_ms, struct error *err);

#endif
