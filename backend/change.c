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
    return r;
}
