/*
 * A container's life after its creation (Docker API v1.41: ContainerStart, ContainerStop,
 * ContainerKill, ContainerDelete, ContainerRename, ContainerInspect, ContainerList). Creation is in
 * create.c.
 */
#include "backend/docker/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    START_TIMEOUT_MS = 60000,
    STOP_EXTRA_MS = 30000,
    STOP_GRACE_MAX_SECONDS = 3600,
    KILL_TIMEOUT_MS = 30000,
    REMOVE_TIMEOUT_MS = 60000,
    RENAME_TIMEOUT_MS = 30000,
    INSPECT_TIMEOUT_MS = 10000,
    INSPECT_SIZE_TIMEOUT_MS = 60000,
    LIST_TIMEOUT_MS = 30000,
    LIST_SIZE_TIMEOUT_MS = 120000,
};

int
docker_container_call(struct docker *d, const char *id, const char *tail,
                      struct docker_request *req, json_t **ret, struct error *err)
{
    _cleanup_(buf_done) struct buf path;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = docker_name_check(id, err);
    if (r < 0)
        return r;
    if (buf_printf(&path, "/containers/%s%s", id, tail) < 0)
        return error_errno(err, ENOMEM, "docker_container_call");
    req->path = path.data;
    return docker_call(d, req, ret, err);
}

int
docker_container_start(struct docker *d, const char *id, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_START,
        .method = "POST",
        .timeout_ms = START_TIMEOUT_MS,
    };

    return docker_container_call(d, id, "/start", &req, NULL, err);
}

int
docker_container_stop(struct docker *d, const char *id, int grace_seconds, struct error *err)
{
    struct docker_request req = {.call = METRICS_CALL_STOP, .method = "POST"};
    char tail[32];

    /* Less than zero would mean to wait for ever. */
    if (grace_seconds < 0 || grace_seconds > STOP_GRACE_MAX_SECONDS)
        return error_set(err, ERR_VALIDATION, "the grace of a stop is 0 to %d seconds",
                         STOP_GRACE_MAX_SECONDS);
    req.timeout_ms = grace_seconds * 1000L + STOP_EXTRA_MS;
    snprintf(tail, sizeof(tail), "/stop?t=%d", grace_seconds);
    return docker_container_call(d, id, tail, &req, NULL, err);
}

int
docker_container_kill(struct docker *d, const char *id, struct error *err)
{
    /* 409: not running. */
    struct docker_request req = {
        .call = METRICS_CALL_KILL,
        .method = "POST",
        .timeout_ms = KILL_TIMEOUT_MS,
        .fine = {409},
    };

    return docker_container_call(d, id, "/kill?signal=SIGKILL", &req, NULL, err);
}

int
docker_container_remove(struct docker *d, const char *id, struct error *err)
{
    /* 404: there is none. 409: it is being removed already. */
    struct docker_request req = {
        .call = METRICS_CALL_REMOVE,
        .method = "DELETE",
        .timeout_ms = REMOVE_TIMEOUT_MS,
        .fine = {404, 409},
    };

    return docker_container_call(d, id, "?force=1&v=1", &req, NULL, err);
}

int
docker_container_rename(struct docker *d, const char *id, const char *name, struct error *err)
{
    struct docker_request req = {.method = "POST", .timeout_ms = RENAME_TIMEOUT_MS};
    char tail[192];
    int r = docker_name_check(name, err);

    if (r < 0)
        return r;
    snprintf(tail, sizeof(tail), "/rename?name=%s", name);
    return docker_container_call(d, id, tail, &req, NULL, err);
}

/* Take over id, name and labels, which inspect and list call alike but keep in different places. */
static bool
fill_identity(struct docker_container *c, const json_t *id, const char *name, json_t *labels)
{
    size_t len = json_string_length(id);

    if (len == 0 || len >= sizeof(c->id))
        return false;
    snprintf(c->id, sizeof(c->id), "%s", json_string_value(id));
    if (name)
        docker_message(name[0] == '/' ? name + 1 : name, c->name, sizeof(c->name));
    c->labels = json_is_object(labels) ? json_incref(labels) : NULL;
    return true;
}

