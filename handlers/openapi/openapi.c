/* The API's description: see openapi.h. */
#include "handlers/openapi/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "handlers/openapi/field_schema.h"
#include "handlers/routes.h"

enum { NAME_MAX_BYTES = 128 };

void
openapi_operation_id(const struct route *route, char *out, size_t size)
{
    size_t len = 0;
    bool upper = false;

    for (const char *p = route->method; *p && len + 1 < size; p++)
        out[len++] = (char)tolower((unsigned char)*p);
    for (const char *p = route->path; *p && len + 3 < size; p++) {
        if (!isalnum((unsigned char)*p)) {
            upper = true;
            if (*p == '{') {
                out[len++] = 'B';
                out[len++] = 'y';
            }
            continue;
        }
        out[len++] = (char)(upper ? toupper((unsigned char)*p) : (unsigned char)*p);
        upper = false;
    }
    out[len] = '\0';
}

/* A reference to the component @name of @kind. */
static json_t *
component(const char *kind, const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/%s/%s", kind, name));
}

/* What stands in the braces of the path. */
static void
add_path_parameters(const char *path, json_t *list)
{
    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
        size_t len = strcspn(p + 1, "}");

        json_array_append_new(list,
                              json_pack("{s:s%, s:s, s:b, s:{s:s, s:s, s:i}}", "name", p + 1, len,
                                        "in", "path", "required", 1, "schema", "type", "string",
                                        "pattern", "^[A-Za-z0-9._-]+$", "maxLength", 128));
    }
}

static void
add_query_parameters(const struct field *fields, json_t *list)
{
    for (const struct field *f = fields; f && f->name; f++) {
        json_t *parameter = json_pack("{s:s, s:s, s:o}", "name", f->name, "in", "query", "schema",
                                      field_schema(f, false));

        if (f->required)
            json_object_set_new(parameter, "required", json_true());
        json_array_append_new(list, parameter);
    }
}

static json_t *
parameters(const struct route *route)
{
    json_t *list = json_array();

    add_path_parameters(route->path, list);
    add_query_parameters(route->query, list);
    if (strcmp(route->method, "POST") == 0)
        json_array_append_new(list, component("parameters", "IdempotencyKey"));
    if (route->body_raw)
        json_array_append_new(list, component("parameters", "IfMatch"));
    return list;
}

/* Whether some field has to be there. */
static bool
body_required(const struct route *route)
{
    for (const struct field *f = route->body; f->name; f++)
        if (f->required && !route->body_raw)
            return true;
    return false;
}

static json_t *
request_body(const struct route *route)
{
    json_auto_t *schema = fields_schema(route->body, route->body_raw);
    json_t *content = json_pack("{s:{s:O}}", "application/json", "schema", schema);

    if (route->body_raw)
        json_object_set_new(content, "application/merge-patch+json",
                            json_pack("{s:O}", "schema", schema));
    return json_pack("{s:b, s:o}", "required", body_required(route), "content", content);
}

/* What an execution's events or lines are is prose: a schema has no word for their order. */
static void
add_stream(json_t *content, const char *type, const char *doc)
{
    json_object_set_new(
        content, type, json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "description", doc));
}

static void
add_streams(const struct route *route, json_t *content)
{
    static const char execution[] =
        "`started`, then `stdout` and `stderr` as they come, each {data, encoding}; at last "
        "`exit`, "
        "which is the JSON answer without the streams, or `error`, a problem";

    if (route->events)
        add_stream(content, EVENTS_TYPE, execution);
    if (route->lines)
        add_stream(content, LINES_TYPE, route->events ? execution : "an item of the list a line");
}

/* One of the answers: @what is a schema's name, a media type, or "" for no content. */
static json_t *
answer(const struct route *route, int status, const char *what)
{
    json_t *content;

    if (!what[0])
        return json_pack("{s:s}", "description", "Done; there is no content");
    if (strchr(what, '/'))
        content = json_pack("{s:{s:{s:s}}}", what, "schema", "type", "string");
    else
        content = json_pack("{s:{s:o}}", "application/json", "schema", component("schemas", what));
    if (status == 200)
        add_streams(route, content);
    return json_pack("{s:s, s:o}", "description", route->summary, "content", content);
}

