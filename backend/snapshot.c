/* Snapshots: see snapshot.h. */
#include "backend/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/change.h"
#include "backend/container.h"
#include "backend/engine.h"
#include "backend/list.h"
#include "backend/quota.h"
#include "backend/store/store.h"
#include "backend/utf8.h"

enum { GLANCE_MS = 100 }; /* the janitor comes again */

void
snapshot_page_done(struct snapshot_page *page)
{
    free(page->items);
    *page = (struct snapshot_page){0};
}

bool
snapshot_name_valid(const char *name)
{
    return utf8_is_name(name, sizeof(((struct snapshot *)0)->name) - 1);
}

int
snapshot_list(struct backend *b, const struct caller *caller, const char *container_id,
              int64_t before, int64_t limit, struct snapshot_page *ret, struct error *err)
{
    const struct snapshot_filter filter = {
        .container_id = container_id,
        .status = SNAPSHOT_READY,
        .before = before,
        .limit = list_to_read(limit),
    };
    struct snapshot_page page = {0};
    struct container c = {0};
    struct store *store = NULL;
    int r;

    r = container_get(b, caller, container_id, &c, err);
    container_done(&c);
    if (r == 0)
        r = backend_store(b, &store, err);
    if (r == 0)
        r = store_snapshot_list(store, &filter, &page.items, &page.count, err);
    if (r < 0)
        return r;
    if (page.items && list_goes_on(page.count, limit)) {
        page.count--;
        page.next = page.items[page.count - 1].seq;
    }
    *ret = page;
    return 0;
}

/* What a change entry says of a snapshot. NULL out of memory. */
static json_t *
describe(const struct snapshot *s)
{
    return json_pack("{s:{s:s, s:s, s:I}}", "snapshot", "id", s->id, "name", s->name, "size_bytes",
                     (json_int_t)s->size_bytes);
}

/* Leave the change entry of an act on @c that took @before (NULL: nothing) to @after. */
static int
note(struct backend *b, const struct caller *caller, const struct container *c, json_t *before,
     json_t *after, struct error *err)
{
    const struct change change = {
        .container_id = c->id,
        .template_name = c->template_name,
        .tier = c->tier,
        .before = before,
        .after = after,
    };

    if (!before && !after)
        return error_errno(err, ENOMEM, "change entry");
    return change_note(b, caller, &change, err);
}

/* The container, under its lock. A glance comes first: who may not see it shall not wait for it. */
static int
hold(struct backend *b, const struct caller *caller, const char *container_id,
     pthread_mutex_t **ret_lock, struct container *ret, struct error *err)
{
    struct container c = {0};
    int r = container_get(b, caller, container_id, &c, err);

    container_done(&c);
    if (r == 0)
        r = container_lock(b, container_id, ret_lock, err);
    return r < 0 ? r : container_get(b, caller, container_id, ret, err);
}

/* The container under its lock, and one of its snapshots. */
static int
hold_both(struct backend *b, const struct caller *caller, const char *container_id, const char *id,
          pthread_mutex_t **ret_lock, struct container *ret_container, struct snapshot *ret,
          struct error *err)
{
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = hold(b, caller, container_id, ret_lock, ret_container, err);
    if (r == 0)
        r = store_snapshot_get(store, container_id, id, ret, err);
    if (r == 0 && ret->status != SNAPSHOT_READY)
        r = error_set(err, ERR_NOT_FOUND, "there is no such snapshot");
    return r;
}

/* Finish the removal of a snapshot: its image, then its row. The container's lock is held. */
static int
discard(struct backend *b, const char *id, struct error *err)
{
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_snapshot_removing(store, id, err);
    if (r == 0)
        r = engine_snapshot_remove(b->engine, id, err);
    return r < 0 ? r : store_snapshot_delete(store, id, err);
}

/* Make the image that the row @s announces. */
static int
make(struct backend *b, struct store *store, struct snapshot *s, struct error *err)
{
    int r = engine_snapshot_create(b->engine, s->container_id, s->id, &s->size_bytes, err);

    if (r == -ENOENT) {
        error_clear(err);
        r = error_set(err, ERR_CONFLICT, "the engine has lost the container; start it first");
    }
    if (r == 0)
        r = store_snapshot_ready(store, s->id, s->size_bytes, err);
    if (r < 0)
        discard(b, s->id, NULL); /* what fails here is the janitor's to finish */
    else
        s->status = SNAPSHOT_READY;
    return r;
}

