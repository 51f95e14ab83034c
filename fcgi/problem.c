/* struct error to status and problem document: see problem.h. */
#include "fcgi/problem.h"

#include <stdio.h>
#include <string.h>

int
problem_status(enum error_code code)
{
    switch (code) {
    case ERR_BAD_JSON:
    case ERR_BAD_QUERY:
        return 400;
    case ERR_UNAUTHENTICATED:
        return 401;
    case ERR_FORBIDDEN:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_METHOD_NOT_ALLOWED:
        return 405;
    case ERR_SANDBOXING_OFF:
    case ERR_NOT_SELECTED:
    case ERR_CONTAINER_NOT_RUNNING:
    case ERR_TEMPLATE_NOT_READY:
    case ERR_TEMPLATE_IN_USE:
    case ERR_TEMPLATE_FROM_YAML:
    case ERR_JOB_RUNNING:
    case ERR_CONFLICT:
        return 409;
    case ERR_PRECONDITION_FAILED:
        return 412;
    case ERR_BODY_TOO_LARGE:
        return 413;
    case ERR_UNSUPPORTED_MEDIA_TYPE:
        return 415;
    case ERR_VALIDATION:
        return 422;
    case ERR_QUOTA_EXCEEDED:
    case ERR_RATE_LIMITED:
    case ERR_PROCESS_LIMIT:
        return 429;
    case ERR_DOCKER:
        return 502;
    case ERR_DOCKER_DOWN:
    case ERR_OVERLOADED:
        return 503;
    case ERR_INTERNAL:
    case ERR_NONE:
    case ERROR_CODE_COUNT:
        break;
    }
    return 500;
}

const char *
problem_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {0, ""},
    };
    size_t i = 0;

    while (titles[i].status && titles[i].status != status)
        i++;
    return titles[i].title;
}

int
problem_retry_after(const struct error *e)
{
    if (e->retry_after_seconds > 0)
        return e->retry_after_seconds;
    return problem_status(e->code) == 503 ? 1 : 0;
}

/*
 * A JSON string of @text, which may quote what a client sent, perhaps cut in the middle of a
 * character: where it is not UTF-8, every byte that is not ASCII becomes a question mark.
 */
static json_t *
text_json(const char *text)
{
    json_t *json = json_string(text);
    char ascii[sizeof(((struct error *)0)->msg)];

    if (json)
        return json;
    snprintf(ascii, sizeof(ascii), "%s", text);
    for (char *p = ascii; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    return json_string(ascii);
}

static json_t *
violations_json(const struct error *e)
{
    json_t *list = json_array();

    for (size_t i = 0; i < e->violation_count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:o}", "pointer",
                                              text_json(e->violations[i].pointer), "detail",
                                              text_json(e->violations[i].detail)));
    }
    return list;
}

json_t *
problem_json(const struct error *e, const char *request_id)
{
    enum error_code code = e->code == ERR_NONE ? ERR_INTERNAL : e->code;
    int status = problem_status(code);
    char internal[128];
    json_t *json;

    snprintf(internal, sizeof(internal), "an internal error; its request id is %s", request_id);
    json = json_pack("{s:s, s:s, s:i, s:o, s:s, s:s}", "type", "about:blank", "title",
                     problem_title(status), "status", status, "detail",
                     text_json(code == ERR_INTERNAL ? internal : e->msg), "code", error_name(code),
                     "request_id", request_id);
    if (json && e->violation_count > 0 &&
        json_object_set_new(json, "errors", violations_json(e)) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}
