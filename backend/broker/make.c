/*
 * From what the domain asks for to what the engine is told: a container's binds, program, labels,
 * limits and network. What every container of ours has alike is docker/create.c's.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/broker/directory.h"
#include "backend/broker/users.h"
#include "backend/egress/egress.h"
#include "backend/guest/protocol.h"
#include "backend/runtimes.h"

enum { PATH_SIZE = 4096 };

static bool
lacks_runtime(const struct docker_info *info, const char *runtime)
{
    return runtime_missing(info->runtimes, runtime);
}

/*
 * Refuse a runtime that the engine does not have: with another one the container would not be kept
 * as its tier promises. It may have been added just now.
 */
static int
check_runtime(struct docker *d, const struct docker_info *recent, const char *runtime,
              struct error *err)
{
    struct docker_info now;
    int r;

    if (!lacks_runtime(recent, runtime))
        return 0;
    r = docker_info(d, &now, err);
    if (r < 0)
        return r;
    if (!lacks_runtime(&now, runtime))
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "this is to run under the runtime '%s', which the engine does not have; an "
                     "admin has to install it there, or to name another one in tiers.yaml",
                     runtime);
}

/* Whether the container has a relay to the egress proxy. One of network Full has it in any case: it
 * is told to use it when there is a domain to be blocked. */
static bool
has_relay(const struct engine_spec *spec)
{
    return spec->network == NETWORK_RESTRICTED || spec->network == NETWORK_FULL;
}

int
broker_offer_guest(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    struct users users;
    int r = users_find(d, &users, err);

    return r < 0
               ? r
               : guest_directory_make(b->state_fd, id, users.remapped ? users.root_uid : (uid_t)-1,
                                      b->context->gid, err);
}

/* Make sure that the directory is there which a container with a relay has bound. */
int
broker_offer_egress(struct broker *b, const struct engine_spec *spec, struct error *err)
{
    const struct service_context *context = b->context;

    return has_relay(spec)
               ? egress_directory_make(b->state_fd, spec->id, context->uid, context->gid, err)
               : 0;
}

/* What ContainerCreate borrows of a container. Lifetime: call. */
struct parts {
    struct full_place place; /* on the bridge; network "": not there */
    char name[BROKER_NAME_SIZE];
    char uid[24], gid[24];
    char guest[PATH_SIZE + 32], run[PATH_SIZE + 64], slot[PATH_SIZE + 64], egress[PATH_SIZE + 64];
    char resolv_conf[FULL_PATH_SIZE + 32];
    const char *binds[6];
    const char *entrypoint[8];
};

static void
fill_binds(const struct broker *b, const struct engine_spec *spec, struct parts *p)
{
    const char *state = b->context->state_dir;
    size_t count = 0;

    snprintf(p->guest, sizeof(p->guest), "%s:/.sandbox/guest:ro", b->context->guest_binary);
    snprintf(p->run, sizeof(p->run), "%s/guests/%s:/.sandbox/run", state, spec->id);
    snprintf(p->slot, sizeof(p->slot), "%s/slots/%s:/workspace:rslave%s", state, spec->id,
             spec->workspace_access == ACCESS_RO ? ",ro" : "");
    snprintf(p->egress, sizeof(p->egress), "%s/%s/%s:/.sandbox/egress:ro", state, EGRESS_DIRECTORY,
             spec->id);
    snprintf(p->resolv_conf, sizeof(p->resolv_conf), "%s:/etc/resolv.conf:ro",
             p->place.resolv_conf);
    p->binds[count++] = p->guest;
    p->binds[count++] = p->run;
    if (spec->workspace_access != ACCESS_NONE)
        p->binds[count++] = p->slot;
    if (has_relay(spec))
        p->binds[count++] = p->egress;
    if (p->place.network[0])
        p->binds[count] = p->resolv_conf;
}

/* The guest and its arguments, see guest/inside/main.c. */
static void
fill_entrypoint(const struct users *users, const struct engine_spec *spec, struct parts *p)
{
    const char *const words[] = {
        "/.sandbox/guest",
        "/.sandbox/run",
        p->uid,
        p->gid,
        "/home/sandbox",
        "/workspace",
        has_relay(spec) ? "/.sandbox/egress/" EGRESS_SOCKET : NULL,
    };

    snprintf(p->uid, sizeof(p->uid), "%lld", (long long)users_inside(users, spec->uid));
    snprintf(p->gid, sizeof(p->gid), "%lld", (long long)users_inside(users, spec->gid));
    memcpy(p->entrypoint, words, sizeof(words));
}

/* Also those that say nothing are named: the image's would stand in their place. */
static json_t *
labels_json(const struct broker *b, const struct engine_spec *spec)
{
    return json_pack("{s:s, s:s, s:s, s:s}", BROKER_LABEL_INSTANCE, b->context->instance,
                     BROKER_LABEL_ID, spec->id, BROKER_LABEL_OWNER, spec->owner,
                     BROKER_LABEL_EGRESS, has_relay(spec) ? "1" : "");
}

