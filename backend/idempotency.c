/* Requests that are carried out once: see idempotency.h. */
#include "backend/idempotency.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/store/store.h"

enum { WAIT_MS = 10000, LOOK_MS = 50, RETRY_SECONDS = 1 };

bool
idempotency_key_valid(const char *key)
{
    size_t len = strnlen(key, IDEMPOTENCY_KEY_SIZE);

    if (len < 1 || len >= IDEMPOTENCY_KEY_SIZE)
        return false;
    for (; *key; key++)
        if (!isalnum((unsigned char)*key) && !strchr("._-", *key))
            return false;
    return true;
}

void
idempotency_fingerprint(const char *method, const char *path, const char *query, const char *body,
                        size_t len, char out[FINGERPRINT_SIZE])
{
    const char *const parts[] = {method, path, query ? query : ""};
    crypto_generichash_state h;
    unsigned char digest[32];

    crypto_generichash_init(&h, NULL, 0, sizeof(digest));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) /* with its NUL, which none of them holds */
        crypto_generichash_update(&h, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
    if (len > 0)
        crypto_generichash_update(&h, (const unsigned char *)body, len);
    crypto_generichash_final(&h, digest, sizeof(digest));
    sodium_bin2hex(out, FINGERPRINT_SIZE, digest, sizeof(digest));
}

static void
new_keyed(struct backend *b, const char *user, const char *key, const char *fingerprint,
          struct keyed *ret)
{
    unsigned char noise[(NONCE_SIZE - 1) / 2];

    *ret = (struct keyed){.worker = b->context->worker_id, .created_at_ms = time_now_ms()};
    snprintf(ret->owner, sizeof(ret->owner), "%s", user);
    snprintf(ret->key, sizeof(ret->key), "%s", key);
    snprintf(ret->fingerprint, sizeof(ret->fingerprint), "%s", fingerprint);
    randombytes_buf(noise, sizeof(noise));
    sodium_bin2hex(ret->nonce, sizeof(ret->nonce), noise, sizeof(noise));
}

int
idempotency_wait(int64_t deadline_ms, int peer_fd, struct error *err)
{
    struct pollfd peer = {.fd = peer_fd, .events = POLLRDHUP};
    int r;

    if (poll(&peer, 1, LOOK_MS) <= 0 && time_monotonic_ms() < deadline_ms)
        return 0;
    r = error_set(err, ERR_CONFLICT, "the first request with this Idempotency-Key still runs");
    if (err)
        err->retry_after_seconds = RETRY_SECONDS;
    return r;
}

/* Whether somebody carries @k out. */
static bool
goes_on(struct backend *b, const struct keyed *k)
{
    return k->worker != 0 && shared_worker_alive(b->context->shared, k->worker);
}

/* Take over from an attempt that broke off; another one may be faster, and is waited for then. */
static int
take_over(struct backend *b, struct store *store, struct keyed *k, enum keyed_state *ret_state,
          struct error *err)
{
    struct error failure = {0};
    int r = store_keyed_take(store, k, b->context->worker_id, &failure);

    if (r == -EEXIST)
        return 0;
    if (r < 0) {
        *err = failure;
        return r;
    }
    *ret_state = KEYED_RESUMED;
    return 0;
}

/* One look at the request: *ret_state stays 0 while another attempt runs. */
static int
look(struct backend *b, struct store *store, const char *fingerprint, struct keyed *k,
     enum keyed_state *ret_state, struct error *err)
{
    bool added = false;
    int r = store_keyed_begin(store, k, &added, err);

    if (r < 0)
        return r;
    if (added)
        *ret_state = KEYED_NEW;
    else if (strcmp(k->fingerprint, fingerprint) != 0)
        return error_set(err, ERR_CONFLICT,
                         "this Idempotency-Key was used for another request; choose a new one");
    else if (k->status)
        *ret_state = KEYED_ANSWERED;
    else if (!goes_on(b, k))
        return take_over(b, store, k, ret_state, err);
    return 0;
}

int
idempotency_begin(struct backend *b, const char *user, const char *key, const char *fingerprint,
                  int peer_fd, struct keyed *ret, enum keyed_state *ret_state, struct error *err)
{
    int64_t deadline_ms = time_monotonic_ms() + WAIT_MS;
    enum keyed_state state = 0;
    struct store *store = NULL;
    struct keyed k = {0};
    int r = backend_store(b, &store, err);

    while (r == 0 && !state) {
        new_keyed(b, user, key, fingerprint, &k);
        r = look(b, store, fingerprint, &k, &state, err);
        if (r == 0 && !state)
            r = idempotency_wait(deadline_ms, peer_fd, err);
        if (r < 0 || !state)
            keyed_done(&k);
    }
    if (r < 0)
        return r;
    *ret = k;
    *ret_state = state;
    return 0;
}

int
idempotency_answer(struct backend *b, const struct keyed *k, int status, const char *body,
                   struct error *err)
{
    struct keyed answered = *k;
    _cleanup_(freep) char *copy = body ? strdup(body) : NULL;
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r == 0 && body && !copy)
        r = error_errno(err, ENOMEM, "answer to keep");
    if (r < 0)
        return r;
    answered.status = status;
    answered.body = copy;
    return store_keyed_answer(store, &answered, err);
}

int
idempotency_fail(struct backend *b, const struct keyed *k, const struct error *why,
                 struct error *err)
{
    struct keyed held = *k;
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    held.worker = b->context->worker_id;
    if (r < 0)
        return r;
    return why->code == ERR_INTERNAL || why->code == ERR_NONE
               ? store_keyed_take(store, &held, 0, err)
               : store_keyed_forget(store, &held, err);
}
