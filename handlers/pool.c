/* The resource `pool`. */
#include "backend/pool.h"
#include "backend/cleanup.h"
#include "handlers/handler.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct drain_body {
    const char *template_name;
    const char *tier;
    bool refill;
};

static const struct field drain_fields[] = {
    {.name = "template",
     .type = FIELD_STRING,
     .offset = offsetof(struct drain_body, template_name),
     .min = 1,
     .max = 64,
     .doc = "only what is kept for this template"},
    {.name = "tier",
     .type = FIELD_STRING,
     .offset = offsetof(struct drain_body, tier),
     .min = 1,
     .max = 64,
     .doc = "only what is kept for this tier"},
    {.name = "refill",
     .type = FIELD_BOOL,
     .offset = offsetof(struct drain_body, refill),
     .doc =
         "whether others take their place (true), or it stays empty until the YAML is read again "
         "or a drain says true"},
    {0},
};

static json_t *
state_json(const struct pool_state *s)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "template", s->template_name, "tier",
                     s->tier, "target", (json_int_t)s->target, "ready", (json_int_t)s->ready,
                     "warming", (json_int_t)s->warming, "claimed", (json_int_t)s->claimed, "missed",
                     (json_int_t)s->missed);
}

static json_t *
report_json(const struct pool_report *report)
{
    json_auto_t *list = json_array();
    json_int_t ready = 0, target = 0;

    for (size_t i = 0; list && i < report->count; i++) {
        if (json_array_append_new(list, state_json(&report->items[i])) < 0)
            return NULL;
        ready += report->items[i].ready;
        target += report->items[i].target;
    }
    return json_pack("{s:b, s:I, s:I, s:O}", "enabled", report->enabled, "ready", ready, "target",
                     target, "pools", list);
}

/*
 * GET pool - what is kept ready.
 *
 * 200  {enabled, ready, target, pools: [{template, tier, target, ready, warming, claimed, missed}]}
 */
static int
pool_get(const struct request *req, struct response *res, struct error *err)
{
    struct pool_report report = {0};
    int r = pool_report(req->backend, &report, err);

    if (r == 0)
        r = response_json(res, 200, report_json(&report), err);
    pool_report_done(&report);
    return r;
}

/*
 * POST pool/drain - remove what is kept ready.
 *
 * body    drain_fields
 * 200     {drained}, when they are gone
 * errors  not_found: no such target; validation_failed, docker_error, docker_unavailable
 */
static int
pool_post_drain(const struct request *req, struct response *res, struct error *err)
{
    const struct drain_body *body = req->body;
    const struct caller caller = request_caller(req);
    bool refill = !json_object_get(req->json, "refill") || body->refill;
    int64_t drained = 0;
    int r =
        pool_drain(req->backend, &caller, body->template_name, body->tier, refill, &drained, err);

    return r < 0 ? r
                 : response_json(res, 200, json_pack("{s:I}", "drained", (json_int_t)drained), err);
}

const struct route pool_routes[] = {
    {.method = "GET",
     .path = "/pool",
     .role = ROLE_ADMIN,
     .handle = pool_get,
     .summary = "What is kept ready"},
    {.method = "POST",
     .path = "/pool/drain",
     .role = ROLE_ADMIN,
     .handle = pool_post_drain,
     .body = drain_fields,
     .body_size = sizeof(struct drain_body),
     .summary = "Remove what is kept ready"},
    {0},
};
