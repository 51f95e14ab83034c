/*
 * What templates need of images (Docker API v1.41: ImageCreate, ImageBuild, ImageTag, ImageDelete).
 * Builds take the classic builder (version=1), which needs no session and whose steps are
 * containers with limits.
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/docker/progress.h"

enum { TAG_TIMEOUT_MS = 30000, REMOVE_TIMEOUT_MS = 120000 };

int
docker_image_tag(struct docker *d, const char *image, const char *repository, const char *tag,
                 struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "POST",
        .timeout_ms = TAG_TIMEOUT_MS,
    };
    char path[DOCKER_PATH_MAX];
    int r;

    r = docker_reference_check(image, err);
    if (r == 0)
        r = docker_reference_check(repository, err);
    if (r == 0)
        r = docker_reference_check(tag, err);
    if (r < 0)
        return r;
    /* What a checked reference may consist of needs no escaping, in a query neither. */
    snprintf(path, sizeof(path), "/images/%s/tag?repo=%s&tag=%s", image, repository, tag);
    req.path = path;
    return docker_call(d, &req, NULL, err);
}

int
docker_image_untag(struct docker *d, const char *reference, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "DELETE",
        .timeout_ms = REMOVE_TIMEOUT_MS,
        .fine = {404},
    };
    char path[DOCKER_PATH_MAX];
    int r = docker_reference_check(reference, err);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/images/%s?force=1", reference);
    req.path = path;
    return docker_call(d, &req, NULL, err);
}

/*
 * Send @req and read the progress that it answers with. A caller who gives up (its log function
 * fails) is an ERR_CONFLICT.
 */
static int
follow(struct docker *d, struct docker_request *req, const struct docker_work *work,
       const char *what, char ret_id[DOCKER_IMAGE_ID_SIZE], struct error *err)
{
    _cleanup_(docker_answer_done) struct docker_answer a = {0};
    _cleanup_(progress_done) struct progress p;
    const char *headers[] = {work->auth_header, NULL};
    struct error found = {0};
    int r;

    progress_init(&p, what, work->log, work->log_arg, &found);
    if (work->auth_header && work->auth_header[0])
        req->headers = headers;
    req->timeout_ms = work->timeout_ms;
    req->take = progress_take;
    req->take_arg = &p;
    r = docker_exchange(d, req, &a, err);
    if (r == 0)
        r = progress_end(&p);
    if (p.failed < 0) {
        if (err)
            *err = found;
        return p.failed;
    }
    if (r == -ECANCELED)
        return error_set(err, ERR_CONFLICT, "nobody waits for the %s any more", what);
    if (r == 0 && ret_id)
        memcpy(ret_id, p.image_id, DOCKER_IMAGE_ID_SIZE);
    return r;
}

/* Split "repository:tag" or "repository@digest"; without either the tag is "latest", as an empty
 * one would mean every tag that there is. */
static void
split_reference(const char *reference, char repository[256], const char **ret_tag)
{
    const char *at = strchr(reference, '@');
    const char *slash = strrchr(reference, '/');
    const char *colon = strchr(slash ? slash : reference, ':');
    const char *end = at ? at : colon;

    *ret_tag = end ? end + 1 : "latest";
    /* With a digest, a tag in front of it says nothing. */
    if (at && colon && colon < at)
        end = colon;
    snprintf(repository, 256, "%.*s", (int)(end ? (size_t)(end - reference) : strlen(reference)),
             reference);
}

int
docker_image_pull(struct docker *d, const char *reference, const struct docker_work *work,
                  struct error *err)
{
    struct docker_request req = {.call = METRICS_CALL_PULL, .method = "POST"};
    char path[DOCKER_PATH_MAX], repository[256];
    const char *tag;
    int r = docker_reference_check(reference, err);

    if (r < 0)
        return r;
    split_reference(reference, repository, &tag);
    snprintf(path, sizeof(path), "/images/create?fromImage=%s&tag=%s", repository, tag);
    req.path = path;
    return follow(d, &req, work, "pull", NULL, err);
}

int
docker_image_build(struct docker *d, const struct docker_build *spec,
                   const struct docker_work *work, char ret_id[DOCKER_IMAGE_ID_SIZE],
                   struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_BUILD,
        .method = "POST",
        .tar_fd = &spec->context_fd,
    };
    _cleanup_(freep) char *labels = json_dumps(spec->labels, JSON_COMPACT);
    _cleanup_(buf_done) struct buf path;
    long long bytes = (long long)spec->memory_mb << 20;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    /* Memory and swap together: no swap. */
    if (!labels ||
        buf_printf(&path,
                   "/build?version=1&dockerfile=Dockerfile&rm=1&forcerm=1&memory=%lld&memswap=%lld"
                   "%s&labels=",
                   bytes, bytes, spec->network ? "" : "&networkmode=none") < 0 ||
        docker_http_escape(&path, labels) < 0)
        return error_errno(err, ENOMEM, "docker_image_build");
    req.path = path.data;
    r = follow(d, &req, work, "build", ret_id, err);
    if (r == 0 && !ret_id[0])
        r = docker_unexpected("ImageBuild", err);
    return r;
}
