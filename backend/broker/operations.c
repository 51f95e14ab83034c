/*
 * A container's life, as the broker makes it of Docker and mounts: see operations.h. Lists and
 * snapshots have files of their own.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "backend/account.h"
#include "backend/broker/directory.h"
#include "backend/broker/users.h"
#include "backend/broker/workspace.h"
#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

enum {
    STOP_GRACE_SECONDS = 2, /* for the guest, which kills everything on TERM */
    GUEST_WAIT_MS = 10000,  /* for its socket after a start */
    PATH_SIZE = 4096
};

int
broker_init(struct broker *b, const struct service_context *context, struct error *err)
{
    *b = (struct broker){.context = context};
    b->state_fd = open(context->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->state_fd < 0)
        return error_errno(err, errno, "open of the state directory");
    snprintf(b->label, sizeof(b->label), "sandbox.instance=%s", context->instance);
    b->usage = usage_new(b->label, BROKER_LABEL_ID, BROKER_LABEL_EGRESS);
    b->turns = turns_new();
    b->full = full_new(context);
    return b->usage && b->turns && b->full ? 0 : error_errno(err, ENOMEM, "broker");
}

void
broker_name(const struct broker *b, const char *id, enum broker_part part,
            char out[BROKER_NAME_SIZE])
{
    static const char *const suffixes[] = {
        [PART_MAIN] = "", [PART_NEXT] = "-next", [PART_OLD] = "-old"};

    snprintf(out, BROKER_NAME_SIZE, "%s-%s%s", id, b->context->instance, suffixes[part]);
}

int
broker_info(const struct broker *b, struct docker *d, struct engine_info *ret, struct error *err)
{
    struct docker_info info;
    int r = docker_info(d, &info, err);

    if (r < 0)
        return r;
    *ret = (struct engine_info){
        .disk_enforced = info.storage_opt_size,
    };
    if (b)
        snprintf(ret->full_network, sizeof(ret->full_network), "%s",
                 full_state_names[full_state(b->full, ret->full_trouble)]);
    snprintf(ret->version, sizeof(ret->version), "%s", info.version);
    snprintf(ret->storage_driver, sizeof(ret->storage_driver), "%s", info.storage_driver);
    snprintf(ret->cgroup_version, sizeof(ret->cgroup_version), "%s", info.cgroup_version);
    snprintf(ret->runc, sizeof(ret->runc), "%s", info.runc_version);
    snprintf(ret->runc_build, sizeof(ret->runc_build), "%s", info.runc_build);
    snprintf(ret->kernel, sizeof(ret->kernel), "%s", info.kernel_version);
    snprintf(ret->unlimited, sizeof(ret->unlimited), "%s", info.unlimited);
    snprintf(ret->gpu_runtime, sizeof(ret->gpu_runtime), "%s", info.gpu_runtime);
    for (size_t i = 0; i < ENGINE_RUNTIMES_MAX; i++) {
        snprintf(ret->runtimes[i], sizeof(ret->runtimes[i]), "%s", info.runtimes[i]);
        ret->runtime_lacks[i] =
            (info.runtime_lacks[i] & DOCKER_LACKS_CREATE ? ENGINE_LACKS_CREATE : 0U) |
            (info.runtime_lacks[i] & DOCKER_LACKS_OPEN ? ENGINE_LACKS_OPEN : 0U) |
            (info.runtime_lacks[i] & DOCKER_LACKS_NETWORK ? ENGINE_LACKS_NETWORK : 0U);
    }
    return 0;
}

/* Whether @image is one of the templates'. */
static bool
image_known(const struct settings *s, const char *image)
{
    const struct template_entry *templates = s->templates.items;

    for (size_t i = 0; i < s->templates.count; i++)
        if (templates[i].image && strcmp(templates[i].image, image) == 0)
            return true;
    return false;
}

/* Whether @runtime is one that the tiers or the service name. */
static bool
runtime_known(const struct settings *s, const char *runtime)
{
    const struct tier *tiers = s->tiers.items;

    for (size_t i = 0; i < s->tiers.count; i++)
        if (strcmp(tiers[i].runtime, runtime) == 0)
            return true;
    return strcmp(runtime, s->service.docker_runtime) == 0;
}

