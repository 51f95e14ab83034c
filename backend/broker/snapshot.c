/*
 * Snapshots and rollbacks: images made of containers, and containers made of them in the place of
 * others. See operations.h and, for what a crash leaves, internal.h.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/broker/directory.h"
#include "backend/broker/workspace.h"

enum {
    STOP_GRACE_SECONDS = 2,
    LAYERS_MAX = 100, /* of an image under a snapshot: overlay2 mounts no more than 128 */
    REFERENCE_SIZE = 96
};

static const char repository_prefix[] = "sandbox-snapshot-";

/* "sandbox-snapshot-INSTANCE:SNAPSHOT" */
static void
reference(const struct broker *b, const char *snapshot_id, char out[REFERENCE_SIZE])
{
    snprintf(out, REFERENCE_SIZE, "%s%s:%s", repository_prefix, b->context->instance, snapshot_id);
}

/* *ret_moved: there was one. */
static int
rename_part(struct broker *b, struct docker *d, const char *id, enum broker_part from,
            enum broker_part to, bool *ret_moved, struct error *err)
{
    char name[BROKER_NAME_SIZE], target[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, from, name);
    broker_name(b, id, to, target);
    r = docker_container_rename(d, name, target, err);
    *ret_moved = r == 0;
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return 0;
}

int
broker_settle(struct broker *b, struct docker *d, const char *id, struct error *err)
{
    struct docker_container c = {0};
    char name[BROKER_NAME_SIZE];
    bool moved = true;
    int r;

    broker_name(b, id, PART_MAIN, name);
    r = docker_container_inspect(d, name, false, &c, err);
    docker_container_done(&c);
    if (r == -ENOENT) {
        error_clear(err);
        r = rename_part(b, d, id, PART_NEXT, PART_MAIN, &moved, err);
        if (r == 0 && !moved)
            r = rename_part(b, d, id, PART_OLD, PART_MAIN, &moved, err);
    }
    if (r < 0 || !moved)
        return r;
    r = broker_remove_part(b, d, id, PART_NEXT, err);
    return r < 0 ? r : broker_remove_part(b, d, id, PART_OLD, err);
}

int
broker_look(struct broker *b, struct docker *d, const char *id, bool size,
            struct docker_container *ret, struct error *err)
{
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, PART_MAIN, name);
    r = docker_container_inspect(d, name, size, ret, err);
    if (r != -ENOENT)
        return r;
    error_clear(err);
    r = broker_settle(b, d, id, err);
    return r < 0 ? r : docker_container_inspect(d, name, size, ret, err);
}

/* Whether the image is a snapshot of container @id: a worker may not take another one's. */
static int
check_image(struct broker *b, struct docker *d, const char *image, const char *id,
            struct error *err)
{
    json_auto_t *labels = NULL;
    const char *instance, *container;
    int r = docker_image_config(d, image, NULL, &labels, err);

    if (r == -ENOENT) {
        error_clear(err);
        return error_set(err, ERR_CONFLICT, "the snapshot's image is gone from the engine");
    }
    if (r < 0)
        return r;
    instance = json_string_value(json_object_get(labels, BROKER_LABEL_INSTANCE));
    container = json_string_value(json_object_get(labels, BROKER_LABEL_ID));
    if (!instance || strcmp(instance, b->context->instance) != 0 || !container ||
        strcmp(container, id) != 0)
        return error_set(err, ERR_VALIDATION, "the snapshot is not of this container");
    return 0;
}

/* Stop the main part and put the next one in its place. *ret_swapped tells whether that was done,
 * also on failure. */
static int
swap(struct broker *b, struct docker *d, const char *id, bool *ret_swapped, struct error *err)
{
    char name[BROKER_NAME_SIZE];
    bool moved;
    int r;

    *ret_swapped = false;
    broker_name(b, id, PART_MAIN, name);
    r = docker_container_stop(d, name, STOP_GRACE_SECONDS, err);
    if (r == -ENOENT) { /* lost: all the more reason for a new one */
        error_clear(err);
        r = 0;
    }
    if (r == 0)
        r = rename_part(b, d, id, PART_MAIN, PART_OLD, &moved, err);
    if (r == 0)
        r = rename_part(b, d, id, PART_NEXT, PART_MAIN, ret_swapped, err);
    if (r == 0 && !*ret_swapped)
        r = error_set(err, ERR_DOCKER, "the engine has lost the new container");
    return r;
}

/* Put the old part back. What fails here is for broker_settle(). */
static void
undo(struct broker *b, struct docker *d, const char *id, bool swapped)
{
    bool moved;

    if (!swapped || broker_remove_part(b, d, id, PART_MAIN, NULL) == 0)
        rename_part(b, d, id, PART_OLD, PART_MAIN, &moved, NULL);
    broker_remove_part(b, d, id, PART_NEXT, NULL);
}

