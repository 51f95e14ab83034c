/* Change entries: see change.h. */
#include "backend/change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/id.h"
#include "backend/store/store.h"

/* The entry's `details`; owned by the caller. */
static char *
details(const struct change *change)
{
    json_auto_t *json = json_pack("{s:O?, s:O?}", "before", change->before, "after", change->after);

    return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

int
change_note(struct backend *b, const struct caller *caller, const struct change *change,
            struct error *err)
{
    struct audit_entry e = {
        .kind = AUDIT_CHANGE,
        .status = AUDIT_COMPLETED,
        .started_at_ms = time_now_ms(),
        .exit_code = -1,
        .worker = b->context->worker_id,
        .command = strdup(caller->action),
        .details = details(change),
    };
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (caller->nonce)
        id_audit_derived(caller->nonce, e.id);
    else
        id_audit(e.id);
    e.finished_at_ms = e.started_at_ms;
    snprintf(e.owner, sizeof(e.owner), "%s", caller->user);
    snprintf(e.request_id, sizeof(e.request_id), "%s", caller->request_id);
    snprintf(e.container_id, sizeof(e.container_id), "%s",
             change->container_id ? change->container_id : "");
    snprintf(e.template_name, sizeof(e.template_name), "%s",
             change->template_name ? change->template_name : "");
    snprintf(e.tier, sizeof(e.tier), "%s", change->tier ? change->tier : "");
    if (r == 0)
        r = e.command && e.details ? store_audit_insert(store, &e, err)
                                   : error_errno(err, ENOMEM, "change entry");
    audit_entry_done(&e);
    if (r == -EEXIST) { /* by an attempt of the request that broke off afterwards */
        error_clear(err);
        r = 0;
    }
    return r;
}

int
change_difference(json_t *before, json_t *after, json_t **ret_before, json_t **ret_after)
{
    json_auto_t *was = json_object();
    json_auto_t *is = json_object();
    const char *key;
    json_t *old;
    int r = was && is ? 0 : -ENOMEM;

    json_object_foreach(before, key, old)
    {
        json_t *new = json_object_get(after, key);
        json_auto_t *old_part = NULL;
        json_auto_t *new_part = NULL;

        if (r < 0 || json_equal(old, new))
            continue;
        if (json_is_object(old) && json_is_object(new))
            r = change_difference(old, new, &old_part, &new_part);
        if (r == 0 && (json_object_set(was, key, old_part ? old_part : old) < 0 ||
                       (new &&json_object_set(is, key, new_part ? new_part : new) < 0)))
            r = -ENOMEM;
    }
    json_object_foreach(after, key, old)
    {
        if (r == 0 && !json_object_get(before, key) && json_object_set(is, key, old) < 0)
            r = -ENOMEM;
    }
    if (r < 0)
        return r;
    *ret_before = TAKE(was);
    *ret_after = TAKE(is);
    return 0;
}
