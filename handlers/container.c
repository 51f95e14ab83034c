/* The resource `containers`. */
#include <string.h>

#include "backend/container_act.h"
#include "backend/container_view.h"
#include "backend/template.h"
#include "handlers/execute.h"
#include "handlers/json.h"
#include "handlers/page.h"
#include "handlers/routes.h"

struct create_body {
    struct placement_body placement;
    json_t *labels;
};

enum { LABELS_MAX = 32, LABEL_KEY_MAX = 64, LABEL_VALUE_MAX = 256 };

static const struct field create_fields[] = {
    PLACEMENT_FIELDS(struct create_body, placement),
    {.name = "labels",
     .type = FIELD_MAP,
     .offset = offsetof(struct create_body, labels),
     .max = LABELS_MAX,
     .doc = "the caller's own marks; keys of up to 64 bytes, values of up to 256"},
    {0},
};

struct list_query {
    const char *agent_id;
    int scope;
    int status;
    const char *tier;
    const char *owner;
    int64_t limit;
    const char *cursor;
};

static const struct field list_fields[] = {
    {.name = "agent_id",
     .type = FIELD_IDENT,
     .offset = offsetof(struct list_query, agent_id),
     .min = 1,
     .max = 64},
    {.name = "scope",
     .type = FIELD_ENUM,
     .offset = offsetof(struct list_query, scope),
     .values = scope_names},
    {.name = "status",
     .type = FIELD_ENUM,
     .offset = offsetof(struct list_query, status),
     .values = container_status_names},
    {.name = "tier",
     .type = FIELD_STRING,
     .offset = offsetof(struct list_query, tier),
     .min = 1,
     .max = 64},
    {.name = "owner",
     .type = FIELD_STRING,
     .offset = offsetof(struct list_query, owner),
     .min = 1,
     .max = 128},
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

struct exec_body {
    struct command_body command;
};

static const struct field exec_fields[] = {
    COMMAND_FIELDS(struct exec_body, command),
    {0},
};

/* Answer with one container, measured now. Frees what @c owns. */
static int
answer(const struct request *req, struct response *res, int status, struct container *c,
       struct error *err)
{
    struct engine_stats stats;
    int64_t disk_bytes;
    int r = container_measure(req->backend, c, &stats, &disk_bytes, err);

    if (r == 0)
        r = response_json(res, status,
                          json_container(req->backend->settings, c, &stats, disk_bytes), err);
    container_done(c);
    return r;
}

static json_t *
page_items(const struct settings *s, const struct container_page *page)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < page->count; i++)
        if (json_array_append_new(list, json_container(s, &page->items[i], &page->stats[i], -1)) <
            0)
            return NULL;
    return TAKE(list);
}

/*
 * GET containers - the containers that the caller may see, newest first.
 *
 * query   agent_id, scope, status, tier, owner; limit, cursor
 * 200     {containers: [...], next_cursor}; figures are measured now, disk_mb only for single ones
 * errors  bad_query, docker_unavailable
 */
static int
containers_get(const struct request *req, struct response *res, struct error *err)
{
    const struct list_query *q = req->query;
    const struct caller caller = request_caller(req);
    struct container_page page = {0};
    struct container_filter filter = {
        .owner = q->owner,
        .agent_id = q->agent_id,
        .tier = q->tier,
        .scope = q->scope,
        .status = q->status,
        .limit = q->limit ? q->limit : PAGE_LIMIT_DEFAULT,
    };
    int r;

    r = page_position(req, q->cursor, &filter.before, err);
    if (r == 0)
        r = container_list(req->backend, &caller, &filter, &page, err);
    if (r == 0)
        r = response_json(
            res, 200,
            page_json(req, "containers", page_items(req->backend->settings, &page), page.next),
            err);
    container_page_done(&page);
    return r;
}

/* Labels are somebody else's words, but not an essay. */
static bool
label_fits(const char *key, const json_t *value)
{
    size_t len = strlen(key);

    return len >= 1 && len <= LABEL_KEY_MAX && json_string_length(value) <= LABEL_VALUE_MAX;
}

static int
check_labels(json_t *labels, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(labels, key, value)
    {
        if (!label_fits(key, value))
            return error_violation(err, "/labels", "keys have 1 to %d bytes and values at most %d",
                                   LABEL_KEY_MAX, LABEL_VALUE_MAX);
    }
    return 0;
}

/*
 * POST containers - the running container of a scope, made if there is none.
 *
 * body    create_fields
 * 201     the container; 200 if the scope had it
 * errors  validation_failed, forbidden, sandboxing_off, not_selected, template_not_ready,
 *         docker_error, docker_unavailable
 */
