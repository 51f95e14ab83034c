/* The broker's operations on Docker and mounts: see operations.h. */
#include "backend/broker/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "backend/broker/workspace.h"
#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

enum {
    STOP_GRACE_SECONDS = 2, /* for the guest, which kills everything on TERM */
    GUEST_WAIT_MS = 10000,  /* for its socket after a start */
    PATH_SIZE = 4096,
    NAME_MAX_SIZE = 64
};

static const char label_id[] = "sandbox.id";

int
broker_init(struct broker *b, const struct service_context *context, struct error *err)
{
    *b = (struct broker){.context = context};
    b->state_fd = open(context->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->state_fd < 0)
        return error_errno(err, errno, "open of the state directory");
    snprintf(b->label, sizeof(b->label), "sandbox.instance=%s", context->instance);
    b->usage = usage_new(b->label, label_id);
    return b->usage ? 0 : error_errno(err, ENOMEM, "usage");
}

/* The engine's name of container @id. */
static void
engine_name(const struct broker *b, const char *id, char out[NAME_MAX_SIZE])
{
    snprintf(out, NAME_MAX_SIZE, "%s-%s", id, b->context->instance);
}

int
broker_info(struct broker *b, struct docker *d, struct engine_info *ret, struct error *err)
{
    struct docker_info info;
    int r = docker_info(d, &info, err);

    (void)b;
    if (r < 0)
        return r;
    *ret = (struct engine_info){.disk_enforced = info.storage_opt_size};
    snprintf(ret->version, sizeof(ret->version), "%s", info.version);
    snprintf(ret->storage_driver, sizeof(ret->storage_driver), "%s", info.storage_driver);
    snprintf(ret->cgroup_version, sizeof(ret->cgroup_version), "%s", info.cgroup_version);
    for (size_t i = 0; i < ENGINE_RUNTIMES_MAX; i++)
        snprintf(ret->runtimes[i], sizeof(ret->runtimes[i]), "%s", info.runtimes[i]);
    return 0;
}

/* Whether @image is one of the templates' and @runtime one that the tiers or the service name. */
static bool
known_to_settings(struct broker *b, const char *image, const char *runtime)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    const struct template_entry *templates = s->templates.items;
    const struct tier *tiers = s->tiers.items;
    bool image_known = false;
    bool runtime_known = strcmp(runtime, s->service.docker_runtime) == 0;

    for (size_t i = 0; i < s->templates.count; i++)
        image_known = image_known || (templates[i].image && strcmp(templates[i].image, image) == 0);
    for (size_t i = 0; i < s->tiers.count; i++)
        runtime_known = runtime_known || strcmp(tiers[i].runtime, runtime) == 0;
    image_known = image_known || broker_is_template_image(b, image);
    return image_known && runtime_known;
}

static bool
limits_sane(const struct limits *l)
{
    return l->cpu_cores > 0 && l->cpu_cores <= 1024 && l->memory_mb >= 16 &&
           l->memory_mb <= 1 << 20 && l->disk_mb > 0 && l->max_processes > 0 &&
           l->max_processes <= 100000;
}

int
broker_check_spec(struct broker *b, const struct engine_spec *spec, bool create, struct error *err)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    bool needs_workspace = spec->workspace_access != ACCESS_NONE;

    if (!id_is_container(spec->id) || !id_is_name(spec->owner, OWNER_SIZE - 1) ||
        (needs_workspace && !id_is_name(spec->workspace, NAME_SIZE - 1)))
        return error_set(err, ERR_VALIDATION, "the broker does not accept these names");
    if (spec->uid < s->service.uid_first || spec->uid > s->service.uid_last)
        return error_set(err, ERR_VALIDATION, "the broker does not accept this uid");
    if (spec->workspace_access < ACCESS_NONE || spec->workspace_access > ACCESS_RW ||
        !limits_sane(&spec->limits))
        return error_set(err, ERR_VALIDATION, "the broker does not accept these limits");
    if (create && !known_to_settings(b, spec->image, spec->runtime))
        return error_set(err, ERR_VALIDATION, "the broker knows no such image or runtime");
    return 0;
}

/* Ask Docker for the container: the guest is its PID 1, its socket directory and workspace are
 * bound. */