static bool
limits_sane(const struct limits *l)
{
    return l->cpu_cores > 0 && l->cpu_cores <= 1024 && l->memory_mb >= 16 &&
           l->memory_mb <= 1 << 20 && l->disk_mb > 0 && l->max_processes > 0 &&
           l->max_processes <= 100000;
}

/* Whether a tier or a template asks for as many GPUs as @mask has. */
static bool
gpus_known(const struct settings *s, int64_t mask)
{
    const struct template_entry *templates = s->templates.items;
    const struct tier *tiers = s->tiers.items;
    int64_t most = 0;

    for (size_t i = 0; i < s->templates.count; i++)
        most = templates[i].gpus > most ? templates[i].gpus : most;
    for (size_t i = 0; i < s->tiers.count; i++)
        most = tiers[i].gpus > most ? tiers[i].gpus : most;
    return mask >= 0 && __builtin_popcountll((unsigned long long)mask) <= most;
}

/* Whether @network is one, and, of a container to be made, one that a tier has. */
static bool
network_known(const struct settings *s, enum network network, enum spec_use use)
{
    const struct tier *tiers = s->tiers.items;

    if (network != NETWORK_FULL || (use != SPEC_CREATE && use != SPEC_WARM))
        return network >= NETWORK_NONE && network <= NETWORK_FULL;
    for (size_t i = 0; i < s->tiers.count; i++)
        if (tiers[i].network == NETWORK_FULL)
            return true;
    return false;
}

/* Whether @spec names an owner and their workspace, or, for the pool, nobody. */
static bool
names_fit(const struct engine_spec *spec, enum spec_use use)
{
    bool needs_workspace = spec->workspace_access != ACCESS_NONE;

    if (use == SPEC_WARM)
        return !spec->owner[0] && !spec->workspace[0];
    return id_is_name(spec->owner, OWNER_SIZE - 1) &&
           (!needs_workspace || id_is_name(spec->workspace, NAME_SIZE - 1));
}

/*
 * Whom the commands are to run as: the owner's account, as our own look into access.yaml has it, or
 * else a uid of the service's range, of which the pool's containers have the last. One that was
 * made before its owner got an account is still started as it is.
 */
static int
check_identity(const struct settings *s, const struct engine_spec *spec, enum spec_use use,
               struct error *err)
{
    bool ranged = spec->uid >= s->service.uid_first && spec->uid <= s->service.uid_last &&
                  (use == SPEC_WARM) == (spec->uid == s->service.uid_last) &&
                  spec->gid == spec->uid;
    int64_t uid = 0, gid = 0;
    int r = 0;

    if (ranged && (use == SPEC_WARM || use == SPEC_START || use == SPEC_ROLLBACK))
        return 0;
    if (use != SPEC_WARM)
        r = account_find(s, spec->owner, &uid, &gid, err);
    if (r < 0)
        return r;
    if (r == 0 ? ranged : spec->uid == uid && spec->gid == gid)
        return 0;
    if ((use == SPEC_START || use == SPEC_ROLLBACK) && settings_account_fits(s, spec->uid) &&
        settings_account_fits(s, spec->gid))
        return error_set(err, ERR_CONFLICT,
                         "the container was made for another account than access.yaml names now; "
                         "remove it");
    return error_set(err, ERR_VALIDATION, "the broker does not accept this uid");
}

int
broker_check_spec(struct broker *b, const struct engine_spec *spec, enum spec_use use,
                  struct error *err)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    bool pooled = use == SPEC_WARM || use == SPEC_ADOPT;
    int r;

    if (!id_is_container(spec->id) || !names_fit(spec, use))
        return error_set(err, ERR_VALIDATION, "the broker does not accept these names");
    r = check_identity(s, spec, use, err);
    if (r < 0)
        return r;
    if (spec->workspace_access < (pooled ? ACCESS_RO : ACCESS_NONE) ||
        spec->workspace_access > ACCESS_RW || !limits_sane(&spec->limits))
        return error_set(err, ERR_VALIDATION, "the broker does not accept these limits");
    if (use != SPEC_START && use != SPEC_ADOPT && !gpus_known(s, spec->gpu_mask))
        return error_set(err, ERR_VALIDATION, "the broker knows nobody who gets so many GPUs");
    if (!network_known(s, spec->network, use))
        return error_set(err, ERR_VALIDATION, "the broker knows nobody who gets this network");
    if (((use == SPEC_CREATE || use == SPEC_WARM) && !image_known(s, spec->image) &&
         !broker_is_template_image(b, spec->image)) ||
        (use != SPEC_START && !runtime_known(s, spec->runtime)))
        return error_set(err, ERR_VALIDATION, "the broker knows no such image or runtime");
    return 0;
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