/* The engine leaves the size out of lists where it is 0. */
static int64_t
size_rw(const json_t *root, bool asked)
{
    return asked ? json_integer_value(json_object_get(root, "SizeRw")) : -1;
}

int
docker_container_inspect(struct docker *d, const char *id, bool size, struct docker_container *ret,
                         struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_INSPECT,
        .method = "GET",
        .timeout_ms = size ? INSPECT_SIZE_TIMEOUT_MS : INSPECT_TIMEOUT_MS,
    };
    struct docker_container c = {0};
    json_auto_t *root = NULL;
    const json_t *state;
    int r;

    r = docker_container_call(d, id, size ? "/json?size=1" : "/json", &req, &root, err);
    if (r < 0)
        return r;
    state = json_object_get(root, "State");
    if (!json_is_boolean(json_object_get(state, "Running")) ||
        !fill_identity(&c, json_object_get(root, "Id"),
                       json_string_value(json_object_get(root, "Name")),
                       json_object_get(json_object_get(root, "Config"), "Labels")))
        return docker_unexpected("ContainerInspect", err);
    c.running = json_is_true(json_object_get(state, "Running"));
    c.oom_killed = json_is_true(json_object_get(state, "OOMKilled"));
    c.pid = (int)json_integer_value(json_object_get(state, "Pid"));
    c.size_rw = size_rw(root, size);
    docker_message(json_string_value(json_object_get(root, "Image")), c.image, sizeof(c.image));
    *ret = c;
    return 0;
}

/* The directory of the volume @mount; NULL: it is something else that is mounted. */
static const char *
volume_directory(const json_t *mount)
{
    const char *type = json_string_value(json_object_get(mount, "Type"));
    const char *source = json_string_value(json_object_get(mount, "Source"));

    return type && strcmp(type, "volume") == 0 && source && source[0] == '/' ? source : NULL;
}

/* Take over what ContainerInspect says of @places. -ENOMEM leaves some of it for
 * docker_places_done(). */
static int
fill_places(const json_t *root, struct docker_places *places)
{
    const json_t *driver = json_object_get(json_object_get(root, "GraphDriver"), "Data");
    const char *layer = json_string_value(json_object_get(driver, "UpperDir"));
    const json_t *mounts = json_object_get(root, "Mounts");
    size_t count = json_array_size(mounts);

    places->pid = (pid_t)json_integer_value(json_object_get(json_object_get(root, "State"), "Pid"));
    places->layer = layer ? strdup(layer) : NULL;
    places->volumes = calloc(count ? count : 1, sizeof(*places->volumes));
    if ((layer && !places->layer) || !places->volumes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *directory = volume_directory(json_array_get(mounts, i));

        if (!directory)
            continue;
        places->volumes[places->volume_count] = strdup(directory);
        if (!places->volumes[places->volume_count])
            return -ENOMEM;
        places->volume_count++;
    }
    return 0;
}

/*
 * The layer's directory with the btrfs driver, which does not say it: a subvolume by the name that
 * the engine notes for the container. NULL: it cannot be found out.
 */
static char *
btrfs_layer(const char *root, const char *id)
{
    _cleanup_(freep) char *note = NULL, *layer = NULL;
    char name[128] = "";
    FILE *f = NULL;

    if (asprintf(&note, "%s/image/btrfs/layerdb/mounts/%s/mount-id", root, id) < 0) {
        note = NULL;
        return NULL;
    }
    f = fopen(note, "re");
    if (f && fgets(name, sizeof(name), f))
        name[strcspn(name, "\n")] = '\0';
    if (f)
        fclose(f);
    if (!name[0] || strchr(name, '/') || name[0] == '.' ||
        asprintf(&layer, "%s/btrfs/subvolumes/%s", root, name) < 0)
        layer = NULL;
    return TAKE(layer);
}

