/* Bearer tokens: see token.h. */
#include "backend/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/change.h"
#include "backend/list.h"
#include "backend/store/store.h"
#include "backend/token_key.h"
#include "backend/utf8.h"

enum {
    USE_INTERVAL_MS = 60000, /* one token's uses are written no more often */
    USE_PROBES = 16,
    EXPIRED_KEPT_MS = 24 * 3600 * 1000
};

_Static_assert(sizeof(TOKEN_PREFIX) - 1 + 2 * (size_t)TOKEN_SECRET_BYTES + 1 == TOKEN_SECRET_SIZE,
               "TOKEN_SECRET_SIZE counts the prefix");

void
token_page_done(struct token_page *page)
{
    free(page->items);
    *page = (struct token_page){0};
}

static void
new_secret(char secret[TOKEN_SECRET_SIZE])
{
    unsigned char noise[TOKEN_SECRET_BYTES];
    size_t len = sizeof(TOKEN_PREFIX) - 1;

    randombytes_buf(noise, sizeof(noise));
    memcpy(secret, TOKEN_PREFIX, len);
    sodium_bin2hex(secret + len, TOKEN_SECRET_SIZE - len, noise, sizeof(noise));
    sodium_memzero(noise, sizeof(noise));
}

/* Whether @secret is spelled as one of ours. */
static bool
well_formed(const char *secret)
{
    size_t len = sizeof(TOKEN_PREFIX) - 1;

    return strnlen(secret, TOKEN_SECRET_SIZE) == TOKEN_SECRET_SIZE - 1 &&
           strncmp(secret, TOKEN_PREFIX, len) == 0 &&
           strspn(secret + len, "0123456789abcdef") == TOKEN_SECRET_SIZE - 1 - len;
}

static int
hash_secret(struct backend *b, const char *secret, unsigned char hash[TOKEN_HASH_BYTES],
            struct error *err)
{
    int r = token_key_read(b, err);

    if (r == 0)
        crypto_generichash(hash, TOKEN_HASH_BYTES, (const unsigned char *)secret, strlen(secret),
                           b->token_key, TOKEN_KEY_BYTES);
    return r;
}

static int
check_spec(const struct token_spec *spec, struct error *err)
{
    if (!id_is_name(spec->user, OWNER_SIZE - 1))
        return error_violation(err, "/user",
                               "must be 1 to %d letters, digits and . _ @ + = , - and begin with a "
                               "letter or digit",
                               OWNER_SIZE - 1);
    if (spec->name && !utf8_is_name(spec->name, NAME_SIZE - 1))
        return error_violation(err, "/name",
                               "must be text of 1 to %d bytes without control characters",
                               NAME_SIZE - 1);
    if (spec->expires_in < 0 || spec->expires_in > TOKEN_SECONDS_MAX)
        return error_violation(err, "/expires_in_seconds", "must be from 1 to %d",
                               TOKEN_SECONDS_MAX);
    return 0;
}

/* What a change entry says of a token. NULL out of memory. */
static json_t *
describe(const struct token *t)
{
    char expires[TIMESTAMP_SIZE] = "";

    if (t->expires_at_ms)
        time_format(t->expires_at_ms, expires);
    return json_pack("{s:{s:s, s:s, s:s, s:s?}}", "token", "id", t->id, "user", t->owner, "name",
                     t->name, "expires_at", expires[0] ? expires : NULL);
}

/* Leave the change entry of an act that took @before (NULL: nothing) to @after. */
static int
note(struct backend *b, const struct caller *caller, json_t *before, json_t *after,
     struct error *err)
{
    const struct change change = {.before = before, .after = after};

    if (!before && !after)
        return error_errno(err, ENOMEM, "change entry");
    return change_note(b, caller, &change, err);
}

/* The row of a token to be made. */
static struct token
new_token(const struct caller *caller, const struct token_spec *spec)
{
    struct token t = {.created_at_ms = time_now_ms()};

    if (caller->nonce)
        id_token_derived(caller->nonce, t.id);
    else
        id_token(t.id);
    snprintf(t.owner, sizeof(t.owner), "%s", spec->user);
    snprintf(t.name, sizeof(t.name), "%s", spec->name ? spec->name : t.id);
    if (spec->expires_in)
        t.expires_at_ms = t.created_at_ms + spec->expires_in * 1000;
    return t;
}

