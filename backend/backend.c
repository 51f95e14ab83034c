/* A thread's backend: see backend.h. */
#include "backend/backend.h"

#include <errno.h>
#include <stdio.h>

#include "backend/engine.h"
#include "backend/store/store.h"

enum { PATH_SIZE = 4096 };

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