int
broker_rollback(struct broker *b, struct docker *d, const struct engine_spec *spec,
                const char *snapshot_id, struct error *err)
{
    char image[REFERENCE_SIZE];
    bool swapped = false;
    int r;

    reference(b, snapshot_id, image);
    r = broker_settle(b, d, spec->id, err);
    if (r == 0)
        r = check_image(b, d, image, spec->id, err);
    if (r < 0)
        return r;
    r = broker_make(b, d, spec, PART_NEXT, image, err);
    if (r == 0)
        r = swap(b, d, spec->id, &swapped, err);
    if (r == 0)
        r = broker_offer_guest(b, d, spec->id, err);
    if (r == 0)
        r = broker_run(b, d, spec, err);
    if (r < 0)
        undo(b, d, spec->id, swapped);
    else
        broker_remove_part(b, d, spec->id, PART_OLD, NULL); /* else it is settled later */
    return r;
}

/* Refuse a container whose image could not carry one more layer for long. */
static int
check_depth(struct docker *d, const char *image, struct error *err)
{
    size_t layers = 0;
    int r = docker_image_config(d, image, &layers, NULL, err);

    if (r < 0)
        return r;
    if (layers >= LAYERS_MAX)
        return error_set(err, ERR_CONFLICT,
                         "the container stands on %zu layers of snapshots and rollbacks, which is "
                         "as deep as the engine goes; make a new container",
                         layers);
    return 0;
}

/* Make the image, and measure it. */
static int
commit(struct broker *b, struct docker *d, const char *id, const char *snapshot_id,
       int64_t *ret_size_bytes, struct error *err)
{
    json_auto_t *labels = json_pack("{s:s, s:s, s:s}", BROKER_LABEL_INSTANCE, b->context->instance,
                                    BROKER_LABEL_ID, id, BROKER_LABEL_SNAPSHOT, snapshot_id);
    char name[BROKER_NAME_SIZE], repository[REFERENCE_SIZE], image[REFERENCE_SIZE];
    int r;

    if (!labels)
        return error_errno(err, ENOMEM, "labels");
    broker_name(b, id, PART_MAIN, name);
    snprintf(repository, sizeof(repository), "%s%s", repository_prefix, b->context->instance);
    reference(b, snapshot_id, image);
    r = docker_container_commit(d, name, repository, snapshot_id, labels, err);
    if (r == 0) {
        r = docker_image_top_size(d, image, ret_size_bytes, err);
        if (r < 0)
            docker_image_remove(d, image, NULL);
    }
    return r;
}

int
broker_snapshot_create(struct broker *b, struct docker *d, const char *id, const char *snapshot_id,
                       int64_t *ret_size_bytes, struct error *err)
{
    struct docker_container c = {0};
    int r = broker_look(b, d, id, false, &c, err);

    if (r < 0)
        return broker_missing(r, err);
    r = check_depth(d, c.image, err);
    docker_container_done(&c);
    return r < 0 ? r : commit(b, d, id, snapshot_id, ret_size_bytes, err);
}

/*
 * How an image that carries our labels is called: by the reference of a snapshot, or, where it lost
 * its tag while others stood on it, by its id. NULL: somebody else's, made from one of ours.
 */
static const char *
image_name(const struct docker_image *image, const char *expected)
{
    json_t *tag;
    size_t i;

    json_array_foreach(image->tags, i, tag)
    {
        if (strcmp(json_string_value(tag), expected) == 0)
            return expected;
    }
    return json_array_size(image->tags) == 0 ? image->id : NULL;
}

int
broker_snapshot_remove(struct broker *b, struct docker *d, const char *snapshot_id,
                       struct error *err)
{
    char label[96], image[REFERENCE_SIZE];
    const char *const labels[] = {b->label, label, NULL};
    struct docker_image *list = NULL;
    size_t count = 0;
    int r;

    snprintf(label, sizeof(label), "%s=%s", BROKER_LABEL_SNAPSHOT, snapshot_id);
    reference(b, snapshot_id, image);
    r = docker_image_list(d, labels, &list, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *name = image_name(&list[i], image);

        r = name ? docker_image_remove(d, name, err) : 0;
        if (r == -EEXIST) { /* a container stands on it: the janitor comes back for it */
            error_clear(err);
            r = 0;
        }
    }
    docker_image_list_free(list, count);
    return r;
}

int
broker_snapshot_list(struct broker *b, struct docker *d, char (**ret)[SNAPSHOT_ID_SIZE],
                     size_t *ret_count, struct error *err)
{
    const char *const labels[] = {b->label, BROKER_LABEL_SNAPSHOT, NULL};
    struct docker_image *list = NULL;
    size_t count = 0, found = 0;
    char(*ids)[SNAPSHOT_ID_SIZE];
    int r = docker_image_list(d, labels, &list, &count, err);

    if (r < 0)
        return r;
    ids = calloc(count + 1, sizeof(*ids));
    for (size_t i = 0; ids && i < count; i++) {
        const char *id = json_string_value(json_object_get(list[i].labels, BROKER_LABEL_SNAPSHOT));
        char image[REFERENCE_SIZE];

        if (!id || !id_is_snapshot(id))
            continue;
        reference(b, id, image);
        if (image_name(&list[i], image))
            snprintf(ids[found++], SNAPSHOT_ID_SIZE, "%s", id);
    }
    docker_image_list_free(list, count);
    if (!ids)
        return error_errno(err, ENOMEM, "list of snapshots");
    *ret = ids;
    *ret_count = found;
    return 0;
}