int
docker_container_places(struct docker *d, const char *id, struct docker_places *ret,
                        struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_INSPECT,
        .method = "GET",
        .timeout_ms = INSPECT_TIMEOUT_MS,
    };
    struct docker_places places = {0};
    struct docker_info info = {0};
    json_auto_t *root = NULL;
    int r = docker_info_recent(d, &info, err);

    if (r == 0)
        r = docker_container_call(d, id, "/json", &req, &root, err);
    if (r < 0)
        return r;
    if (fill_places(root, &places) < 0) {
        docker_places_done(&places);
        return error_errno(err, ENOMEM, "docker_container_places");
    }
    id = json_string_value(json_object_get(root, "Id"));
    if (!places.layer && id && docker_name_check(id, NULL) == 0 &&
        strcmp(info.storage_driver, "btrfs") == 0)
        places.layer = btrfs_layer(info.root_dir, id);
    *ret = places;
    return 0;
}

void
docker_places_done(struct docker_places *p)
{
    for (size_t i = 0; i < p->volume_count; i++)
        free(p->volumes[i]);
    free(p->volumes);
    free(p->layer);
    *p = (struct docker_places){0};
}

/* An entry of a list; a paused container counts as running, as it does for ContainerInspect. */
static bool
fill_entry(struct docker_container *c, const json_t *entry, bool size)
{
    const char *state = json_string_value(json_object_get(entry, "State"));
    const json_t *names = json_object_get(entry, "Names");

    if (!state)
        return false;
    c->running = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;
    c->size_rw = size_rw(entry, size);
    return fill_identity(c, json_object_get(entry, "Id"),
                         json_string_value(json_array_get(names, 0)),
                         json_object_get(entry, "Labels"));
}

static int
fill_list(const json_t *root, bool size, struct docker_container **ret, size_t *ret_count,
          struct error *err)
{
    size_t count = json_array_size(root);
    struct docker_container *list;

    if (!json_is_array(root))
        return docker_unexpected("ContainerList", err);
    list = calloc(count ? count : 1, sizeof(*list));
    if (!list)
        return error_errno(err, ENOMEM, "docker_container_list");
    for (size_t i = 0; i < count; i++) {
        if (!fill_entry(&list[i], json_array_get(root, i), size)) {
            docker_container_list_free(list, count);
            return docker_unexpected("ContainerList", err);
        }
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

/* The path of a list of what carries @label: {"label": [@label]} as an escaped query value. */
static int
list_path(struct buf *path, const char *label, bool size)
{
    json_auto_t *filters = json_pack("{s:[s]}", "label", label);
    _cleanup_(freep) char *text = filters ? json_dumps(filters, JSON_COMPACT) : NULL;
    int r;

    if (!text)
        return -ENOMEM;
    r = buf_printf(path, "/containers/json?all=1&size=%d&filters=", size ? 1 : 0);
    return r < 0 ? r : docker_http_escape(path, text);
}

int
docker_container_list(struct docker *d, const char *label, bool size, struct docker_container **ret,
                      size_t *ret_count, struct error *err)
{
    struct docker_request req = {
        .call = METRICS_CALL_LIST,
        .method = "GET",
        .timeout_ms = size ? LIST_SIZE_TIMEOUT_MS : LIST_TIMEOUT_MS,
        .answer_max = DOCKER_LIST_MAX,
    };
    _cleanup_(buf_done) struct buf path;
    json_auto_t *root = NULL;
    int r;

    buf_init(&path, DOCKER_PATH_MAX);
    r = list_path(&path, label, size);
    if (r < 0)
        return error_errno(err, -r, "docker_container_list");
    req.path = path.data;
    r = docker_call(d, &req, &root, err);
    if (r < 0)
        return r;
    return fill_list(root, size, ret, ret_count, err);
}

void
docker_container_list_free(struct docker_container *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        docker_container_done(&list[i]);
    free(list);
}

void
docker_container_done(struct docker_container *c)
{
    json_decref(c->labels);
    c->labels = NULL;
}