static int
containers_post(const struct request *req, struct response *res, struct error *err)
{
    const struct create_body *body = req->body;
    const struct caller caller = request_caller(req);
    struct placement where = placement_from_body(req, &body->placement);
    struct container plan = {0}, c = {0};
    bool created = false;
    int r;

    where.sandbox = true; /* who makes a container asks for one */
    r = check_labels(body->labels, err);
    if (r == 0)
        r = template_place(req->backend, &where, &plan, err);
    if (r == 0 && plan.one_shot)
        r = error_violation(err, "/session_id",
                            "is required in scope session, or nobody could find the container");
    if (r == 0)
        r = container_act_create(req->backend, &caller, &plan, body->labels, &c, &created, err);
    return r < 0 ? r : answer(req, res, created ? 201 : 200, &c, err);
}

/*
 * GET containers/{id} - one container.
 *
 * 200     the container, measured now
 * errors  not_found, docker_unavailable
 */
static int
container_get_one(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct container c = {0};
    int r = container_get(req->backend, &caller, req->params[0], &c, err);

    return r < 0 ? r : answer(req, res, 200, &c, err);
}

/*
 * POST containers/{id}/start - start it; a running one stays so.
 *
 * 200     the container
 * errors  not_found, docker_error, docker_unavailable
 */
static int
container_post_start(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct container c = {0};
    int r = container_act_start(req->backend, &caller, req->params[0], &c, err);

    return r < 0 ? r : answer(req, res, 200, &c, err);
}

/*
 * POST containers/{id}/stop - stop it, its commands are killed; a stopped one stays so.
 *
 * 200     the container
 * errors  not_found, docker_error, docker_unavailable
 */
static int
container_post_stop(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct container c = {0};
    int r = container_act_stop(req->backend, &caller, req->params[0], &c, err);

    return r < 0 ? r : answer(req, res, 200, &c, err);
}

/*
 * POST containers/{id}/restart - stop it and start it again.
 *
 * 200     the container
 * errors  not_found, docker_error, docker_unavailable
 */
static int
container_post_restart(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct container c = {0};
    int r = container_act_restart(req->backend, &caller, req->params[0], &c, err);

    return r < 0 ? r : answer(req, res, 200, &c, err);
}

/*
 * DELETE containers/{id} - remove it with all that is private to it; the workspace stays.
 *
 * 204
 * errors  not_found, docker_error, docker_unavailable
 */
static int
container_delete(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    int r = container_act_remove(req->backend, &caller, req->params[0], err);

    res->status = 204;
    return r;
}

/*
 * POST containers/{id}/exec - run a command in this very container.
 *
 * body    exec_fields; exactly one of command and argv
 * 200     as execute; 202 likewise
 * errors  not_found, container_not_running, validation_failed, sandboxing_off, not_selected,
 *         process_limit
 */
static int
container_post_exec(const struct request *req, struct response *res, struct error *err)
{
    const struct exec_body *body = req->body;
    const struct caller caller = request_caller(req);
    _cleanup_(events_done) struct events events;
    struct execution x = {0};
    struct command command;
    int r;

    events_init(&events, req);
    r = command_from_body(req, &body->command, &events, &command, err);
    if (r == 0)
        r = execution_run_in(req->backend, &caller, req->params[0], &command, &x, err);
    r = execution_answer(&x, r, &events, res, err);
    execution_done(&x);
    return r;
}

/* clang-format off */
const struct route container_routes[] = {
    {.method = "GET", .path = "/containers", .role = ROLE_VIEWER, .handle = containers_get,
     .query = list_fields, .query_size = sizeof(struct list_query),
     .answers = "200 ContainerList", .errors = "502",
     .summary = "The containers that the caller may see"},
    {.method = "POST", .path = "/containers", .role = ROLE_USER, .handle = containers_post,
     .body = create_fields, .body_size = sizeof(struct create_body),
     .answers = "201 Container, 200 Container", .errors = "502",
     .summary = "The running container of a scope, made if there is none"},
    {.method = "GET", .path = "/containers/{id}", .role = ROLE_VIEWER, .handle = container_get_one,
     .answers = "200 Container", .errors = "502", .summary = "One container"},
    {.method = "DELETE", .path = "/containers/{id}", .role = ROLE_USER, .handle = container_delete,
     .answers = "204", .errors = "502", .summary = "Remove a container and its private data"},
    {.method = "POST", .path = "/containers/{id}/start", .role = ROLE_USER,
     .handle = container_post_start, .answers = "200 Container", .errors = "502",
     .summary = "Start a container"},
    {.method = "POST", .path = "/containers/{id}/stop", .role = ROLE_USER,
     .handle = container_post_stop, .answers = "200 Container", .errors = "502",
     .summary = "Stop a container"},
    {.method = "POST", .path = "/containers/{id}/restart", .role = ROLE_USER,
     .handle = container_post_restart, .answers = "200 Container", .errors = "502",
     .summary = "Restart a container"},
    {.method = "POST", .path = "/containers/{id}/exec", .role = ROLE_USER,
     .handle = container_post_exec, .replay = execution_replay, .body = exec_fields,
     .body_size = sizeof(struct exec_body),
     .answers = "200 Execution, 202 Background", .errors = "502", .events = true, .lines = true,
     .summary = "Run a command in this very container"},
    {0},
};
/* clang-format on */
