/* POST execute. */
#include "handlers/execute.h"

#include "backend/recall.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct execute_body {
    struct command_body command;
    struct placement_body placement;
    bool sandbox;
};

static const struct field execute_fields[] = {
    COMMAND_FIELDS(struct execute_body, command),
    PLACEMENT_FIELDS(struct execute_body, placement),
    {.name = "sandbox",
     .type = FIELD_BOOL,
     .offset = offsetof(struct execute_body, sandbox),
     .doc = "run also where mode selective does not name it"},
    {0},
};

struct placement
placement_from_body(const struct request *req, const struct placement_body *body)
{
    return (struct placement){
        .user = req->user,
        .agent_id = body->agent_id,
        .session_id = body->session_id,
        .scope = body->scope,
        .tier = body->tier,
        .template_name = body->template_name,
        .workspace_access = body->workspace_access,
    };
}

int
command_from_body(const struct request *req, const struct command_body *body,
                  const struct events *events, struct command *ret, struct error *err)
{
    *ret = (struct command){
        .shell = body->shell,
        .argv = body->argv,
        .env = body->env,
        .cwd = body->cwd,
        .input = body->input,
        .timeout_seconds = body->timeout_seconds,
        .max_output_bytes = body->max_output_bytes,
        .background = body->background,
        .request_id = req->request_id,
        .observer = body->background ? NULL : events_observer(events),
        .nonce = req->nonce,
        .peer_fd = req->peer_fd,
    };
    return command_check(req->backend->settings, ret, err);
}

/* All of it in one answer. */
static int
answer_whole(const struct execution *x, struct response *res, struct error *err)
{
    json_auto_t *json = json_execution(&x->entry, &x->output);

    if (!json || json_set_output(json, &x->output) < 0)
        return response_json(res, 200, NULL, err);
    return response_json(res, 200, TAKE(json), err);
}

/* What there is to follow. */
static int
answer_background(const struct audit_entry *e, struct response *res, struct error *err)
{
    json_t *json = json_pack("{s:s, s:s, s:o}", "id", e->id, "container_id", e->container_id,
                             "status", json_spelled(audit_status_names, (int)e->status));

    return response_json(res, 202, json, err);
}

int
execution_answer(const struct execution *x, int r, struct events *events, struct response *res,
                 struct error *err)
{
    if (r < 0) {
        events_error(events, err);
        return r;
    }
    if (x->entry.background)
        return answer_background(&x->entry, res, err);
    if (!events->stream)
        return answer_whole(x, res, err);
    events_end(events, &x->entry, &x->output);
    return 0;
}

/* The first answer of one in the background said that it runs, unless it could not be started. */
static void
recall_first_answer(struct audit_entry *e)
{
    if (e->background && e->duration_ms > 0)
        e->status = AUDIT_RUNNING;
}

int
execution_replay(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    _cleanup_(events_done) struct events events;
    struct execution x = {0};
    int r;

    events_init(&events, req);
    r = execution_recall(req->backend, &caller, req->nonce, req->peer_fd, &x, err);
    recall_first_answer(&x.entry);
    r = execution_answer(&x, r, &events, res, err);
    execution_done(&x);
    return r;
}

/*
 * POST execute - run a command in the sandbox that the request's scope selects.
 *
 * body    execute_fields; exactly one of command and argv
 * 200     how it went, also when it failed, timed out or was killed; events if the client accepts
 *         them
 * 202     {id, container_id, status} of one in the background
 * errors  validation_failed, forbidden, sandboxing_off, not_selected, template_not_ready,
 *         process_limit, docker_error, docker_unavailable
 */
static int
execute_post(const struct request *req, struct response *res, struct error *err)
{
    const struct execute_body *body = req->body;
    struct placement where = placement_from_body(req, &body->placement);
    _cleanup_(events_done) struct events events;
    struct execution x = {0};
    struct command command;
    int r;

    events_init(&events, req);
    r = command_from_body(req, &body->command, &events, &command, err);
    command.agent_id = body->placement.agent_id;
    command.session_id = body->placement.session_id;
    where.timeout_seconds = body->command.timeout_seconds;
    where.sandbox = body->sandbox;
    if (r == 0)
        r = execution_run(req->backend, &where, &command, &x, err);
    r = execution_answer(&x, r, &events, res, err);
    execution_done(&x);
    return r;
}

const struct route execute_routes[] = {
    {.method = "POST",
     .path = "/execute",
     .role = ROLE_USER,
     .handle = execute_post,
     .replay = execution_replay,
     .body = execute_fields,
     .body_size = sizeof(struct execute_body),
     .answers = "200 Execution, 202 Background",
     .errors = "404 502",
     .events = true,
     .lines = true,
     .summary = "Run a command in a sandbox"},
    {0},
};
