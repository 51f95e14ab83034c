/* Finding the route and checking the request: see router.h. */
#include "fcgi/router.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/permission.h"
#include "fcgi/accept.h"
#include "fcgi/once.h"

enum { SEGMENT_MAX = 128, ACTION_SIZE = 1024 };

/* What a path matched. Lifetime: request. */
struct match {
    const char *pattern; /* of the tables; NULL: nothing */
    size_t literals;     /* segments of the pattern that are no parameters */
    char params[PATH_PARAMS_MAX][SEGMENT_MAX + 1];
    size_t param_count;
};

/* A body or query in the struct that its fields describe. Lifetime: request. */
struct decoded {
    const struct field *fields;
    json_t *json; /* owned; the strings of data are borrowed from it */
    void *data;   /* owned; NULL if there are no fields */
};

static void
decoded_done(struct decoded *d)
{
    if (d->data)
        schema_release(d->fields, d->data);
    free(d->data);
    json_decref(d->json);
}

static bool
is_param_segment(const char *s, size_t len)
{
    if (len < 1 || len > SEGMENT_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
            return false;
    }
    return true;
}

/* Match one segment of the pattern, which both begin with, and note it in @m. */
static bool
match_segment(const char *pattern, size_t pattern_len, const char *path, size_t path_len,
              struct match *m)
{
    if (pattern[0] != '{') {
        m->literals++;
        return pattern_len == path_len && memcmp(pattern, path, path_len) == 0;
    }
    if (m->param_count == PATH_PARAMS_MAX || !is_param_segment(path, path_len))
        return false;
    memcpy(m->params[m->param_count], path, path_len);
    m->params[m->param_count++][path_len] = '\0';
    return true;
}

static bool
match_pattern(const char *pattern, const char *path, struct match *ret)
{
    struct match m = {.pattern = pattern};

    while (*pattern == '/' && *path == '/') {
        size_t pattern_len = strcspn(++pattern, "/");
        size_t path_len = strcspn(++path, "/");

        if (!match_segment(pattern, pattern_len, path, path_len, &m))
            return false;
        pattern += pattern_len;
        path += path_len;
    }
    if (*pattern || *path)
        return false;
    *ret = m;
    return true;
}

/*
 * Find the pattern of @path: of several the one with the fewest parameters, so that
 * "/containers/cleanup" is never an id. Every method of a path is written with the same pattern.
 */
static void
find_pattern(const struct route *const *tables, const char *path, struct match *ret)
{
    struct match m;

    for (; *tables; tables++) {
        for (const struct route *r = *tables; r->method; r++) {
            if (match_pattern(r->path, path, &m) && (!ret->pattern || m.literals > ret->literals))
                *ret = m;
        }
    }
}

/* Append @method to the Allow list; it has room for every method that HTTP knows. */
static void
allow(char list[64], const char *method)
{
    size_t len = strlen(list);

    snprintf(list + len, 64 - len, "%s%s", len > 0 ? ", " : "", method);
}

/* The route of @pattern and @method; HEAD is a GET without a body. Fills @allowed if there is none.
 */
static const struct route *
find_method(const struct route *const *tables, const char *pattern, const char *method,
            char allowed[64])
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    allowed[0] = '\0';
    for (; *tables; tables++) {
        for (const struct route *r = *tables; r->method; r++) {
            if (strcmp(r->path, pattern) != 0)
                continue;
            if (strcmp(r->method, wanted) == 0)
                return r;
            allow(allowed, r->method);
            if (strcmp(r->method, "GET") == 0)
                allow(allowed, "HEAD");
        }
    }
    return NULL;
}

/* "application/json", in any case, with or without parameters; a merge patch has a type of its own
 * too. */
static bool
is_json_type(const char *type, bool merge_patch)
{
    static const char *const names[] = {"application/json", "application/merge-patch+json"};

    for (size_t i = 0; type && i < (merge_patch ? 2U : 1U); i++) {
        size_t len = strlen(names[i]);

        if (strncasecmp(type, names[i], len) == 0 && strchr("; \t", type[len]))
            return true;
    }
    return false;
}

/* A route without a body tolerates an empty object, which some clients cannot help sending. */
static int
refuse_body(const struct incoming *in, struct error *err)
{
    static const char empty[] = "{}";
    size_t matched = 0;

    for (size_t i = 0; i < in->body_len; i++) {
        if (strchr(" \t\r\n", in->body[i]) && in->body[i] != '\0')
            continue;
        if (matched == 2 || in->body[i] != empty[matched])
            return error_violation(err, "", "this operation takes none");
        matched++;
    }
    return matched == 1 ? error_violation(err, "", "this operation takes none") : 0;
}

/* Decode @d->json by @fields into a new struct of @size bytes. */
static int
decode(const struct field *fields, size_t size, struct decoded *d, struct error *err)
{
    void *data = calloc(1, size);
    int r;

    if (!data)
        return error_errno(err, ENOMEM, "decoding a request");
    r = schema_decode(fields, d->json, data, err);
    if (r < 0) {
        free(data);
        return r;
    }
    d->fields = fields;
    d->data = data;
    return 0;
}

