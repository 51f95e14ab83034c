/* GET audit/summary and POST audit/cleanup. */
#include "backend/audit.h"
#include "backend/retention.h"
#include "handlers/audit.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct summary_query {
    const char *owner;
    const char *since;
    const char *until;
};

static const struct field summary_fields[] = {
    {.name = "owner",
     .type = FIELD_STRING,
     .offset = offsetof(struct summary_query, owner),
     .min = 1,
     .max = 128},
    {.name = "since",
     .type = FIELD_STRING,
     .offset = offsetof(struct summary_query, since),
     .min = 1,
     .max = 40},
    {.name = "until",
     .type = FIELD_STRING,
     .offset = offsetof(struct summary_query, until),
     .min = 1,
     .max = 40},
    {0},
};

struct cleanup_body {
    int64_t older_than_days;
    const char *before;
};

enum { DAYS_MAX = 36500, DAY_MS = 24 * 60 * 60 * 1000 };

static const struct field cleanup_fields[] = {
    {.name = "older_than_days",
     .type = FIELD_INT,
     .offset = offsetof(struct cleanup_body, older_than_days),
     .max = DAYS_MAX,
     .doc = "started so many times 24 hours ago, or earlier; 0: all that are finished"},
    {.name = "before",
     .type = FIELD_STRING,
     .offset = offsetof(struct cleanup_body, before),
     .min = 1,
     .max = 40,
     .doc = "started before this time (RFC 3339), which is not in the future"},
    {0},
};

static json_t *
shares_json(const struct audit_shares *shares)
{
    json_auto_t *json = json_object();

    for (size_t i = 0; json && i < shares->count; i++)
        if (json_object_set_new(json, shares->items[i].key,
                                json_integer((json_int_t)shares->items[i].count)) < 0)
            return NULL;
    return TAKE(json);
}

static json_t *
duration_json(int64_t ms)
{
    return ms < 0 ? json_null() : json_integer((json_int_t)ms);
}

static json_t *
summary_json(const struct audit_summary *sum)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:{s:o, s:o, s:o}}", "total",
                     (json_int_t)sum->total, "by_status", shares_json(&sum->by_status), "by_tier",
                     shares_json(&sum->by_tier), "by_agent", shares_json(&sum->by_agent), "by_day",
                     shares_json(&sum->by_day), "cpu_ms", (json_int_t)sum->cpu_ms, "duration_ms",
                     "p50", duration_json(sum->p50_ms), "p95", duration_json(sum->p95_ms), "max",
                     duration_json(sum->max_ms));
}

/*
 * GET audit/summary - figures over the executions that the caller may see.
 *
 * query   owner, since (included), until (left out)
 * 200     {total, by_status{}, by_tier{}, by_agent{}, by_day{}, cpu_ms, duration_ms{p50, p95,
 * max}}; by_tier counts under "none" what had no tier; of agents the AUDIT_SHARES_MAX with the
 *         most, of days (UTC) the newest; durations are of those that ran and are over, null if
 *         there are none
 * errors  bad_query
 */
static int
summary_get(const struct request *req, struct response *res, struct error *err)
{
    const struct summary_query *q = req->query;
    const struct caller caller = request_caller(req);
    struct audit_filter filter = {.owner = q->owner};
    struct audit_summary sum = {0};
    int r;

    r = audit_query_time("since", q->since, &filter.since_ms, err);
    if (r == 0)
        r = audit_query_time("until", q->until, &filter.until_ms, err);
    if (r == 0)
        r = audit_summarize(req->backend, &caller, &filter, &sum, err);
    if (r == 0)
        r = response_json(res, 200, summary_json(&sum), err);
    audit_summary_done(&sum);
    return r;
}

/* The time that the body names, one way or the other. */
static int
cleanup_time(const struct request *req, int64_t *ret_ms, struct error *err)
{
    const struct cleanup_body *body = req->body;
    bool has_days = json_object_get(req->json, "older_than_days") != NULL;
    int64_t now_ms = time_now_ms();

    if (has_days == (body->before != NULL))
        return has_days
                   ? error_violation(err, "/before",
                                     "may not be given together with older_than_days")
                   : error_violation(err, "/older_than_days", "is required, or before instead");
    *ret_ms = now_ms - body->older_than_days * DAY_MS;
    if (has_days)
        return 0;
    if (!time_parse(body->before, ret_ms))
        return error_violation(err, "/before", "must be a time as 2026-03-02T10:00:00Z (RFC 3339)");
    return *ret_ms > now_ms ? error_violation(err, "/before", "is in the future") : 0;
}

/*
 * POST audit/cleanup - remove old entries of every kind, with their output; what runs stays.
 *
 * body    cleanup_fields, exactly one of them
 * 200     {deleted, freed_mb}: freed in the database, for entries to come
 * errors  validation_failed; conflict if the hash chain has been tampered with
 */
static int
cleanup_post(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct retired done = {0};
    int64_t before_ms = 0;
    int r;

    r = cleanup_time(req, &before_ms, err);
    if (r == 0)
        r = retention_clean(req->backend, &caller, before_ms, &done, err);
    if (r < 0)
        return r;
    return response_json(res, 200,
                         json_pack("{s:I, s:o}", "deleted", (json_int_t)done.entries, "freed_mb",
                                   json_figure((double)done.freed_bytes / (1 << 20))),
                         err);
}

const struct route audit_admin_routes[] = {
    {.method = "GET",
     .path = "/audit/summary",
     .role = ROLE_VIEWER,
     .handle = summary_get,
     .query = summary_fields,
     .query_size = sizeof(struct summary_query),
     .answers = "200 AuditSummary",
     .summary = "Figures over the executions that the caller may see"},
    {.method = "POST",
     .path = "/audit/cleanup",
     .role = ROLE_ADMIN,
     .handle = cleanup_post,
     .body = cleanup_fields,
     .body_size = sizeof(struct cleanup_body),
     .answers = "200 AuditCleanup",
     .summary = "Remove old audit entries"},
    {0},
};