/* Have a container of network Full that was just started be as it has to be. */
static int
secure(struct broker *b, struct docker *d, const char *name, struct error *err)
{
    struct docker_container c = {0};
    int r = docker_container_inspect(d, name, false, &c, err);

    docker_container_done(&c);
    return r < 0 ? r : full_secure(b->full, c.pid, err);
}

int
broker_boot(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, spec->id, PART_MAIN, name);
    r = docker_container_start(d, name, err);
    if (r == 0 && spec->network == NETWORK_FULL) {
        r = secure(b, d, name, err);
        if (r < 0)
            docker_container_kill(d, name, NULL);
    }
    return r < 0 ? r : wait_for_guest(b, spec->id, err);
}

int
broker_run(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    struct users users;
    int r = users_find(d, &users, err);

    if (r == 0)
        r = workspace_attach(b, &users, spec, err);
    if (r == 0)
        r = broker_offer_egress(b, spec, err);
    return r < 0 ? r : broker_boot(b, d, spec, err);
}

int
broker_create(struct broker *b, struct docker *d, const struct engine_spec *spec, struct error *err)
{
    int r = broker_remove(b, d, spec->id, err);

    if (r == 0)
        r = broker_offer_guest(b, d, spec->id, err);
    if (r == 0)
        r = broker_make(b, d, spec, PART_MAIN, spec->image, err);
    /* Not before: what Docker refuses to create shall leave no workspace, which nobody removes. */
    if (r == 0)
        r = broker_run(b, d, spec, err);
    if (r < 0)
        broker_remove(b, d, spec->id, NULL);
    return r;
}

int
broker_missing(int r, struct error *err)
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
    char name[BROKER_NAME_SIZE];
    bool pooled;
    int r;

    broker_name(b, spec->id, PART_MAIN, name);
    r = broker_look(b, d, spec->id, false, &c, err);
    pooled = r == 0 && broker_is_pooled(&c);
    docker_container_done(&c);
    if (r < 0)
        return broker_missing(r, err);
    if (c.running && guest_listens(b, spec->id, NULL) == 0)
        return 0;
    if (c.running) /* its guest has gone bad: the container gets a new one */
        r = docker_container_kill(d, name, err);
    if (r == 0)
        r = broker_fits_disk(b, d, spec, err);
    if (r == 0)
        r = guest_sockets_remove(b->state_fd, spec->id, err);
    if (r == 0)
        r = broker_run(b, d, spec, err);
    if (r == 0 && pooled) /* its guest was started for nobody */
        r = broker_give(b, d, spec, err);
    return broker_missing(r, err);
}

int
broker_stop(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, PART_MAIN, name);
    r = docker_container_stop(d, name, STOP_GRACE_SECONDS, err);
    if (r == 0)
        r = guest_sockets_remove(b->state_fd, id, err);
    return broker_missing(r, err);
}

int
broker_remove(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    int r = 0;

    for (enum broker_part part = PART_MAIN; r == 0 && part <= PART_OLD; part++)
        r = broker_remove_part(b, d, id, part, err);
    if (r == 0)
        r = workspace_detach(b->state_fd, id, err);
    if (r == 0)
        r = guest_directory_remove(b->state_fd, id, err);
    if (r == 0)
        r = egress_directory_remove(b->state_fd, id, err);
    return r;
}

int
broker_inspect(struct broker *b, struct docker *d, const char *id, struct engine_container *ret,
               struct error *err)
{
    struct docker_container c = {0};
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, PART_MAIN, name);
    r = docker_container_inspect(d, name, true, &c, err);
    if (r == -ENOENT) { /* it may be on its way: look again when nobody works on it */
        _cleanup_(turn_end) struct turn turn = {0};

        error_clear(err);
        turn_begin(b->turns, id, &turn);
        r = broker_look(b, d, id, true, &c, err);
    }
    if (r < 0)
        return broker_missing(r, err);
    *ret = (struct engine_container){.exists = true, .running = c.running, .disk_bytes = c.size_rw};
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    docker_container_done(&c);
    return 0;
}
