/*
 * Images made of containers (Docker API v1.41: ImageCommit, ImageInspect, ImageHistory, ImageList,
 * ImageDelete).
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    COMMIT_TIMEOUT_MS = 300000,
    INSPECT_TIMEOUT_MS = 10000,
    HISTORY_TIMEOUT_MS = 30000,
    LIST_TIMEOUT_MS = 60000,
    REMOVE_TIMEOUT_MS = 120000,
};

/* Call /images/@reference@tail. @ret may be NULL. @req is ours to complete. */
static int
image_call(struct docker *d, const char *reference, const char *tail, struct docker_request *req,
           json_t **ret, struct error *err)
{
    _cleanup_(buf_done) struct buf path;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_reference_check(reference, err);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/images/%s%s", reference, tail) < 0)
        return error_errno(err, ENOMEM, "image_call");
    req->path = path.data;
    return docker_call(d, req, ret, err);
}

int
docker_container_commit(struct docker *d, const char *id, const char *repository, const char *tag,
                        json_t *labels, struct error *err)
{
    /* What the body leaves out is the container's own. */
    json_auto_t *body = json_pack("{s:O}", "Labels", labels);
    struct docker_request req = {
        .call = METRICS_CALL_COMMIT,
        .method = "POST",
        .body = body,
        .timeout_ms = COMMIT_TIMEOUT_MS,
    };
    _cleanup_(buf_done) struct buf path;
    json_auto_t *root = NULL;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_name_check(id, err);
    if (r == 0)
        r = docker_reference_check(repository, err);
    if (r == 0)
        r = docker_reference_check(tag, err);
    if (r < 0)
        return r;
    if (!body || buf_printf(&path, "/commit?pause=1&container=%s&repo=", id) < 0 ||
        docker_http_escape(&path, repository) < 0 || buf_printf(&path, "&tag=") < 0 ||
        docker_http_escape(&path, tag) < 0)
        return error_errno(err, ENOMEM, "docker_container_commit");
    req.path = path.data;
    r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    return json_string_length(json_object_get(root, "Id")) > 0
               ? 0
               : docker_unexpected("ImageCommit", err);
}

int
docker_image_config(struct docker *d, const char *reference, size_t *ret_layers,
                    json_t **ret_labels, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "GET",
        .timeout_ms = INSPECT_TIMEOUT_MS,
    };
    json_auto_t *root = NULL;
    json_t *layers, *labels;
    int r;

    r = image_call(d, reference, "/json", &req, &root, err);
    if (r < 0)
        return r;
    layers = json_object_get(json_object_get(root, "RootFS"), "Layers");
    if (!json_is_string(json_object_get(root, "Id")))
        return docker_unexpected("ImageInspect", err);
    if (ret_labels) {
        labels = json_object_get(json_object_get(root, "Config"), "Labels");
        *ret_labels = json_is_object(labels) ? json_incref(labels) : json_object();
        if (!*ret_labels)
            return error_errno(err, ENOMEM, "docker_image_config");
    }
    if (ret_layers)
        *ret_layers = json_array_size(layers); /* an image of nothing has no such list */
    return 0;
}

int
docker_image_top_size(struct docker *d, const char *reference, int64_t *ret, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "GET",
        .timeout_ms = HISTORY_TIMEOUT_MS,
        .answer_max = DOCKER_LIST_MAX,
    };
    json_auto_t *root = NULL;
    const json_t *size;
    int r;

    r = image_call(d, reference, "/history", &req, &root, err);
    if (r < 0)
        return r;
    size = json_object_get(json_array_get(root, 0), "Size"); /* newest first */
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return docker_unexpected("ImageHistory", err);
    *ret = json_integer_value(size);
    return 0;
}

int
docker_image_remove(struct docker *d, const char *reference, struct error *err)
{
    /* 404: there is none. */
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "DELETE",
        .timeout_ms = REMOVE_TIMEOUT_MS,
        .answer_max = DOCKER_LIST_MAX,
        .fine = {404},
    };

    return image_call(d, reference, "", &req, NULL, err);
}

/* The references of an entry; old engines say "<none>:<none>" where there are none. NULL: out of
 * memory. */
static json_t *
entry_tags(const json_t *entry)
{
    json_auto_t *tags = json_array();
    json_t *tag;
    size_t i;

    json_array_foreach(json_object_get(entry, "RepoTags"), i, tag)
    {
        const char *text = json_string_value(tag);

        if (text && !strstr(text, "<none>") && json_array_append(tags, tag) < 0)
            return NULL;
    }
    return TAKE(tags);
}

static int
fill_entry(struct docker_image *image, const json_t *entry, struct error *err)
{
    const json_t *id = json_object_get(entry, "Id");
    json_t *labels = json_object_get(entry, "Labels");

    if (json_string_length(id) == 0 || json_string_length(id) >= sizeof(image->id))
        return docker_unexpected("ImageList", err);
    snprintf(image->id, sizeof(image->id), "%s", json_string_value(id));
    image->labels = json_is_object(labels) ? json_incref(labels) : NULL;
    image->tags = entry_tags(entry);
    return image->tags ? 0 : error_errno(err, ENOMEM, "docker_image_list");
}

static int
fill_list(const json_t *root, struct docker_image **ret, size_t *ret_count, struct error *err)
{
    size_t count = json_array_size(root);
    struct docker_image *list;
    int r = 0;

    if (!json_is_array(root))
        return docker_unexpected("ImageList", err);
    list = calloc(count ? count : 1, sizeof(*list));
    if (!list)
        return error_errno(err, ENOMEM, "docker_image_list");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fill_entry(&list[i], json_array_get(root, i), err);
    if (r < 0) {
        docker_image_list_free(list, count);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

/* The path of a list of what carries @labels: {"label": [...]} as an escaped query value. */
static int
list_path(struct buf *path, const char *const *labels)
{
    json_auto_t *list = json_array(), *filters = NULL;
    _cleanup_(freep) char *text = NULL;
    int r;

    for (size_t i = 0; labels[i]; i++)
        if (json_array_append_new(list, json_string(labels[i])) < 0)
            return -ENOMEM;
    filters = json_pack("{s:O}", "label", list);
    text = filters ? json_dumps(filters, JSON_COMPACT) : NULL;
    if (!text)
        return -ENOMEM;
    r = buf_printf(path, "/images/json?filters=");
    return r < 0 ? r : docker_http_escape(path, text);
}

int
docker_image_list(struct docker *d, const char *const *labels, struct docker_image **ret,
                  size_t *ret_count, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_IMAGE,
        .method = "GET",
        .timeout_ms = LIST_TIMEOUT_MS,
        .answer_max = DOCKER_LIST_MAX,
    };
    _cleanup_(buf_done) struct buf path;
    json_auto_t *root = NULL;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = list_path(&path, labels);
    if (r < 0)
        return error_errno(err, -r, "docker_image_list");
    req.path = path.data;
    r = docker_call(d, &req, &root, err);
    return r < 0 ? r : fill_list(root, ret, ret_count, err);
}

void
docker_image_list_free(struct docker_image *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_decref(list[i].tags);
        json_decref(list[i].labels);
    }
    free(list);
}
