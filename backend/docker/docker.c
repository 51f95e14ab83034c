/*
 * The connection and its API version: see docker.h and call.h.
 *
 * The version is negotiated once a connection. When a call went over a new connection, the engine
 * may have been restarted as another release meanwhile: the next call negotiates again, and a call
 * that the engine refused as bad (400: also what it says to a version that it does not speak) is
 * repeated.
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/id.h"

enum { VERSION_TIMEOUT_MS = 5000, INFO_FRESH_MS = 60000 };

/* Lifetime: thread. */
struct docker {
    struct docker_http *http; /* owned */
    char api[16];             /* "" until negotiated */
    struct docker_info info;  /* the last answer of docker_info() */
    int64_t info_at_ms;       /* CLOCK_MONOTONIC of it; 0: none since the connection was opened */
};

struct api_version {
    unsigned major, minor;
};

int
docker_new(const char *host, struct docker **ret, struct error *err)
{
    _cleanup_(docker_freep) struct docker *d = NULL;
    int r;

    d = calloc(1, sizeof(*d));
    if (!d)
        return error_errno(err, ENOMEM, "docker_new");
    r = docker_http_new(host, &d->http, err);
    if (r < 0)
        return r;
    *ret = TAKE(d);
    return 0;
}

void
docker_free(struct docker *d)
{
    if (!d)
        return;
    docker_http_free(d->http);
    free(d);
}

/* Forget what another engine may answer otherwise. */
static void
unsettle(struct docker *d)
{
    d->api[0] = '\0';
    d->info_at_ms = 0;
}

int
docker_info_recent(struct docker *d, struct docker_info *ret, struct error *err)
{
    int64_t now = time_monotonic_ms();
    int r;

    if (d->info_at_ms == 0 || now - d->info_at_ms > INFO_FRESH_MS) {
        r = docker_info(d, &d->info, err);
        if (r < 0)
            return r;
        d->info_at_ms = now;
    }
    *ret = d->info;
    return 0;
}

const char *
docker_api(const struct docker *d)
{
    return d->api;
}

/* Read 1 to 4 digits. Returns what follows them, NULL if there are none or more. */
static const char *
read_number(const char *text, unsigned *ret)
{
    size_t digits = strspn(text, "0123456789");

    if (digits < 1 || digits > 4)
        return NULL;
    *ret = (unsigned)strtoul(text, NULL, 10);
    return text + digits;
}

static bool
version_parse(const char *text, struct api_version *ret)
{
    const char *rest = text ? read_number(text, &ret->major) : NULL;

    if (!rest || *rest != '.')
        return false;
    rest = read_number(rest + 1, &ret->minor);
    return rest && *rest == '\0';
}

static int
version_compare(struct api_version a, struct api_version b)
{
    if (a.major != b.major)
        return a.major < b.major ? -1 : 1;
    return (a.minor > b.minor) - (a.minor < b.minor);
}

/* Settle on the engine's newest version, at most ours. @min may be NULL: any. */
static int
version_choose(struct docker *d, const char *newest, const char *min, struct error *err)
{
    struct api_version engine, engine_min = {0, 0}, ours = {0, 0}, ours_min = {0, 0};

    if (!version_parse(newest, &engine) || (min && !version_parse(min, &engine_min)))
        return docker_unexpected("GET /version", err);
    if (!version_parse(DOCKER_API_MAX, &ours) || !version_parse(DOCKER_API_MIN, &ours_min))
        return error_errno(err, EINVAL, "DOCKER_API_MAX or DOCKER_API_MIN");
    if (version_compare(engine, ours_min) < 0)
        return error_set(err, ERR_DOCKER,
                         "Docker is too old: it speaks API %u.%u, at least %s is needed",
                         engine.major, engine.minor, DOCKER_API_MIN);
    if (version_compare(engine_min, ours) > 0)
        return error_set(
            err, ERR_DOCKER,
            "Docker is too new: it wants API %u.%u or later, at most %s is spoken here",
            engine_min.major, engine_min.minor, DOCKER_API_MAX);
    if (version_compare(engine, ours) > 0)
        engine = ours;
    snprintf(d->api, sizeof(d->api), "%u.%u", engine.major, engine.minor);
    return 0;
}

