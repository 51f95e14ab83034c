/*
 * The hash chain over the audit log: each finished entry has a position, and a hash over its fields
 * and the hash before it. Entries get their position as they finish, in the transaction that
 * finishes them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/store/internal.h"

enum { DIGEST_BYTES = 32 };

/* Hash one field with its length before it, so that no two sequences of fields hash alike. */
static void
hash_bytes(crypto_generichash_state *h, const void *bytes, size_t len)
{
    char length[24];
    unsigned n = (unsigned)snprintf(length, sizeof(length), "%zu:", len);

    crypto_generichash_update(h, (const unsigned char *)length, n);
    if (len > 0)
        crypto_generichash_update(h, bytes, len);
}

static void
hash_text(crypto_generichash_state *h, const char *text)
{
    hash_bytes(h, text, text ? strlen(text) : 0);
}

static void
hash_number(crypto_generichash_state *h, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    hash_text(h, text);
}

static void
hash_begin(crypto_generichash_state *h)
{
    crypto_generichash_init(h, NULL, 0, DIGEST_BYTES);
}

static void
hash_end(crypto_generichash_state *h, char out[HASH_SIZE])
{
    unsigned char digest[DIGEST_BYTES];

    crypto_generichash_final(h, digest, sizeof(digest));
    sodium_bin2hex(out, HASH_SIZE, digest, sizeof(digest));
}

void
chain_output_hash(const struct audit_output *o, char out[HASH_SIZE])
{
    crypto_generichash_state h;

    hash_begin(&h);
    hash_bytes(&h, o->out, o->out_len);
    hash_bytes(&h, o->errout, o->errout_len);
    hash_number(&h, o->out_truncated);
    hash_number(&h, o->errout_truncated);
    hash_number(&h, (int64_t)o->out_head);
    hash_number(&h, (int64_t)o->errout_head);
    hash_end(&h, out);
}

/* `worker` is left out: which process ran it tells only the janitor something, while it runs. */
void
chain_link(const struct audit_entry *e, const char *output_hash, const char *before,
           char out[HASH_SIZE])
{
    crypto_generichash_state h;

    hash_begin(&h);
    hash_text(&h, before);
    hash_text(&h, e->id);
    hash_text(&h, stmt_spell(audit_kind_names, (int)e->kind));
    hash_text(&h, e->owner);
    hash_text(&h, e->agent_id);
    hash_text(&h, e->session_id);
    hash_text(&h, e->container_id);
    hash_text(&h, e->tier);
    hash_text(&h, e->template_name);
    hash_text(&h, e->command);
    hash_text(&h, e->details);
    hash_text(&h, stmt_spell(audit_status_names, (int)e->status));
    hash_number(&h, e->started_at_ms);
    hash_number(&h, e->finished_at_ms);
    hash_number(&h, e->duration_ms);
    hash_number(&h, e->cpu_ms);
    hash_number(&h, e->max_memory_kib);
    hash_number(&h, e->background);
    hash_number(&h, e->output_cap);
    hash_number(&h, e->exit_code);
    hash_text(&h, e->signal);
    hash_number(&h, (int64_t)e->stdout_bytes);
    hash_number(&h, (int64_t)e->stderr_bytes);
    hash_text(&h, e->request_id);
    hash_text(&h, output_hash);
    hash_end(&h, out);
}

int
chain_append(struct store *s, const struct audit_entry *e, const char *output_hash,
             int64_t *ret_position, char hash[HASH_SIZE], struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *get = store_stmt(s, STMT_CHAIN_GET, err);
    _cleanup_(stmt_release) sqlite3_stmt *set = store_stmt(s, STMT_CHAIN_SET, err);

    if (!get || !set)
        return -EIO;
    if (sqlite3_step(get) != SQLITE_ROW)
        return store_fail(s, err);
    *ret_position = sqlite3_column_int64(get, 0) + 1;
    chain_link(e, output_hash, (const char *)sqlite3_column_text(get, 1), hash);
    sqlite3_bind_int64(set, 1, *ret_position);
    sqlite3_bind_text(set, 2, hash, -1, SQLITE_STATIC);
    return stmt_run(s, set, err);
}

/* Read the table of gaps into *@ret. */
static int
read_table(struct store *s, struct gaps *ret, struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_GAP_LIST, err);
    crypto_generichash_state h;
    int rc;

    if (!st)
        return -EIO;
    hash_begin(&h);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(st, 0), last = sqlite3_column_int64(st, 1);

        if (ret->count++ == 0)
            ret->first = first;
        ret->positions += last - first + 1;
        hash_number(&h, first);
        hash_number(&h, last);
        hash_text(&h, (const char *)sqlite3_column_text(st, 2));
    }
    hash_end(&h, ret->hash);
    return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

/* The id of the entry that signs the gaps off; "" if there is none. */
static int
read_signer(struct store *s, char id[AUDIT_ID_SIZE], struct error *err)
{
    _cleanup_(stmt_release) sqlite3_stmt *st = store_stmt(s, STMT_CHAIN_GET, err);

    if (!st)
        return -EIO;
    if (sqlite3_step(st) != SQLITE_ROW)
        return store_fail(s, err);
    column_copy(st, 2, id, AUDIT_ID_SIZE);
    return 0;
}

/* Whether the change entry @e vouches for @gaps: see sign() in gap.c. */
static bool
vouches(const struct audit_entry *e, const char *hash, int64_t *ret_cleanups)
{
    json_auto_t *details = e->details ? json_loads(e->details, 0, NULL) : NULL;
    const json_t *after = json_object_get(details, "after");
    const char *signed_hash = json_string_value(json_object_get(after, "gaps_hash"));

    *ret_cleanups = json_integer_value(json_object_get(after, "cleanups"));
    return e->kind == AUDIT_CHANGE && e->hash[0] && signed_hash && strcmp(signed_hash, hash) == 0;
}

int
gaps_read(struct store *s, struct gaps *ret, struct error *err)
{
    struct audit_entry e = {0};
    struct gaps gaps = {0};
    char signer[AUDIT_ID_SIZE] = "";
    struct error missing = {0};
    int r;

    r = read_table(s, &gaps, err);
    if (r == 0)
        r = read_signer(s, signer, err);
    if (r < 0)
        return r;
    gaps.signed_off = gaps.count == 0 && !signer[0];
    if (signer[0]) {
        r = store_audit_get(s, signer, NULL, &e, &missing);
        if (r == 0)
            gaps.signed_off = vouches(&e, gaps.hash, &gaps.cleanups);
        audit_entry_done(&e);
    }
    if (r < 0 && r != -ENOENT) {
        *err = missing;
        return r;
    }
    *ret = gaps;
    return 0;
}