int
token_create(struct backend *b, const struct caller *caller, const struct token_spec *spec,
             struct token *ret, char secret[TOKEN_SECRET_SIZE], struct error *err)
{
    struct token t = {0};
    unsigned char hash[TOKEN_HASH_BYTES];
    json_auto_t *after = NULL;
    struct store *store = NULL;
    int r;

    r = check_spec(spec, err);
    if (r == 0)
        r = backend_store(b, &store, err);
    if (r < 0)
        return r;
    t = new_token(caller, spec);
    new_secret(secret);
    r = hash_secret(b, secret, hash, err);
    if (r == 0)
        r = store_token_put(store, &t, hash, TOKENS_OF_USER_MAX, err);
    if (r == 0) {
        after = describe(&t);
        r = note(b, caller, NULL, after, err);
    }
    if (r == 0)
        *ret = t;
    else
        sodium_memzero(secret, TOKEN_SECRET_SIZE); /* nobody can use what was made */
    return r;
}

/* Note that a token was used, for token_write_uses(). Where there is no room, its next use is. */
static void
note_use(struct shared *s, int64_t seq)
{
    for (uint64_t i = 0; i < USE_PROBES; i++) {
        atomic_uint_least64_t *slot = &s->used_tokens[((uint64_t)seq + i) % SHARED_USED_TOKENS];
        uint_least64_t before = 0;

        if (atomic_compare_exchange_strong(slot, &before, (uint64_t)seq) || before == (uint64_t)seq)
            return;
    }
}

/* Whether the row's word on the last use is too old. A clock that was set back makes it so, too. */
static bool
use_is_due(const struct token *t, int64_t now_ms)
{
    return now_ms < t->last_used_at_ms || now_ms - t->last_used_at_ms >= USE_INTERVAL_MS;
}

int
token_verify(struct backend *b, const char *secret, struct token *ret, struct error *err)
{
    unsigned char hash[TOKEN_HASH_BYTES];
    struct error missing = {0};
    struct store *store = NULL;
    struct token t = {0};
    int64_t now_ms = time_now_ms();
    int r = -ENOENT;

    if (well_formed(secret)) {
        r = backend_store(b, &store, err);
        if (r == 0)
            r = hash_secret(b, secret, hash, err);
        if (r < 0)
            return r;
        r = store_token_by_hash(store, hash, &t, &missing);
    }
    if (r < 0 && r != -ENOENT) {
        *err = missing;
        return r;
    }
    if (r == -ENOENT || (t.expires_at_ms && t.expires_at_ms <= now_ms))
        return error_set(err, ERR_UNAUTHENTICATED,
                         "the token is not valid: it is wrong, was revoked or has expired");
    if (use_is_due(&t, now_ms))
        note_use(b->context->shared, t.seq);
    *ret = t;
    return 0;
}

int
token_list(struct backend *b, const char *user, int64_t before, int64_t limit,
           struct token_page *ret, struct error *err)
{
    const struct token_filter filter = {
        .owner = user,
        .before = before,
        .limit = list_to_read(limit),
    };
    struct token_page page = {0};
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_token_list(store, &filter, &page.items, &page.count, err);
    if (r < 0)
        return r;
    if (page.items && list_goes_on(page.count, limit)) {
        page.count--;
        page.next = page.items[page.count - 1].seq;
    }
    *ret = page;
    return 0;
}

int
token_revoke(struct backend *b, const struct caller *caller, const char *id, struct error *err)
{
    json_auto_t *before = NULL;
    struct store *store = NULL;
    struct token t = {0};
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_token_delete(store, id, &t, err);
    if (r < 0)
        return r;
    before = describe(&t);
    return note(b, caller, before, NULL, err);
}

int
token_write_uses(struct backend *b, struct error *err)
{
    struct shared *shared = b->context->shared;
    int64_t seqs[SHARED_USED_TOKENS];
    struct store *store = NULL;
    size_t count = 0;
    int r;

    for (size_t i = 0; i < SHARED_USED_TOKENS; i++) {
        uint_least64_t seq = atomic_load(&shared->used_tokens[i]);

        if (seq && atomic_compare_exchange_strong(&shared->used_tokens[i], &seq, 0))
            seqs[count++] = (int64_t)seq;
    }
    if (count == 0)
        return 0;
    r = backend_store(b, &store, err);
    return r < 0 ? r : store_token_used(store, seqs, count, time_now_ms(), err);
}

int
token_tidy(struct backend *b, struct error *err)
{
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    return r < 0 ? r : store_token_expire(store, time_now_ms() - EXPIRED_KEPT_MS, err);
}