/* The error that a status of 400 or more stands for. */
static int
refusal(const struct docker_request *req, struct docker_answer *a, struct error *err)
{
    enum error_code code = a->status == 404   ? ERR_NOT_FOUND
                           : a->status == 409 ? ERR_CONFLICT
                                              : ERR_DOCKER;
    json_auto_t *root = NULL;
    const char *message = NULL;
    char sentence[200], detail[320];

    if (docker_json(&a->body, 0, &root, NULL) == 0)
        message = json_string_value(json_object_get(root, "message"));
    docker_sentence(message, sentence, sizeof(sentence));
    docker_message(message, detail, sizeof(detail));
    if (!message)
        snprintf(detail, sizeof(detail), "%s %s: status %d", req->method, req->path, a->status);
    if (!sentence[0])
        snprintf(sentence, sizeof(sentence), "status %d without a message", a->status);
    return error_set_detail(err, code, detail, "Docker refused: %s", sentence);
}

static int
check_status(const struct docker_request *req, struct docker_answer *a, struct error *err)
{
    char detail[320];

    if ((a->status >= 200 && a->status < 300) || a->status == 304)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(req->fine); i++) {
        if (a->status == req->fine[i])
            return 0;
    }
    if (a->status >= 400)
        return refusal(req, a, err);
    snprintf(detail, sizeof(detail), "%s %s", req->method, req->path);
    return error_set_detail(err, ERR_INTERNAL, detail,
                            "Docker answered with the unexpected status %d", a->status);
}

int
docker_negotiate(struct docker *d, json_t **ret, struct error *err)
{
    const struct docker_request req = {
        .call = METRICS_CALL_VERSION,
        .method = "GET",
        .path = "/version",
        .timeout_ms = VERSION_TIMEOUT_MS,
    };
    _cleanup_(docker_answer_done) struct docker_answer a = {0};
    json_auto_t *root = NULL;
    int r;

    unsettle(d);
    r = docker_http_call(d->http, &req, &a, err);
    if (r == 0)
        r = check_status(&req, &a, err);
    if (r == 0)
        r = docker_json(&a.body, 0, &root, err);
    if (r == 0)
        r = version_choose(d, json_string_value(json_object_get(root, "ApiVersion")),
                           json_string_value(json_object_get(root, "MinAPIVersion")), err);
    if (r < 0)
        return r;
    *ret = TAKE(root);
    return 0;
}

/* One try of docker_exchange(), without a look at the status. */
static int
versioned_call(struct docker *d, const struct docker_request *req, struct docker_answer *ret,
               struct error *err)
{
    struct docker_request full = *req;
    _cleanup_(buf_done) struct buf path;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    if (buf_printf(&path, "/v%s%s", d->api, req->path) < 0)
        return error_set_detail(err, ERR_INTERNAL, req->path, "a Docker path is too long");
    full.path = path.data;
    r = docker_http_call(d->http, &full, ret, err);
    if (r < 0)
        unsettle(d);
    return r;
}

int
docker_exchange(struct docker *d, const struct docker_request *req, struct docker_answer *ret,
                struct error *err)
{
    bool again;
    int r;

    do {
        bool settled = d->api[0];
        json_auto_t *version = NULL;

        r = settled ? 0 : docker_negotiate(d, &version, err);
        if (r == 0)
            r = versioned_call(d, req, ret, err);
        if (r < 0)
            return r;
        again = settled && ret->fresh;
        if (again)
            unsettle(d);
    } while (again && ret->status == 400 && !req->tar_fd);
    return check_status(req, ret, err);
}

int
docker_call(struct docker *d, const struct docker_request *req, json_t **ret, struct error *err)
{
    _cleanup_(docker_answer_done) struct docker_answer a = {0};
    int r;

    r = docker_exchange(d, req, &a, err);
    if (r < 0 || !ret)
        return r;
    return docker_json(&a.body, 0, ret, err);
}