/* Find out what the engine can do for @spec, and where its network is. */
static int
prepare(struct broker *b, struct docker *d, const struct engine_spec *spec,
        struct docker_info *info, struct full_place *place, struct error *err)
{
    int r = docker_info_recent(d, info, err);

    if (r == 0)
        r = check_runtime(d, info, spec->runtime, err);
    if (r == 0 && spec->network == NETWORK_FULL)
        r = full_offer(b->full, d, place, err);
    return r < 0 ? r : broker_offer_egress(b, spec, err);
}

/* What the engine is told of a container, but for what it has to be asked first. Borrows all of
 * it; p->place is known. */
static struct docker_create
compose(const struct broker *b, const struct users *users, const struct engine_spec *spec,
        struct parts *p, json_t *labels)
{
    fill_binds(b, spec, p);
    fill_entrypoint(users, spec, p);
    return (struct docker_create){
        .name = p->name,
        .image = spec->image,
        .runtime = spec->runtime,
        .hostname = spec->id,
        .entrypoint = p->entrypoint,
        .binds = p->binds,
        .labels = labels,
        .cpu_cores = spec->limits.cpu_cores,
        .memory_mb = spec->limits.memory_mb,
        .pids_limit = spec->limits.max_processes + GUEST_RESERVED_TASKS +
                      (has_relay(spec) ? GUEST_RELAY_TASKS : 0),
        .gpu_mask = spec->gpu_mask,
        .network = p->place.network,
        .dns = p->place.dns,
    };
}

int
broker_make(struct broker *b, struct docker *d, const struct engine_spec *spec,
            enum broker_part part, const char *image, struct error *err)
{
    struct parts p = {.place = {.network = ""}};
    json_auto_t *labels = labels_json(b, spec);
    struct docker_info info = {0};
    struct users users;
    char ignored[DOCKER_ID_SIZE];
    struct docker_create create;
    int r = labels ? prepare(b, d, spec, &info, &p.place, err) : error_errno(err, ENOMEM, "labels");

    if (r == 0)
        r = users_find(d, &users, err);
    if (r < 0)
        return r;
    broker_name(b, spec->id, part, p.name);
    create = compose(b, &users, spec, &p, labels);
    create.image = image;
    create.gpu_runtime = info.gpu_runtime;
    create.disk_mb = info.storage_opt_size ? spec->limits.disk_mb : 0;
    create.cgroup_v1 = strcmp(info.cgroup_version, "1") == 0;
    r = docker_container_create(d, &create, ignored, err);
    if (r == -ENOENT && err) {
        error_clear(err);
        return error_set(err, ERR_TEMPLATE_NOT_READY,
                         "the image '%s' is not on this machine; pull or build the template first",
                         image);
    }
    return r;
}

/*
 * The container that is asked about is one of its own, which has all that a container can have, and
 * whose names and figures do not matter. Only a cgroup's version takes from one what it gives to
 * another.
 */
int
engine_posture(char ret[ENGINE_POSTURE_SIZE], struct error *err)
{
    static const struct service_context nowhere = {
        .state_dir = "state", .guest_binary = "guest", .instance = "instance"};
    static const struct engine_spec spec = {
        .id = "id",
        .owner = "owner",
        .image = "image",
        .runtime = "runtime",
        .workspace_access = ACCESS_RW,
        .network = NETWORK_FULL,
        .limits = {.cpu_cores = 1, .memory_mb = 1024, .disk_mb = 1, .max_processes = 1},
        .gpu_mask = 1,
    };
    static const struct users users = {0};
    const struct broker b = {.context = &nowhere};
    struct parts p = {.place = {.network = "network", .dns = {"dns"}, .resolv_conf = "file"}};
    json_auto_t *labels = labels_json(&b, &spec);
    struct docker_create create = compose(&b, &users, &spec, &p, labels);
    unsigned char digest[(ENGINE_POSTURE_SIZE - 1) / 2];
    crypto_generichash_state hash;

    create.gpu_runtime = "nvidia";
    create.disk_mb = spec.limits.disk_mb;
    crypto_generichash_init(&hash, NULL, 0, sizeof(digest));
    for (int v = 1; v <= 2; v++) {
        _cleanup_(freep) char *text = NULL;

        create.cgroup_v1 = v == 1;
        text = labels ? docker_create_text(&create) : NULL;
        if (!text)
            return error_errno(err, ENOMEM, "engine_posture");
        crypto_generichash_update(&hash, (const unsigned char *)text, strlen(text));
    }
    crypto_generichash_final(&hash, digest, sizeof(digest));
    sodium_bin2hex(ret, ENGINE_POSTURE_SIZE, digest, sizeof(digest));
    return 0;
}
