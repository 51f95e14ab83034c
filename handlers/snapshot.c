/* The resource `snapshots` of a container. */
#include "backend/snapshot.h"

#include "backend/container.h"
#include "backend/container_view.h"
#include "handlers/json.h"
#include "handlers/page.h"
#include "handlers/routes.h"

struct list_query {
    int64_t limit;
    const char *cursor;
};

static const struct field list_fields[] = {
    {.name = "limit",
     .type = FIELD_INT,
     .offset = offsetof(struct list_query, limit),
     .min = 1,
     .max = PAGE_LIMIT_MAX},
    {.name = "cursor",
     .type = FIELD_STRING,
     .offset = offsetof(struct list_query, cursor),
     .min = 1,
     .max = 64},
    {0},
};

struct create_body {
    const char *name;
};

static const struct field create_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     .offset = offsetof(struct create_body, name),
     .min = 1,
     .max = 64,
     .doc = "what to call it; default: its id"},
    {0},
};

static json_t *
page_items(const struct snapshot_page *page)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < page->count; i++)
        if (json_array_append_new(list, json_snapshot(&page->items[i])) < 0)
            return NULL;
    return TAKE(list);
}

/*
 * GET containers/{id}/snapshots - its snapshots, newest first.
 *
 * query   limit, cursor
 * 200     {snapshots: [...], next_cursor}; size_mb is what one takes by itself
 * errors  not_found, bad_query
 */
static int
snapshots_get(const struct request *req, struct response *res, struct error *err)
{
    const struct list_query *q = req->query;
    const struct caller caller = request_caller(req);
    int64_t limit = q->limit ? q->limit : PAGE_LIMIT_DEFAULT;
    struct snapshot_page page = {0};
    int64_t before = 0;
    int r;

    r = page_position(req, q->cursor, &before, err);
    if (r == 0)
        r = snapshot_list(req->backend, &caller, req->params[0], before, limit, &page, err);
    if (r == 0)
        r = response_json(res, 200, page_json(req, "snapshots", page_items(&page), page.next), err);
    snapshot_page_done(&page);
    return r;
}

/*
 * POST containers/{id}/snapshots - keep its files as they are now, but for /workspace and /tmp; a
 * running one is frozen meanwhile.
 *
 * body    create_fields
 * 201     the snapshot
 * errors  not_found, validation_failed, quota_exceeded (containers.snapshots_max), conflict (too
 *         many layers), docker_error, docker_unavailable, overloaded
 */
static int
snapshots_post(const struct request *req, struct response *res, struct error *err)
{
    const struct create_body *body = req->body;
    const struct caller caller = request_caller(req);
    struct snapshot s = {0};
    int r = snapshot_create(req->backend, &caller, req->params[0], body->name, &s, err);

    return r < 0 ? r : response_json(res, 201, json_snapshot(&s), err);
}

/*
 * POST containers/{id}/snapshots/{sid}/rollback - its files as at the snapshot; what runs in it is
 * killed, and it runs afterwards.
 *
 * 200     the container
 * errors  not_found, conflict (the engine has lost the snapshot), docker_error, docker_unavailable,
 *         overloaded
 */
static int
snapshot_post_rollback(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct engine_stats stats = {0};
    struct container c = {0};
    int64_t disk_bytes = 0;
    int r = snapshot_rollback(req->backend, &caller, req->params[0], req->params[1], &c, err);

    if (r == 0)
        r = container_measure(req->backend, &c, &stats, &disk_bytes, err);
    if (r == 0)
        r = response_json(res, 200, json_container(req->backend->settings, &c, &stats, disk_bytes),
                          err);
    container_done(&c);
    return r;
}

/*
 * DELETE containers/{id}/snapshots/{sid} - forget it.
 *
 * 204
 * errors  not_found, docker_error, docker_unavailable, overloaded
 */
static int
snapshot_delete_one(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    int r = snapshot_delete(req->backend, &caller, req->params[0], req->params[1], err);

    res->status = 204;
    return r;
}

/* clang-format off */
const struct route snapshot_routes[] = {
    {.method = "GET", .path = "/containers/{id}/snapshots", .role = ROLE_VIEWER,
     .handle = snapshots_get, .query = list_fields, .query_size = sizeof(struct list_query),
     .answers = "200 SnapshotList", .summary = "The snapshots of a container"},
    {.method = "POST", .path = "/containers/{id}/snapshots", .role = ROLE_USER,
     .handle = snapshots_post, .body = create_fields, .body_size = sizeof(struct create_body),
     .answers = "201 Snapshot", .errors = "502",
     .summary = "Keep the files of a container as they are now"},
    {.method = "POST", .path = "/containers/{id}/snapshots/{sid}/rollback", .role = ROLE_USER,
     .handle = snapshot_post_rollback, .answers = "200 Container", .errors = "502",
     .summary = "Give a container the files of a snapshot"},
    {.method = "DELETE", .path = "/containers/{id}/snapshots/{sid}", .role = ROLE_USER,
     .handle = snapshot_delete_one, .answers = "204", .errors = "409 502",
     .summary = "Forget a snapshot"},
    {0},
};
/* clang-format on */