static int
create(struct broker *b, struct docker *d, const struct engine_spec *spec,
       const struct docker_info *info, struct error *err)
{
    const char *state = b->context->state_dir;
    bool workspace = spec->workspace_access != ACCESS_NONE;
    char name[NAME_MAX_SIZE], uid[24];
    char guest[PATH_SIZE + 32], run[PATH_SIZE + 64], slot[PATH_SIZE + 64];
    const char *binds[] = {guest, run, workspace ? slot : NULL, NULL};
    const char *entrypoint[] = {"/.sandbox/guest", "/.sandbox/run", uid, uid,
                                "/home/sandbox",   "/workspace",    NULL};
    json_auto_t *labels = json_pack("{s:s, s:s, s:s}", "sandbox.instance", b->context->instance, label_id,
                                    spec->id, "sandbox.owner", spec->owner);
    char ignored[DOCKER_ID_SIZE];
    struct docker_create create = {
        .name = name,
        .image = spec->image,
        .runtime = spec->runtime,
        .hostname = spec->id,
        .entrypoint = entrypoint,
        .binds = binds,
        .labels = labels,
        .cpu_cores = spec->limits.cpu_cores,
        .memory_mb = spec->limits.memory_mb,
        .pids_limit = spec->limits.max_processes + GUEST_RESERVED_TASKS,
        .disk_mb = info->storage_opt_size ? spec->limits.disk_mb : 0,
        .cgroup_v1 = strcmp(info->cgroup_version, "1") == 0,
    };
    int r;

    if (!labels)
        return error_errno(err, ENOMEM, "labels");
    engine_name(b, spec->id, name);
    snprintf(uid, sizeof(uid), "%lld", (long long)spec->uid);
    snprintf(guest, sizeof(guest), "%s:/.sandbox/guest:ro", b->context->guest_binary);
    snprintf(run, sizeof(run), "%s/guests/%s:/.sandbox/run", state, spec->id);
    snprintf(slot, sizeof(slot), "%s/slots/%s:/workspace%s", state, spec->id,
             spec->workspace_access == ACCESS_RO ? ":ro" : "");
    r = docker_container_create(d, &create, ignored, err);
    if (r == -ENOENT && err) {
        error_clear(err);
        return error_set(err, ERR_TEMPLATE_NOT_READY,
                         "the image '%s' is not on this machine; pull or build the template first",
                         spec->image);
    }
    return r;
}

static void
guest_directory(const struct broker *b, const char *id, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/guests/%s", b->context->state_dir, id);
}

static int
guest_listens(const struct broker *b, const char *id, struct error *err)
{
    char directory[PATH_SIZE];
    int fd = -1;
    int r;

    guest_directory(b, id, directory);
    r = guest_connect(directory, &fd, err);
    if (r == 0)
        close(fd);
    return r;
}

/* Wait until the guest of @id listens: its directory is watched, so that nothing is slept away. */
static int
wait_for_guest(struct broker *b, const char *id, struct error *err)
{
    int64_t until = time_monotonic_ms() + GUEST_WAIT_MS;
    _cleanup_(closep) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd ready = {.fd = watch, .events = POLLIN};
    char directory[PATH_SIZE];
    char events[4096];

    guest_directory(b, id, directory);
    if (watch < 0 || inotify_add_watch(watch, directory, IN_CREATE | IN_MOVED_TO | IN_ATTRIB) < 0)
        return error_errno(err, errno, "watch of the guest's directory");
    for (;;) {
        int64_t left = until - time_monotonic_ms();

        if (guest_listens(b, id, NULL) == 0)
            return 0;
        if (left <= 0)
            return error_set(err, ERR_DOCKER,
                             "the container started, but its guest did not answer");
        /* bind(2) makes the file, listen(2) follows without an event: look again soon after one. */
        if (poll(&ready, 1, left < 100 ? (int)left : 100) > 0 &&
            read(watch, events, sizeof(events)) < 0 && errno != EAGAIN)
            return error_errno(err, errno, "watch of the guest's directory");
    }
}

int
broker_create(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    struct docker_info info;
    char name[NAME_MAX_SIZE];
    int r;

    engine_name(b, spec->id, name);
    r = broker_remove(b, d, spec->id, err);
    if (r == 0)
        r = docker_info(d, &info, err);
    if (r == 0)
        r = guest_directory_make(b->state_fd, spec->id, b->context->gid, err);
    if (r == 0)
        r = create(b, d, spec, &info, err);
    /* Not before: what Docker refuses to create shall leave no workspace, which nobody removes. */
    if (r == 0)
        r = workspace_attach(b->state_fd, b->context->state_dir, spec, err);
    if (r == 0)
        r = docker_container_start(d, name, err);
    if (r == 0)
        r = wait_for_guest(b, spec->id, err);
    if (r < 0)
        broker_remove(b, d, spec->id, NULL);
    return r;
}

