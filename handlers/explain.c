/* POST explain. */
#include "backend/explain.h"
#include "handlers/execute.h"
#include "handlers/json.h"
#include "handlers/routes.h"

struct explain_body {
    struct command_body command;
    struct placement_body placement;
    bool sandbox;
    const char *domain;
};

static const struct field explain_fields[] = {
    COMMAND_FIELDS(struct explain_body, command),
    PLACEMENT_FIELDS(struct explain_body, placement),
    {.name = "sandbox",
     .type = FIELD_BOOL,
     .offset = offsetof(struct explain_body, sandbox),
     .doc = "run also where mode selective does not name it"},
    {.name = "domain",
     .type = FIELD_STRING,
     .offset = offsetof(struct explain_body, domain),
     .min = 1,
     .max = 1024,
     .doc = "a host name or an address: would it be reached?"},
    {0},
};

/* The limits of the plan, each with its source. */
static json_t *
limits_json(const struct explanation *x)
{
    json_auto_t *values = json_limits(&x->plan.limits);
    json_auto_t *limits = json_object();

    for (int i = 0; i < EXPLAIN_LIMIT_COUNT; i++) {
        json_t *value = json_object_get(values, explain_limit_names[i]);

        if (json_object_set_new(limits, explain_limit_names[i],
                                json_pack("{s:O, s:s}", "value", value, "source", x->sources[i])) <
            0)
            return NULL;
    }
    return json_incref(limits);
}

static json_t *
network_json(const struct explanation *x, bool asked)
{
    json_t *domain = asked ? json_pack("{s:b, s:s, s:s}", "allowed", x->domain_allowed, "rule",
                                       x->domain_rule, "source", x->domain_source)
                           : json_null();

    return json_pack("{s:o, s:s, s:o}", "mode", json_spelled(network_names, (int)x->network),
                     "source", x->network_source, "domain", domain);
}

static json_t *
explanation_json(const struct explanation *x, bool asked)
{
    bool allowed = x->refusal.code == ERR_NONE;

    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "allowed", allowed, "code",
                     allowed ? json_null() : json_string(error_name(x->refusal.code)), "detail",
                     json_text(x->refusal.msg), "container_id", json_text(x->plan.id), "tier",
                     json_text(x->plan.tier), "template", json_text(x->plan.template_name),
                     "limits", x->planned ? limits_json(x) : json_null(), "network",
                     x->planned ? network_json(x, asked) : json_null());
}

/*
 * POST explain - what the execution of this body would meet, and why; nothing is run.
 *
 * body    that of execute, whose command may be left out; domain
 * 200     {allowed, code, detail, container_id, tier, template, limits, network}
 * errors  validation_failed
 */
static int
explain_post(const struct request *req, struct response *res, struct error *err)
{
    const struct explain_body *body = req->body;
    struct placement where = placement_from_body(req, &body->placement);
    bool has_command = body->command.shell || body->command.argv.count > 0;
    struct explanation x = {0};
    struct command command;
    int r = 0;

    where.timeout_seconds = body->command.timeout_seconds;
    where.sandbox = body->sandbox;
    if (has_command) {
        struct events none = {0};

        r = command_from_body(req, &body->command, &none, &command, err);
    }
    if (r == 0)
        r = explain_placement(req->backend, &where, body->domain, &x, err);
    return r < 0 ? r : response_json(res, 200, explanation_json(&x, body->domain), err);
}

const struct route explain_routes[] = {
    {.method = "POST",
     .path = "/explain",
     .role = ROLE_VIEWER,
     .handle = explain_post,
     .body = explain_fields,
     .body_size = sizeof(struct explain_body),
     .answers = "200 Explanation",
     .errors = "502",
     .summary = "What an execution would meet, and why; nothing is run"},
    {0},
};