/*
 * Write the row of @s. One of its id is of an attempt of the same request that broke off: where
 * that one had the snapshot ready, *s is it; else the row is ours now, and its image, if any, goes.
 */
static int
announce(struct backend *b, struct store *store, struct snapshot *s, struct error *err)
{
    struct quota_gate gate = quota_gate(b, s->owner);
    struct snapshot earlier;
    int r = store_snapshot_get(store, s->container_id, s->id, &earlier, err);

    if (r == -ENOENT) {
        error_clear(err);
        r = store_snapshot_insert(store, s, b->settings->containers.snapshots_max, &gate, err);
        return gate.shut ? quota_refuse(b, s->owner, &gate, err) : r;
    }
    if (r < 0)
        return r;
    if (earlier.status == SNAPSHOT_READY) {
        *s = earlier;
        return 0;
    }
    r = store_snapshot_take(store, s, err);
    return r < 0 ? r : engine_snapshot_remove(b->engine, s->id, err);
}

/* A snapshot of @c, whose lock is held: the row first, then the engine. */
static int
create(struct backend *b, const struct caller *caller, const struct container *c, const char *name,
       struct snapshot *ret, struct error *err)
{
    struct snapshot s = {
        .status = SNAPSHOT_CREATING,
        .worker = b->context->worker_id,
        .created_at_ms = time_now_ms(),
    };
    struct store *store = NULL;
    int r;

    if (caller->nonce)
        id_snapshot_derived(caller->nonce, s.id);
    else
        id_snapshot(s.id);
    snprintf(s.container_id, sizeof(s.container_id), "%s", c->id);
    snprintf(s.owner, sizeof(s.owner), "%s", c->owner);
    snprintf(s.name, sizeof(s.name), "%s", name ? name : s.id);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = announce(b, store, &s, err);
    if (r == 0 && s.status != SNAPSHOT_READY)
        r = make(b, store, &s, err);
    if (r == 0)
        *ret = s;
    return r;
}

int
snapshot_create(struct backend *b, const struct caller *caller, const char *container_id,
                const char *name, struct snapshot *ret, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    json_auto_t *after = NULL;
    struct container c = {0};
    int r = 0;

    if (name && !snapshot_name_valid(name))
        return error_violation(err, "/name",
                               "must be text of 1 to %zu bytes without control characters",
                               sizeof(ret->name) - 1);
    r = hold(b, caller, container_id, &lock, &c, err);
    if (r == 0)
        r = create(b, caller, &c, name, ret, err);
    if (r == 0) {
        after = describe(ret);
        r = note(b, caller, &c, NULL, after, err);
    }
    container_done(&c);
    return r;
}

int
snapshot_rollback(struct backend *b, const struct caller *caller, const char *container_id,
                  const char *id, struct container *ret, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    json_auto_t *after = NULL;
    struct snapshot s = {0};
    struct container c = {0};
    int r;

    r = hold_both(b, caller, container_id, id, &lock, &c, &s, err);
    if (r == 0)
        r = container_roll_back(b, &c, id, err);
    if (r == 0) {
        after = describe(&s);
        r = note(b, caller, &c, NULL, after, err);
    }
    container_done(&c);
    return r < 0 ? r : container_get(b, caller, container_id, ret, err);
}

int
snapshot_delete(struct backend *b, const struct caller *caller, const char *container_id,
                const char *id, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    json_auto_t *before = NULL;
    struct snapshot s = {0};
    struct container c = {0};
    int r;

    r = hold_both(b, caller, container_id, id, &lock, &c, &s, err);
    if (r == 0)
        r = discard(b, id, err);
    if (r == 0) {
        before = describe(&s);
        r = note(b, caller, &c, before, NULL, err);
    }
    container_done(&c);
    return r;
}

bool
snapshot_abandoned(const struct backend *b, const struct snapshot *s)
{
    return s->status == SNAPSHOT_REMOVING ||
           (s->status == SNAPSHOT_CREATING && !shared_worker_alive(b->context->shared, s->worker));
}

int
snapshot_clear(struct backend *b, const struct snapshot *s, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct snapshot now = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = shared_lock(b->context->shared, SHARED_LOCK_CONTAINER, s->container_id, GLANCE_MS,
                        &lock, err);
    if (r == 0)
        r = store_snapshot_get(store, s->container_id, s->id, &now, err);
    if (r == 0 && snapshot_abandoned(b, &now))
        return discard(b, s->id, err);
    if (r == -EBUSY || r == -ENOENT) { /* somebody is at it, or has been */
        error_clear(err);
        r = 0;
    }
    return r;
}
