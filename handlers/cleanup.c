/* POST containers/cleanup. */
#include "backend/idle.h"
#include "handlers/handler.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct cleanup_body {
    int64_t idle_seconds;
    bool dry_run;
};

enum { IDLE_SECONDS_MAX = 31536000 };

static const struct field cleanup_fields[] = {
    {.name = "idle_seconds",
     .type = FIELD_INT,
     .offset = offsetof(struct cleanup_body, idle_seconds),
     .max = IDLE_SECONDS_MAX,
     .doc = "unused for so long; 0: all that run nothing now; default: idle_remove_seconds"},
    {.name = "dry_run",
     .type = FIELD_BOOL,
     .offset = offsetof(struct cleanup_body, dry_run),
     .doc = "only say what would be removed"},
    {0},
};

/* The age that counts as idle: the body's, else the settings', where 0 means that none does. */
static int64_t
idle_seconds(const struct request *req)
{
    const struct cleanup_body *body = req->body;
    int64_t usual = req->backend->settings->containers.idle_remove_seconds;

    if (json_object_get(req->json, "idle_seconds"))
        return body->idle_seconds;
    return usual > 0 ? usual : -1;
}

static json_t *
removals_json(const struct removals *removals)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < removals->count; i++)
        if (json_array_append_new(
                list,
                json_pack("{s:s, s:o}", "id", removals->items[i].id, "reason",
                          json_spelled(removal_reason_names, (int)removals->items[i].reason))) < 0)
            return NULL;
    return json_pack("{s:O, s:o}", "removed", list, "freed_mb",
                     json_figure((double)removals->freed_bytes / (1 << 20)));
}

/*
 * POST containers/cleanup - remove the caller's idle and orphaned containers, an admin's call
 * everybody's; at most CLEANUP_MAX, another call goes on.
 *
 * body    cleanup_fields
 * 200     {removed: [{id, reason}], freed_mb}
 * errors  validation_failed, docker_error, docker_unavailable
 */
static int
cleanup_post(const struct request *req, struct response *res, struct error *err)
{
    const struct cleanup_body *body = req->body;
    const struct caller caller = request_caller(req);
    struct removals removals = {0};
    int r = idle_cleanup(req->backend, &caller, idle_seconds(req), body->dry_run, &removals, err);

    return r < 0 ? r : response_json(res, 200, removals_json(&removals), err);
}

const struct route cleanup_routes[] = {
    {.method = "POST",
     .path = "/containers/cleanup",
     .role = ROLE_USER,
     .handle = cleanup_post,
     .body = cleanup_fields,
     .body_size = sizeof(struct cleanup_body),
     .answers = "200 Cleanup",
     .errors = "502",
     .summary = "Remove idle and orphaned containers"},
    {0},
};
