/* One container's place: see container_place.h. */
#include "backend/container_place.h"

#include <stdio.h>

#include "backend/config/source.h"

struct engine_spec
container_engine_spec(const struct container *c)
{
    struct engine_spec spec = {
        .uid = c->uid,
        .gid = c->gid ? c->gid : c->uid,
        .workspace_access = c->workspace_access,
        .network = c->network,
        .limits = c->limits,
        .gpu_mask = c->gpu_mask,
    };

    snprintf(spec.id, sizeof(spec.id), "%s", c->id);
    snprintf(spec.owner, sizeof(spec.owner), "%s", c->owner);
    snprintf(spec.workspace, sizeof(spec.workspace), "%s", c->agent_id);
    snprintf(spec.image, sizeof(spec.image), "%s", c->image);
    snprintf(spec.runtime, sizeof(spec.runtime), "%s", c->runtime);
    return spec;
}

void
container_name_limit(const struct backend *b, const struct container *c, const char *key,
                     struct error *err)
{
    char source[SOURCE_SIZE];

    source_limit(b->settings, c->tier, key, source);
    error_append(err, " (%s)", source);
}

void
container_guest_directory(const struct backend *b, const char *id, char *buf, size_t size)
{
    snprintf(buf, size, "%s/guests/%s", b->context->state_dir, id);
}

int
container_lock(struct backend *b, const char *id, pthread_mutex_t **ret, struct error *err)
{
    return shared_lock(b->context->shared, SHARED_LOCK_CONTAINER, id, CONTAINER_WAIT_MS, ret, err);
}
