/*
 * Images (Docker API v1.41, ImageInspect and ImageCreate).
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { INSPECT_TIMEOUT_MS = 10000, IMPORT_TIMEOUT_MS = 300000, IMAGE_ID_SIZE = 80 };

int
docker_image_inspect(struct docker *d, const char *reference, char ret_id[80], int64_t *ret_size,
                     struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "GET",
        .timeout_ms = INSPECT_TIMEOUT_MS,
    };
    _cleanup_(buf_done) struct buf path;
    json_auto_t *root = NULL;
    const json_t *id, *size;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_reference_check(reference, err);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/images/%s/json", reference) < 0)
        return error_errno(err, ENOMEM, "docker_image_inspect");
    req.path = path.data;
    r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    id = json_object_get(root, "Id");
    size = json_object_get(root, "Size");
    if (!json_is_string(id) || json_string_length(id) >= IMAGE_ID_SIZE || !json_is_integer(size))
        return docker_unexpected("ImageInspect", err);
    if (ret_id)
        snprintf(ret_id, IMAGE_ID_SIZE, "%s", json_string_value(id));
    if (ret_size)
        *ret_size = json_integer_value(size);
    return 0;
}

/*
 * Read the progress of an import: JSON objects one after another, under a status of 200 that was
 * sent before the work was done. One with "errorDetail" says that it failed; without any it was cut
 * off.
 */
static int
read_progress(struct buf *stream, struct error *err)
{
    size_t objects = 0;

    while (stream->len > 0 && stream->len > strspn(stream->data, " \r\n\t")) {
        json_auto_t *root = NULL;
        json_t *failure;
        json_error_t e;
        const char *message;
        char sentence[200], detail[320];

        root = json_loadb(stream->data, stream->len, JSON_DISABLE_EOF_CHECK, &e);
        if (!root || e.position <= 0)
            return docker_unexpected("ImageCreate", err);
        failure = json_object_get(root, "errorDetail");
        if (failure) {
            message = json_string_value(json_object_get(failure, "message"));
            docker_sentence(message, sentence, sizeof(sentence));
            docker_message(message, detail, sizeof(detail));
            return error_set_detail(err, ERR_DOCKER, detail,
                                    "Docker could not import the image: %s", sentence);
        }
        objects++;
        buf_consume(stream, (size_t)e.position);
    }
    return objects > 0 ? 0 : docker_unexpected("ImageCreate", err);
}

int
docker_image_import(struct docker *d, int tar_fd, const char *repository, const char *tag,
                    struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "POST",
        .tar_fd = &tar_fd,
        .timeout_ms = IMPORT_TIMEOUT_MS,
    };
    _cleanup_(docker_answer_done) struct docker_answer a = {0};
    _cleanup_(buf_done) struct buf path;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_reference_check(repository, err);
    if (r == 0)
        r = docker_reference_check(tag, err);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/images/create?fromSrc=-&repo=") < 0 ||
        docker_http_escape(&path, repository) < 0 || buf_printf(&path, "&tag=") < 0 ||
        docker_http_escape(&path, tag) < 0)
        return error_errno(err, ENOMEM, "docker_image_import");
    req.path = path.data;
    r = docker_exchange(d, &req, &a, err);
    if (r < 0)
        return r;
    return read_progress(&a.body, err);
}
