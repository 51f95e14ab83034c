/*
 * Networks of the engine (Docker API v1.41: NetworkCreate, NetworkInspect).
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CREATE_TIMEOUT_MS = 30000, INSPECT_TIMEOUT_MS = 10000 };

#define OPTION_BRIDGE_NAME "com.docker.network.bridge.name"
#define OPTION_ICC "com.docker.network.bridge.enable_icc"
#define OPTION_MASQUERADE "com.docker.network.bridge.enable_ip_masquerade"

/* NULL where memory is short. */
static json_t *
body_json(const struct docker_network *n, json_t *labels)
{
    /* clang-format off */
    return json_pack("{s:s, s:b, s:s, s:b, s:b, s:b, s:b, s:O, s:{s:s, s:s, s:s}}",
        "Name", n->name,
        "CheckDuplicate", 1, /* engines since 25 always do */
        "Driver", "bridge",
        "EnableIPv6", 0,
        "Internal", 0,
        "Attachable", 0,
        "Ingress", 0,
        "Labels", labels,
        "Options",
            OPTION_BRIDGE_NAME, n->bridge,
            OPTION_ICC, "false",
            OPTION_MASQUERADE, "false"); /* an engine may be without iptables */
    /* clang-format on */
}

int
docker_network_create(struct docker *d, const struct docker_network *spec, json_t *labels,
                      struct error *err)
{
    json_auto_t *body = NULL;
    struct docker_request req = {
        .call = METRICS_CALL_NETWORK,
        .method = "POST",
        .path = "/networks/create",
        .timeout_ms = CREATE_TIMEOUT_MS,
    };
    int r = docker_name_check(spec->name, err);

    if (r == 0)
        r = docker_name_check(spec->bridge, err);
    if (r < 0)
        return r;
    body = body_json(spec, labels);
    if (!body)
        return error_errno(err, ENOMEM, "docker_network_create");
    req.body = body;
    return docker_call(d, &req, NULL, err);
}

static void
copy_text(char *out, size_t size, const json_t *value)
{
    const char *text = json_string_value(value);

    snprintf(out, size, "%s", text && strlen(text) < size ? text : "");
}

int
docker_network_inspect(struct docker *d, const char *name, struct docker_network *ret,
                       json_t **ret_labels, struct error *err)
{
    _cleanup_(buf_done) struct buf path;
    struct docker_request req = {
        .call = METRICS_CALL_NETWORK,
        .method = "GET",
        .timeout_ms = INSPECT_TIMEOUT_MS,
    };
    json_auto_t *root = NULL;
    json_t *labels, *options;
    const char *icc;
    int r = docker_name_check(name, err);

    buf_init(&path, DOCKER_PATH_MAX);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/networks/%s", name) < 0)
        return error_errno(err, ENOMEM, "docker_network_inspect");
    req.path = path.data;
    r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    options = json_object_get(root, "Options");
    labels = json_object_get(root, "Labels");
    if (!json_is_string(json_object_get(root, "Name")))
        return docker_unexpected("NetworkInspect", err);
    copy_text(ret->name, sizeof(ret->name), json_object_get(root, "Name"));
    copy_text(ret->driver, sizeof(ret->driver), json_object_get(root, "Driver"));
    copy_text(ret->bridge, sizeof(ret->bridge), json_object_get(options, OPTION_BRIDGE_NAME));
    icc = json_string_value(json_object_get(options, OPTION_ICC));
    ret->icc = !icc || strcmp(icc, "false") != 0;
    ret->ipv6 = json_is_true(json_object_get(root, "EnableIPv6"));
    *ret_labels = json_is_object(labels) ? json_incref(labels) : json_object();
    return *ret_labels ? 0 : error_errno(err, ENOMEM, "docker_network_inspect");
}
