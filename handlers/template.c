/* The resource `templates`. */
#include <math.h>
#include <stdlib.h>

#include "backend/config/names.h"
#include "backend/template.h"
#include "backend/template_act.h"
#include "handlers/json.h"
#include "handlers/routes.h"

enum { BODY_BYTES_MAX = 16 << 20 };

struct create_body {
    const char *name;
    const char *image;
    const char *dockerfile;
    json_t *files;
};

/* clang-format off */
static const struct field create_fields[] = {
    {.name = "name", .type = FIELD_STRING, .offset = offsetof(struct create_body, name),
     .required = true, .min = 1, .max = 63,
     .doc = "what requests call it; [a-z0-9][a-z0-9._-]*"},
    {.name = "image", .type = FIELD_STRING, .offset = offsetof(struct create_body, image),
     .min = 1, .max = 255, .doc = "reference as Docker takes it; or give dockerfile"},
    {.name = "dockerfile", .type = FIELD_STRING, .offset = offsetof(struct create_body, dockerfile),
     .min = 1, .doc = "text of a Dockerfile to build; or give image"},
    {.name = "files", .type = FIELD_MAP, .offset = offsetof(struct create_body, files),
     .max = CONTEXT_FILES_MAX, .doc = "what the Dockerfile may COPY: relative path to text"},
    {0},
};
/* clang-format on */

/* MiB to one decimal; null where there is no image. */
static json_t *
size_json(const struct template *t)
{
    return t->size_bytes > 0 ? json_real(round((double)t->size_bytes / (1 << 20) * 10) / 10)
                             : json_null();
}

static json_t *
template_json(const struct template *t)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "id", t->name, "name",
                     t->name, "image", t->image[0] ? t->image : t->service, "source",
                     json_spelled(template_source_names, (int)t->source), "status",
                     json_spelled(template_status_names, (int)t->status), "default", t->is_default,
                     "size_mb", size_json(t), "created_at", json_time(t->created_at_ms),
                     "updated_at", json_time(t->updated_at_ms), "error", json_text(t->error));
}

/*
 * GET templates - all of them, those of templates.yaml first.
 *
 * 200     {templates: [...]}
 * errors  docker_unavailable
 */
static int
templates_get(const struct request *req, struct response *res, struct error *err)
{
    json_auto_t *items = json_array();
    struct template *list = NULL;
    size_t count = 0;
    int r = template_list(req->backend, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        json_array_append_new(items, template_json(&list[i]));
    free(list);
    if (r < 0)
        return r;
    return response_json(
        res, 200, json_array_size(items) == count ? json_pack("{s:O}", "templates", items) : NULL,
        err);
}

/*
 * POST templates - make one: by reference to an image, or from a Dockerfile that is built later.
 *
 * body    create_fields
 * 201     the template: ready if the engine has the image, else absent
 * errors  validation_failed, conflict, docker_unavailable
 */
static int
templates_post(const struct request *req, struct response *res, struct error *err)
{
    const struct create_body *body = req->body;
    const struct caller caller = request_caller(req);
    const struct template_spec spec = {
        .name = body->name,
        .image = body->image,
        .dockerfile = body->dockerfile,
        .files = body->files,
    };
    struct template t;
    int r = template_create(req->backend, &caller, &spec, &t, err);

    return r < 0 ? r : response_json(res, 201, template_json(&t), err);
}

/*
 * GET templates/{id} - one template.
 *
 * 200     the template
 * errors  not_found, docker_unavailable
 */
static int
template_get_one(const struct request *req, struct response *res, struct error *err)
{
    struct template t;
    int r = template_get(req->backend, req->params[0], &t, err);

    return r < 0 ? r : response_json(res, 200, template_json(&t), err);
}

/*
 * GET templates/{id}/log - what the last build or pull printed, also while it goes on.
 *
 * 200     text
 * errors  not_found
 */
static int
template_get_log(const struct request *req, struct response *res, struct error *err)
{
    char *text = NULL;
    int r = template_log(req->backend, req->params[0], &text, err);

    return r < 0 ? r : response_text(res, text);
}

/* Queue a job, and answer 202. */
static int
queue(const struct request *req, struct response *res, enum job_kind kind, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct template t;
    int r = template_queue(req->backend, &caller, req->params[0], kind, &t, err);

    return r < 0 ? r : response_json(res, 202, template_json(&t), err);
}

/*
 * POST templates/{id}/build - build its Dockerfile in the background.
 *
 * 202     the template, building
 * errors  not_found, conflict (it has an image), job_running, docker_unavailable
 */
static int
template_post_build(const struct request *req, struct response *res, struct error *err)
{
    return queue(req, res, JOB_BUILD, err);
}

/*
 * POST templates/{id}/pull - pull its image in the background.
 *
 * 202     the template, pulling
 * errors  not_found, conflict (it has a Dockerfile), job_running, docker_unavailable
 */
static int
template_post_pull(const struct request *req, struct response *res, struct error *err)
{
    return queue(req, res, JOB_PULL, err);
}

/*
 * DELETE templates/{id} - remove it with its image.
 *
 * 204
 * errors  not_found, template_from_yaml, template_in_use, job_running, docker_unavailable
 */
static int
template_delete(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    int r = template_remove(req->backend, &caller, req->params[0], err);

    res->status = 204;
    return r;
}

/* clang-format off */
const struct route template_routes[] = {
    {.method = "GET", .path = "/templates", .role = ROLE_VIEWER, .handle = templates_get,
     .answers = "200 TemplateList", .errors = "502",
     .summary = "The templates, those of the YAML first"},
    {.method = "POST", .path = "/templates", .role = ROLE_ADMIN, .handle = templates_post,
     .body = create_fields, .body_size = sizeof(struct create_body), .body_max = BODY_BYTES_MAX,
     .answers = "201 Template", .errors = "409, 502",
     .summary = "Make a template, by reference or from a Dockerfile"},
    {.method = "GET", .path = "/templates/{id}", .role = ROLE_VIEWER, .handle = template_get_one,
     .answers = "200 Template", .errors = "502", .summary = "One template"},
    {.method = "DELETE", .path = "/templates/{id}", .role = ROLE_ADMIN, .handle = template_delete,
     .answers = "204", .errors = "409, 502", .summary = "Remove a template and its image"},
    {.method = "GET", .path = "/templates/{id}/log", .role = ROLE_VIEWER,
     .handle = template_get_log, .answers = "200 text/plain",
     .summary = "The log of the last build or pull"},
    {.method = "POST", .path = "/templates/{id}/build", .role = ROLE_ADMIN,
     .handle = template_post_build, .answers = "202 Template", .errors = "502",
     .summary = "Build a template's Dockerfile"},
    {.method = "POST", .path = "/templates/{id}/pull", .role = ROLE_ADMIN,
     .handle = template_post_pull, .answers = "202 Template", .errors = "502",
     .summary = "Pull a template's image"},
    {0},
};
/* clang-format on */