/* The answers that "200 Container, 201 Container" names. */
static void
add_answers(const struct route *route, json_t *responses)
{
    char status[4], what[NAME_MAX_BYTES];
    int used = 0;

    for (const char *p = route->answers; p && *p; p += used) {
        what[0] = '\0';
        if (sscanf(p, " %3[0-9] %127[^,]%n", status, what, &used) < 2 &&
            sscanf(p, " %3[0-9]%n", status, &used) < 1)
            return;
        json_object_set_new(responses, status, answer(route, (int)strtol(status, NULL, 10), what));
        used += p[used] == ',';
    }
}

/* What every operation may answer, and what its shape or its table adds. */
static void
add_errors(const struct route *route, json_t *responses)
{
    bool body = route->body || route->body_raw;
    bool post = strcmp(route->method, "POST") == 0;
    const struct {
        const char *status;
        bool applies;
    } errors[] = {
        {"400", true}, {"401", true},
        {"403", true}, {"404", strchr(route->path, '{') != NULL},
        {"409", post}, {"412", route->body_raw},
        {"413", true}, {"415", body},
        {"422", true}, {"429", post},
        {"500", true}, {"502", false},
        {"503", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        if (errors[i].applies || (route->errors && strstr(route->errors, errors[i].status)))
            json_object_set_new(responses, errors[i].status,
                                component("responses", errors[i].status));
}

/* The first segment of the path: what the operation is about. */
static json_t *
tag(const struct route *route)
{
    const char *name = route->path + 1;

    return json_stringn(name, strcspn(name, "/"));
}

static json_t *
operation(const struct route *route)
{
    char id[NAME_MAX_BYTES];
    json_t *responses = json_object();
    json_t *json;

    openapi_operation_id(route, id, sizeof(id));
    add_answers(route, responses);
    add_errors(route, responses);
    json = json_pack("{s:s, s:[o], s:s, s:o, s:s, s:o, s:o}", "operationId", id, "tags", tag(route),
                     "summary", route->summary ? route->summary : "", "description",
                     json_sprintf("%s%sNeeds the role `%s`.", route->doc ? route->doc : "",
                                  route->doc ? " " : "",
                                  route->role ? role_names[route->role - 1] : "nobody has"),
                     "x-role", route->role ? role_names[route->role - 1] : "none", "parameters",
                     parameters(route), "responses", responses);
    if (route->body)
        json_object_set_new(json, "requestBody", request_body(route));
    return json;
}

/* The operations by path and method; tags are collected on the way. */
static json_t *
paths(const struct route *const *tables, json_t *tags)
{
    json_t *paths = json_object();
    json_auto_t *seen = json_object();

    for (; *tables; tables++) {
        for (const struct route *r = *tables; r->method; r++) {
            json_t *path = json_object_get(paths, r->path);
            json_auto_t *name = tag(r);
            char method[16] = "";

            if (!path) {
                path = json_object();
                json_object_set_new(paths, r->path, path);
            }
            for (size_t i = 0; i < sizeof(method) - 1 && r->method[i]; i++)
                method[i] = (char)tolower((unsigned char)r->method[i]);
            json_object_set_new(path, method, operation(r));
            if (!json_object_get(seen, json_string_value(name))) {
                json_object_set_new(seen, json_string_value(name), json_true());
                json_array_append_new(tags, json_pack("{s:O}", "name", name));
            }
        }
    }
    return paths;
}

json_t *
openapi_document(const struct route *const *tables)
{
    json_t *components = json_loads(openapi_components, JSON_REJECT_DUPLICATES, NULL);
    json_t *tags = json_array();
    json_t *operations = paths(tables, tags);

    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:[{s:[]}, {s:[]}], s:o, s:o, s:o}",
                     "openapi", "3.1.0", "info", "title", "Sandbox API", "version",
                     SANDBOXD_VERSION, "description",
                     "Runs untrusted commands in containers. A user sees and touches only what is "
                     "theirs. Every answer carries `X-Request-Id`; failures are "
                     "`application/problem+json` (RFC 9457).",
                     "servers", "url", "/api/sandbox", "security", "basic", "bearer", "tags", tags,
                     "paths", operations, "components", components);
}

/*
 * GET openapi.json - the API's description.
 *
 * 200  OpenAPI 3.1
 */
static int
openapi_get(const struct request *req, struct response *res, struct error *err)
{
    (void)req;
    return response_json(res, 200, openapi_document(route_tables), err);
}

const struct route openapi_routes[] = {
    {.method = "GET",
     .path = "/openapi.json",
     .role = ROLE_VIEWER,
     .handle = openapi_get,
     .answers = "200 OpenApi",
     .summary = "The API's description"},
    {0},
};
