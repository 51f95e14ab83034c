/* Following an execution by its audit entry: what it wrote so far, and ending it. */
#include "backend/execution.h"
#include "backend/output.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct output_query {
    int64_t stdout_from;
    int64_t stderr_from;
};

#define OFFSET_MAX 9007199254740992.0 /* 2^53: what a JSON number holds */

static const struct field output_fields[] = {
    {.name = "stdout_from",
     .type = FIELD_INT,
     .offset = offsetof(struct output_query, stdout_from),
     .max = OFFSET_MAX,
     .doc = "offset of the first byte of stdout to return"},
    {.name = "stderr_from",
     .type = FIELD_INT,
     .offset = offsetof(struct output_query, stderr_from),
     .max = OFFSET_MAX,
     .doc = "offset of the first byte of stderr to return"},
    {0},
};

static json_t *
output_json(const struct output *o)
{
    const struct audit_entry *e = &o->entry;
    json_auto_t *json = json_pack(
        "{s:s, s:o, s:I, s:I, s:b, s:b, s:I, s:I, s:I, s:I}", "id", e->id, "status",
        json_spelled(audit_status_names, (int)e->status), "stdout_bytes",
        (json_int_t)e->stdout_bytes, "stderr_bytes", (json_int_t)e->stderr_bytes,
        "stdout_truncated", o->kept.out_truncated, "stderr_truncated", o->kept.errout_truncated,
        "stdout_from", (json_int_t)o->from[GUEST_STDOUT], "stderr_from",
        (json_int_t)o->from[GUEST_STDERR], "stdout_next", (json_int_t)o->next[GUEST_STDOUT],
        "stderr_next", (json_int_t)o->next[GUEST_STDERR]);

    if (!json || json_set_output(json, &o->kept) < 0)
        return NULL;
    return TAKE(json);
}

/*
 * GET audit/{id}/output - what the execution wrote, up to the cap; while it runs in the background,
 * so far.
 *
 * query   stdout_from, stderr_from: byte offsets
 * 200     {id, status, stdout, stderr, encoding, stdout_bytes, stdout_truncated, stdout_from,
 *         stdout_next, and the last four of stderr}
 * errors  not_found, bad_query
 */
static int
output_get(const struct request *req, struct response *res, struct error *err)
{
    const struct output_query *query = req->query;
    const struct caller caller = request_caller(req);
    const uint64_t from[2] = {
        [GUEST_STDOUT] = (uint64_t)query->stdout_from,
        [GUEST_STDERR] = (uint64_t)query->stderr_from,
    };
    struct output o = {0};
    int r = output_read(req->backend, &caller, req->params[0], from, &o, err);

    if (r == 0)
        r = response_json(res, 200, output_json(&o), err);
    output_done(&o);
    return r;
}

/*
 * POST audit/{id}/kill - end a running execution; one that has ended stays as it is.
 *
 * 200     the entry
 * errors  not_found, conflict (the entry is of no execution), container_not_running
 */
static int
kill_post(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct audit_entry e = {0};
    int r = execution_kill(req->backend, &caller, req->params[0], &e, err);

    if (r == 0)
        r = response_json(res, 200, json_audit_entry(&e), err);
    audit_entry_done(&e);
    return r;
}

const struct route follow_routes[] = {
    {.method = "GET",
     .path = "/audit/{id}/output",
     .role = ROLE_VIEWER,
     .handle = output_get,
     .query = output_fields,
     .query_size = sizeof(struct output_query),
     .answers = "200 Output",
     .summary = "What an execution wrote, so far"},
    {.method = "POST",
     .path = "/audit/{id}/kill",
     .role = ROLE_USER,
     .handle = kill_post,
     .answers = "200 AuditEntry",
     .errors = "502",
     .summary = "End a running execution"},
    {0},
};
