/* The settings in force: see current.h. */
#include "backend/config/current.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "backend/cleanup.h"

/* Lifetime: process. */
struct current {
    pthread_mutex_t lock; /* over all below but dir */
    const char *dir;      /* of the YAML files */
    struct settings *settings;
    unsigned generation;
    char failure[512]; /* of the last change that was refused; "" if it went well */
};

int
current_new(const char *dir, struct current **ret, struct error *err)
{
    _cleanup_(freep) struct current *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return error_errno(err, ENOMEM, "settings");
    c->dir = dir;
    pthread_mutex_init(&c->lock, NULL);
    r = settings_load(dir, NULL, &c->settings, err);
    if (r < 0)
        return r;
    *ret = TAKE(c);
    return 0;
}

/* Swap in @fresh (taken; NULL after a failure @err), and note how it went. */
static void
swap(struct current *c, struct settings *fresh, unsigned generation, const struct error *err)
{
    struct settings *old = NULL;

    pthread_mutex_lock(&c->lock);
    if (fresh) {
        old = c->settings;
        c->settings = fresh;
        c->failure[0] = '\0';
    } else {
        snprintf(c->failure, sizeof(c->failure), "%s", err->msg);
    }
    c->generation = generation;
    pthread_mutex_unlock(&c->lock);
    settings_unref(old);
}

int
current_reload(struct current *c, struct error *err)
{
    _cleanup_(settings_unrefp) struct settings *now = NULL;
    struct settings *fresh = NULL;
    unsigned generation;
    int r;

    now = current_get(c, &generation);
    r = settings_load(c->dir, now->overrides, &fresh, err);
    swap(c, fresh, generation, err);
    return r;
}

struct settings *
current_get(struct current *c, unsigned *ret_generation)
{
    struct settings *s;

    pthread_mutex_lock(&c->lock);
    s = settings_ref(c->settings);
    *ret_generation = c->generation;
    pthread_mutex_unlock(&c->lock);
    return s;
}

int
current_override(struct current *c, json_t *overrides, unsigned generation, struct error *err)
{
    _cleanup_(settings_unrefp) struct settings *now = NULL;
    struct settings *fresh = NULL;
    unsigned ignored;
    int r;

    now = current_get(c, &ignored);
    r = settings_with_overrides(now, overrides, &fresh, err);
    swap(c, fresh, generation, err);
    return r;
}

void
current_failure(struct current *c, char *buf, size_t size)
{
    pthread_mutex_lock(&c->lock);
    snprintf(buf, size, "%s", c->failure);
    pthread_mutex_unlock(&c->lock);
}