/* Errors of Docker about one of our containers, in the domain's words. */
static int
missing(int r, struct error *err)
{
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return error_set(err, ERR_NOT_FOUND, "there is no such container in the engine");
}

int
broker_start(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    struct docker_container c = {0};
    char name[NAME_MAX_SIZE];
    int r;

    engine_name(b, spec->id, name);
    r = docker_container_inspect(d, name, false, &c, err);
    docker_container_done(&c);
    if (r < 0)
        return missing(r, err);
    if (c.running && guest_listens(b, spec->id, NULL) == 0)
        return 0;
    if (c.running) /* its guest has gone bad: the container gets a new one */
        r = docker_container_kill(d, name, err);
    if (r == 0)
        r = workspace_attach(b->state_fd, b->context->state_dir, spec, err);
    if (r == 0)
        r = docker_container_start(d, name, err);
    return r < 0 ? missing(r, err) : wait_for_guest(b, spec->id, err);
}

int
broker_stop(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    char name[NAME_MAX_SIZE];

    engine_name(b, id, name);
    return missing(docker_container_stop(d, name, STOP_GRACE_SECONDS, err), err);
}

int
broker_remove(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    char name[NAME_MAX_SIZE];
    int r;

    engine_name(b, id, name);
    r = docker_container_remove(d, name, err);
    if (r == 0)
        r = workspace_detach(b->context->state_dir, id, err);
    if (r == 0)
        r = guest_directory_remove(b->state_fd, id, err);
    return r;
}

int
broker_inspect(struct broker *b, struct docker *d, const char *id, struct engine_container *ret,
               struct error *err)
{
    struct docker_container c = {0};
    char name[NAME_MAX_SIZE];
    int r;

    engine_name(b, id, name);
    r = docker_container_inspect(d, name, true, &c, err);
    if (r < 0)
        return missing(r, err);
    *ret = (struct engine_container){.exists = true, .running = c.running, .disk_bytes = c.size_rw};
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    docker_container_done(&c);
    return 0;
}

/* A growing list of what exists. */
struct found {
    struct engine_container *items;
    size_t count;
};

static int
found_add(struct found *f, const char *id, const struct docker_container *c, struct error *err)
{
    struct engine_container *more;

    for (size_t i = 0; i < f->count && !c; i++)
        if (strcmp(f->items[i].id, id) == 0)
            return 0;
    more = reallocarray(f->items, f->count + 1, sizeof(*more));
    if (!more)
        return error_errno(err, ENOMEM, "list of containers");
    f->items = more;
    f->items[f->count] = (struct engine_container){
        .exists = c != NULL,
        .running = c && c->running,
        .disk_bytes = c ? c->size_rw : -1,
    };
    snprintf(f->items[f->count].id, CONTAINER_ID_SIZE, "%s", id);
    f->count++;
    return 0;
}

/* Add the containers that left something in the directory @name of the state directory. */
static int
add_leftovers(struct broker *b, const char *name, struct found *f, struct error *err)
{
    int fd = openat(b->state_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return error_errno(err, errno, name);
    while (r == 0 &&
           (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (id_is_container(entry->d_name))
            r = found_add(f, entry->d_name, NULL, err);
    return r;
}

int
broker_list(struct broker *b, struct docker *d, bool disk, struct engine_container **ret,
            size_t *ret_count, struct error *err)
{
    struct docker_container *list = NULL;
    struct found found = {0};
    size_t count = 0;
    int r = docker_container_list(d, b->label, disk, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *id = json_string_value(json_object_get(list[i].labels, label_id));

        if (id && id_is_container(id))
            r = found_add(&found, id, &list[i], err);
    }
    docker_container_list_free(list, count);
    if (r == 0)
        r = add_leftovers(b, "guests", &found, err);
    if (r == 0)
        r = add_leftovers(b, "slots", &found, err);
    if (r < 0) {
        free(found.items);
        return r;
    }
    *ret = found.items;
    *ret_count = found.count;
    return 0;
}
