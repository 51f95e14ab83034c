/* GET and PUT config. */
#include <stdio.h>

#include "backend/override.h"
#include "handlers/handler.h"
#include "handlers/routes.h"

/* Answer 200 with the config in force, and its entity tag. */
static int
answer(const struct request *req, struct response *res, struct error *err)
{
    override_etag(req->backend->settings, res->etag);
    return response_json(res, 200, json_incref(req->backend->settings->policy_json), err);
}

/*
 * GET config - the configuration in force.
 *
 * 200  the seed's object, with ETag
 */
static int
config_get(const struct request *req, struct response *res, struct error *err)
{
    return answer(req, res, err);
}

/*
 * PUT config - change it.
 *
 * body    a JSON merge patch (RFC 7396) of the object; null returns a field to its YAML default
 * 200     the whole config, with ETag
 * errors  validation_failed, precondition_failed (If-Match)
 */
static int
config_put(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    int r = override_apply(req->backend, &caller, req->json, req->if_match, err);

    return r < 0 ? r : answer(req, res, err);
}

const struct route config_routes[] = {
    {.method = "GET",
     .path = "/config",
     .role = ROLE_VIEWER,
     .handle = config_get,
     .answers = "200 Config",
     .summary = "The configuration in force"},
    {.method = "PUT",
     .path = "/config",
     .role = ROLE_ADMIN,
     .handle = config_put,
     .body = policy_fields,
     .body_size = sizeof(struct policy),
     .body_raw = true,
     .answers = "200 Config",
     .summary = "Change the configuration by a merge patch"},
    {0},
};