static int
decode_body(const struct route *route, const struct incoming *in, struct decoded *d,
            struct error *err)
{
    int r = 0;

    if (in->body_too_large)
        return error_set(err, ERR_BODY_TOO_LARGE, "the body is larger than %zu bytes",
                         route->body_max ? route->body_max : BODY_MAX_BYTES);
    if (!route->body && !route->body_raw)
        return refuse_body(in, err);
    if (in->body_len == 0)
        d->json = json_object();
    else if (!is_json_type(in->content_type, route->body_raw))
        return error_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                         "the Content-Type must be application/json");
    else
        r = request_json(in->body, in->body_len, &d->json, err);
    if (r < 0)
        return r;
    if (!json_is_object(d->json))
        return error_violation(err, "", "the body must be an object");
    return route->body_raw ? 0 : decode(route->body, route->body_size, d, err);
}

/* What the fields say of a query is a bad_query in the sentence's words, not a violation of a body.
 */
static int
query_violation(const struct error *violated, struct error *err)
{
    const struct violation *v = &violated->violations[0];

    if (violated->code != ERR_VALIDATION || violated->violation_count == 0) {
        *err = *violated;
        return -EIO;
    }
    return error_set(err, ERR_BAD_QUERY, "query parameter '%s': %s",
                     v->pointer[0] == '/' ? v->pointer + 1 : v->pointer, v->detail);
}

static int
decode_query(const struct route *route, const struct incoming *in, struct decoded *d,
             struct error *err)
{
    struct error violated = {0};
    int r;

    r = request_query(route->query, in->query_string, &d->json, err);
    if (r < 0 || !route->query)
        return r;
    r = decode(route->query, route->query_size, d, &violated);
    return r < 0 ? query_violation(&violated, err) : 0;
}

/* The checks from the body on, then the handler. */
static int
run_route(const struct route *route, struct request *req, const struct incoming *in,
          struct answer *a)
{
    _cleanup_(decoded_done) struct decoded body = {0};
    _cleanup_(decoded_done) struct decoded query = {0};
    int r;

    r = decode_body(route, in, &body, &a->error);
    if (r < 0)
        return r;
    r = decode_query(route, in, &query, &a->error);
    if (r < 0)
        return r;
    req->body = body.data;
    req->json = body.json;
    req->query = query.data;
    req->query_json = query.json;
    return once_serve(route, req, in, a);
}

static int
serve(const struct route *const *tables, struct backend *b, const struct incoming *in,
      struct stream *stream, int peer_fd, struct answer *a)
{
    char action[ACTION_SIZE];
    struct request req = {
        .path = in->path,
        .user = in->user,
        .request_id = in->request_id,
        .if_match = in->if_match,
        .action = action,
        .accept = accept_parse(in->accept),
        .stream = stream,
        .peer_fd = peer_fd,
        .backend = b,
    };
    struct match m = {0};
    const struct route *route;
    int r;

    if (in->path)
        find_pattern(tables, in->path, &m);
    if (!m.pattern)
        return error_set(&a->error, ERR_NOT_FOUND, "there is no such path");
    route = find_method(tables, m.pattern, in->method, a->allow);
    if (!route)
        return error_set(&a->error, ERR_METHOD_NOT_ALLOWED, "this path takes %s", a->allow);
    if (!in->user)
        return error_set(&a->error, ERR_UNAUTHENTICATED, "log in first");
    r = permission_check(b->settings, in->user, route->role, &req.role, &a->error);
    if (r < 0)
        return r;
    snprintf(action, sizeof(action), "%s %s", route->method, in->path);
    req.method = route->method;
    for (size_t i = 0; i < m.param_count; i++)
        req.params[i] = m.params[i];
    return run_route(route, &req, in, a);
}

const struct route *
router_find(const struct route *const *tables, const struct incoming *in)
{
    struct match m = {0};
    char allowed[64];

    if (in->path)
        find_pattern(tables, in->path, &m);
    return m.pattern ? find_method(tables, m.pattern, in->method, allowed) : NULL;
}

void
router_serve(const struct route *const *tables, struct backend *b, const struct incoming *in,
             struct stream *stream, int peer_fd, struct answer *a)
{
    int r = serve(tables, b, in, stream, peer_fd, a);
    char detail[64];

    if (r < 0) {
        snprintf(detail, sizeof(detail), "a handler returned %d and noted no error", r);
        error_set_detail(&a->error, ERR_INTERNAL, detail, "an internal error");
    } else {
        error_clear(&a->error);
    }
}

void
answer_done(struct answer *a)
{
    json_decref(a->response.json);
    free(a->response.text);
    a->response.json = NULL;
    a->response.text = NULL;
}
