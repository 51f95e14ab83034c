/*
 * The disk that a container takes, where the engine does not limit it: its own layer of files, and
 * the volumes of its image, which no storage driver limits. The workspace is the agent's, and no
 * part of it.
 */
#include "backend/broker/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/broker/measure.h"

enum { FILE_BYTES = 16384 /* mke2fs makes an inode for so many */ };

/* A limit, with as many files as a file system of that size would have. */
static struct measure
most(int64_t limit_mb)
{
    return (struct measure){.bytes = limit_mb << 20, .files = (limit_mb << 20) / FILE_BYTES};
}

/* What the engine says of the size of the layer, where its directory is not ours to read. */
static int
ask_engine(struct docker *d, const char *name, struct measure *m, struct error *err)
{
    struct docker_container c = {0};
    int r = docker_container_inspect(d, name, true, &c, err);

    if (r == 0 && c.size_rw > 0)
        m->bytes += c.size_rw;
    docker_container_done(&c);
    return r;
}

/* Measure the layer @places->layer; the engine is asked where that cannot be done here. */
static int
measure_layer(struct docker *d, const char *name, const struct docker_places *places,
              const struct measure *max, struct measure *m, struct error *err)
{
    int r = places->layer ? measure_tree(places->layer, max, m) : -ENOENT;

    if (r == -ENOMEM)
        return error_errno(err, ENOMEM, "measure");
    if (r < 0)
        return ask_engine(d, name, m, err);
    if (places->pid > 0 && measure_nameless(places->pid, max, m) == -ENOMEM)
        return error_errno(err, ENOMEM, "measure");
    return 0;
}

int
broker_disk(struct broker *b, struct docker *d, const char *id, int64_t limit_mb,
            struct engine_disk *ret, struct error *err)
{
    const struct measure max = most(limit_mb);
    _cleanup_(docker_places_done) struct docker_places places = {0};
    struct docker_info info = {0};
    struct measure m = {0};
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, PART_MAIN, name);
    r = docker_info_recent(d, &info, err);
    if (r == 0)
        r = docker_container_places(d, name, &places, err);
    if (r == 0 && !info.storage_opt_size)
        r = measure_layer(d, name, &places, &max, &m, err);
    for (size_t i = 0; r == 0 && i < places.volume_count; i++)
        if (measure_tree(places.volumes[i], &max, &m) == -ENOMEM)
            r = error_errno(err, ENOMEM, "measure");
    if (r < 0)
        return broker_missing(r, err);
    *ret = (struct engine_disk){
        .over = m.bytes > max.bytes || m.files > max.files,
        .bytes = m.bytes,
        .files = m.files,
    };
    return 0;
}

int
broker_fits_disk(struct broker *b, struct docker *d, const struct engine_spec *spec,
                 struct error *err)
{
    struct engine_disk disk = {0};
    int r = broker_disk(b, d, spec->id, spec->limits.disk_mb, &disk, err);

    if (r < 0 || !disk.over)
        return r;
    return error_set(
        err, ERR_QUOTA_EXCEEDED,
        "the container's files take more than its %lld MB of disk (now %lld MB in %lld "
        "files, of which it may have %lld); roll it back to a snapshot or delete it",
        (long long)spec->limits.disk_mb, (long long)(disk.bytes >> 20), (long long)disk.files,
        (long long)most(spec->limits.disk_mb).files);
}

/* Docker holds a descriptor for every level of the tree that it removes (overlay2) or spells out
 * its paths (btrfs), and fails on one that is deep enough: that is flattened first. */
int
broker_remove_part(struct broker *b, struct docker *d, const char *id, enum broker_part part,
                   struct error *err)
{
    _cleanup_(docker_places_done) struct docker_places places = {0};
    struct error failed = {0};
    char name[BROKER_NAME_SIZE];
    int r;

    broker_name(b, id, part, name);
    r = docker_container_remove(d, name, &failed);
    if (r == -EREMOTEIO && docker_container_places(d, name, &places, NULL) == 0 && places.layer &&
        measure_flatten(places.layer) == 0) {
        error_clear(&failed);
        r = docker_container_remove(d, name, &failed);
    }
    if (r < 0 && err)
        *err = failed;
    return r;
}
