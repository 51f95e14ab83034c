/* A thread's backend: see backend.h. */
#include "backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/engine.h"
#include "backend/store/store.h"

enum { PATH_SIZE = 4096 };

int
backend_instance(struct service_context *ctx, struct error *err)
{
    char path[PATH_SIZE];
    _cleanup_(closep) int fd = -1;
    unsigned char noise[(INSTANCE_SIZE - 1) / 2];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/instance", ctx->state_dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open of the instance file");
    n = read(fd, ctx->instance, INSTANCE_SIZE - 1);
    if (n == INSTANCE_SIZE - 1 && strspn(ctx->instance, "0123456789abcdef") == INSTANCE_SIZE - 1)
        return 0;
    if (n != 0)
        return error_set(err, ERR_INTERNAL,
                         "the file 'instance' in the state directory is damaged");
    randombytes_buf(noise, sizeof(noise));
    sodium_bin2hex(ctx->instance, INSTANCE_SIZE, noise, sizeof(noise));
    n = write(fd, ctx->instance, INSTANCE_SIZE - 1);
    if (n != INSTANCE_SIZE - 1 || fsync(fd) < 0)
        return error_errno(err, n < 0 ? errno : EIO, "write of the instance file");
    return 0;
}

struct backend *
backend_new(const struct service_context *context)
{
    _cleanup_(backend_freep) struct backend *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->context = context;
    b->engine = engine_new(context->state_dir);
    return b->engine ? TAKE(b) : NULL;
}

void
backend_free(struct backend *b)
{
    if (!b)
        return;
    backend_end(b);
    store_free(b->store);
    engine_free(b->engine);
    sodium_memzero(b->token_key, sizeof(b->token_key));
    free(b);
}

int
backend_store(struct backend *b, struct store **ret, struct error *err)
{
    char path[PATH_SIZE];
    int r = 0;

    if (!b->store) {
        snprintf(path, sizeof(path), "%s/sandbox.db", b->context->state_dir);
        r = store_open(path, b->context->shared, &b->store, err);
    }
    if (r == 0)
        *ret = b->store;
    return r;
}

/* Take over the overrides that some process stored as @generation. */
static int
refresh(struct backend *b, unsigned generation, struct error *err)
{
    json_auto_t *overrides = NULL;
    struct store *store = NULL;
    struct error noted = {0};
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_override_get(store, &overrides, err);
    /* Overrides that do not fit the YAML are noted for GET status; the last good settings serve on.
     */
    if (r == 0)
        current_override(b->context->current, overrides, generation, &noted);
    return r;
}

int
backend_begin(struct backend *b, struct error *err)
{
    unsigned newest = atomic_load(&b->context->shared->settings_generation);
    unsigned generation;
    int r;

    backend_end(b);
    b->settings = current_get(b->context->current, &generation);
    if (generation == newest)
        return 0;
    r = refresh(b, newest, err);
    settings_unref(b->settings);
    b->settings = current_get(b->context->current, &generation);
    return r;
}

void
backend_end(struct backend *b)
{
    settings_unref(b->settings);
    b->settings = NULL;
}
