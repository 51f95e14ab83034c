/* Acts on containers and their change entries: see container_act.h. */
#include "backend/container_act.h"

#include <errno.h>

#include "backend/change.h"
#include "backend/id.h"

/* The container as a change entry shows it. */
static json_t *
shown(const struct container *c)
{
    char started[TIMESTAMP_SIZE] = "";

    if (c->started_at_ms)
        time_format(c->started_at_ms, started);
    return json_pack("{s:s, s:s, s:s, s:s, s:s*}", "owner", c->owner, "agent_id", c->agent_id,
                     "scope", scope_names[c->scope - 1], "status",
                     container_status_names[c->status - 1], "started_at",
                     started[0] ? started : NULL);
}

/* Note that the container was @before and is @after, one of which may be NULL. */
static int
note(struct backend *b, const struct caller *caller, const struct container *before,
     const struct container *after, struct error *err)
{
    const struct container *c = after ? after : before;
    json_auto_t *was = before ? shown(before) : NULL;
    json_auto_t *is = after ? shown(after) : NULL;
    const struct change change = {
        .container_id = c->id,
        .template_name = c->template_name,
        .tier = c->tier,
        .before = was,
        .after = is,
    };

    if ((before && !was) || (after && !is))
        return error_errno(err, ENOMEM, "change entry");
    return change_note(b, caller, &change, err);
}

int
container_act_create(struct backend *b, const struct caller *caller, const struct container *plan,
                     json_t *labels, struct container *ret, bool *ret_created, struct error *err)
{
    struct container c = {0};
    int r = container_acquire(b, plan, labels, &c, ret_created, err);

    if (r == 0 && *ret_created)
        r = note(b, caller, NULL, &c, err);
    if (r < 0)
        container_done(&c);
    else
        *ret = c;
    return r;
}

typedef int (*act_fn)(struct backend *b, const struct caller *caller, const char *id,
                      struct container *ret, struct error *err);

/* Do it with @fn, and note it if it made a difference: a restart always does. */
static int
act(struct backend *b, const struct caller *caller, const char *id, act_fn fn,
    struct container *ret, struct error *err)
{
    struct container before = {0}, after = {0};
    int r;

    r = container_get(b, caller, id, &before, err);
    if (r == 0)
        r = fn(b, caller, id, &after, err);
    if (r == 0 && (before.status != after.status || fn == container_restart))
        r = note(b, caller, &before, &after, err);
    container_done(&before);
    if (r < 0)
        container_done(&after);
    else
        *ret = after;
    return r;
}

int
container_act_start(struct backend *b, const struct caller *caller, const char *id,
                    struct container *ret, struct error *err)
{
    return act(b, caller, id, container_start, ret, err);
}

int
container_act_stop(struct backend *b, const struct caller *caller, const char *id,
                   struct container *ret, struct error *err)
{
    return act(b, caller, id, container_stop, ret, err);
}

int
container_act_restart(struct backend *b, const struct caller *caller, const char *id,
                      struct container *ret, struct error *err)
{
    return act(b, caller, id, container_restart, ret, err);
}

int
container_act_remove(struct backend *b, const struct caller *caller, const char *id,
                     struct error *err)
{
    struct container before = {0};
    int r;

    r = container_get(b, caller, id, &before, err);
    if (r == 0)
        r = container_remove(b, caller, id, err);
    if (r == 0)
        r = note(b, caller, &before, NULL, err);
    container_done(&before);
    return r;
}
