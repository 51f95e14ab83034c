/*
 * What the domain may ask of containers and mounts. It is answered by the broker, another process,
 * but nothing here says so: a call blocks until it is done, at most the time stated.
 *
 * Errors of every call: ERR_DOCKER_DOWN (no engine, or no broker: try again), ERR_DOCKER (the
 * engine refused), ERR_VALIDATION (the broker did not accept the request: a bug or an attack),
 * ERR_INTERNAL.
 */
#ifndef BACKEND_ENGINE_H
#define BACKEND_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/cleanup.h"
#include "backend/config/settings.h"
#include "backend/error.h"
#include "backend/id.h"
#include "backend/store/records.h"

struct engine;

enum {
    ENGINE_RUNTIMES_MAX = 8,
    ENGINE_NAME_SIZE = 32,
    ENGINE_TROUBLE_SIZE = 256,
    ENGINE_IMAGE_ID_SIZE = 80,
    ENGINE_POSTURE_SIZE = 65,
    ENGINE_STATS_MAX = 512, /* containers in one engine_stats() */
    ENGINE_IMAGES_MAX = 32  /* images that the broker is asked for at one time */
};

/* What a runtime of gVisor's is kept from by the arguments that the engine gives it, as bits. */
enum engine_lacks {
    ENGINE_LACKS_CREATE = 1, /* the guest's socket: nothing runs there */
    ENGINE_LACKS_OPEN = 2,   /* the egress proxy's socket */
    ENGINE_LACKS_NETWORK = 4 /* interfaces other than the loopback */
};

/* The engine as GET status shows it. Strings are "" where it does not say. */
struct engine_info {
    char version[64];
    char storage_driver[ENGINE_NAME_SIZE];
    char cgroup_version[4];
    char runc[64];
    char runc_build[64];                                  /* what that was built from */
    char kernel[64];                                      /* of the engine's host */
    char runtimes[ENGINE_RUNTIMES_MAX][ENGINE_NAME_SIZE]; /* "" beyond the last */
    unsigned runtime_lacks[ENGINE_RUNTIMES_MAX];          /* enum engine_lacks, of each */
    char gpu_runtime[8];  /* how it gives out GPUs: "nvidia" or "cdi"; "" if it cannot */
    char full_network[8]; /* what containers of network Full get: "bridge"; "proxy" while the policy
                             blocks domains; "none" where the bridge cannot be had */
    char full_trouble[ENGINE_TROUBLE_SIZE]; /* why that is "none"; "" if it is not */
    char unlimited[16]; /* what its kernel cannot limit, so that nothing runs; "": nothing */
    bool disk_enforced; /* the storage driver limits a container's disk */
};

/* A container to make. */
struct engine_spec {
    char id[CONTAINER_ID_SIZE];
    char owner[OWNER_SIZE];
    char workspace[NAME_SIZE]; /* the name of the owner's workspace; unused with ACCESS_NONE */
    char image[IMAGE_SIZE];
    char runtime[RUNTIME_SIZE];
    int64_t uid, gid; /* of its commands, on the host */
    enum access workspace_access;
    enum network network;
    struct limits limits;
    int64_t gpu_mask; /* bit N: it gets GPU N */
};

/* A container of this instance that the engine, or a directory of the broker's, knows. */
struct engine_container {
    char id[CONTAINER_ID_SIZE];
    bool exists; /* the engine has it; false: only leftovers on disk */
    bool running;
    int64_t disk_bytes; /* of its writable layer; -1 unless asked for */
};

/* What a container uses now. */
struct engine_stats {
    bool running;       /* false: the figures are 0 */
    double cpu_percent; /* 100 = one core, over the last moments */
    double memory_mb;   /* without reclaimable file cache */
    int64_t processes;  /* tasks of commands, the guest's own left out */
};

/* A line to the engine for one thread; it connects with each call. NULL on ENOMEM. */
struct engine *engine_new(const char *state_dir);

/* Free it. */
void engine_free(struct engine *e);
CLEANUP_FN(struct engine *, engine_free)

/* The engine's facts (10 s). */
int engine_info(struct engine *e, struct engine_info *ret, struct error *err);

/*
 * Make the container and start it, with its workspace attached; returns when its guest listens (120
 * s). Anything left of an earlier attempt with this id is removed first. On failure nothing is
 * left. Also ERR_TEMPLATE_NOT_READY: the engine does not have the image.
 */
int engine_create(struct engine *e, const struct engine_spec *spec, struct error *err);

/*
 * As engine_create(), for the pool: @spec has no owner and no workspace, and its uid is the last of
 * the settings' range.
 */
int engine_warm(struct engine *e, const struct engine_spec *spec, struct error *err);

/*
 * Give a container of the pool, which runs, to its owner: the workspace of @spec appears inside,
 * and its home is theirs (30 s). A failure may leave it half given: it is to be removed. Also
 * ERR_NOT_FOUND: it does not run, or is somebody's.
 */
int engine_adopt(struct engine *e, const struct engine_spec *spec, struct error *err);

/*
 * A hash of all that this program gives its containers whatever their specs say: system calls,
 * capabilities, mounts, the guest's arguments; hex. Errors: ERR_INTERNAL.
 */
int engine_posture(char ret[ENGINE_POSTURE_SIZE], struct error *err);

/* The engine's id of what @image refers to now (15 s). Also ERR_TEMPLATE_NOT_READY. */
int engine_image_id(struct engine *e, const char *image, char ret[ENGINE_IMAGE_ID_SIZE],
                    struct error *err);

/* Start a stopped one, workspace attached; returns when its guest listens (120 s). Running is fine.
 * Also ERR_NOT_FOUND, and ERR_QUOTA_EXCEEDED: its files take more than its disk limit. */
int engine_start(struct engine *e, const struct engine_spec *spec, struct error *err);

/* Stop it; its commands are killed (60 s). Stopped is fine. Also ERR_NOT_FOUND. */
int engine_stop(struct engine *e, const char *id, struct error *err);

/* Remove it and all that is private to it; the workspace stays (120 s). Missing is fine. */
int engine_remove(struct engine *e, const char *id, struct error *err);

/*
 * All of this instance's containers and leftovers (60 s), with disk use if @disk (180 s). *ret is
 * an array of *ret_count that the caller frees.
 */
int engine_list(struct engine *e, bool disk, struct engine_container **ret, size_t *ret_count,
                struct error *err);

/* One container's state and disk use (60 s). Also ERR_NOT_FOUND. */
int engine_inspect(struct engine *e, const char *id, struct engine_container *ret,
                   struct error *err);

/* What a container's own files take, as far as the engine does not see to the limit itself. */
struct engine_disk {
    bool over;     /* the limit of bytes, or that of files: one for 16 KiB */
    int64_t bytes; /* of as many files as were counted; over the limit, nothing more is */
    int64_t files;
};

/* Measure the disk use of container @id against a limit (60 s). Also ERR_NOT_FOUND. */
int engine_disk(struct engine *e, const char *id, int64_t limit_mb, struct engine_disk *ret,
                struct error *err);

/* What a container got of its tier's limits. */
struct engine_fit {
    struct limits limits; /* those of the tier: cpu_cores, memory_mb and max_processes count */
    bool memory_kept;     /* but not the memory: so much of it is in use that its limit stays */
    int64_t used_mb;      /* how much, if it is kept */
};

/*
 * Give container @id, running or not, the CPU time, the memory and the processes that the broker's
 * settings have for the tier @tier (60 s). Also ERR_NOT_FOUND; ERR_VALIDATION also where the broker
 * knows no such tier (yet).
 */
int engine_refit(struct engine *e, const char *id, const char *tier, struct engine_fit *ret,
                 struct error *err);

/*
 * What @count (at most ENGINE_STATS_MAX) containers use now (30 s), read in one go: ids in @ids,
 * figures in the same places of @ret.
 */
int engine_stats(struct engine *e, const char (*ids)[CONTAINER_ID_SIZE], size_t count,
                 struct engine_stats *ret, struct error *err);

/* An image as the engine has it. */
struct engine_image {
    bool exists;
    int64_t size_bytes; /* 0 if it does not exist */
};

/* What @count images (references in @references) are (60 s), in the same places of @ret. */
int engine_images(struct engine *e, const char (*references)[IMAGE_SIZE], size_t count,
                  struct engine_image *ret, struct error *err);

/* A template's image. */
struct engine_template {
    char name[NAME_SIZE];   /* of the template; "" for one of templates.yaml that has an image */
    char image[IMAGE_SIZE]; /* the reference that it is made from; "" if there is none */
};

/* Where the image in service of the template @name is: "sandbox-template-INSTANCE:NAME". */
void engine_template_reference(const char *instance, const char *name, char out[IMAGE_SIZE]);

/*
 * Put the image @t->image, which the engine has, into the service of the template @t->name (60 s).
 * Also ERR_NOT_FOUND (it has no such image), ERR_CONFLICT (it is not one to make a template of: a
 * snapshot, or another installation's).
 */
int engine_image_adopt(struct engine *e, const struct engine_template *t, struct error *err);

/*
 * Takes the next @len bytes of a job's log: whole UTF-8 characters, no control characters but
 * newline and tab. It is also called several times a second with @len 0 while nothing comes. A
 * negative return ends the job.
 */
typedef int (*engine_log_fn)(void *arg, const char *text, size_t len);

/*
 * Pull @t->image, and put it into the service of @t->name if that is not "". It takes as long as
 * builds.timeout_seconds at most; what was in service stays so on failure. Also ERR_CONFLICT as
 * above, or where @log ended it.
 */
int engine_image_pull(struct engine *e, const struct engine_template *t, engine_log_fn log,
                      void *log_arg, struct error *err);

/*
 * Build an image and put it into the service of the template @name, as engine_image_pull(). The
 * context is a tar in the sealed memfd @context_fd, which stays the caller's.
 */
int engine_image_build(struct engine *e, const char *name, int context_fd, engine_log_fn log,
                       void *log_arg, struct error *err);

/*
 * Take the image of the template @t->name out of service, and remove the pulled one that it was
 * made from, @t->image if that is not "", unless templates.yaml names it or something uses it (120
 * s). Missing is fine.
 */
int engine_image_discard(struct engine *e, const struct engine_template *t, struct error *err);

/*
 * Make snapshot @snapshot_id of container @id, running (its processes are frozen meanwhile) or
 * stopped (360 s): all its files but those of the workspace, of /tmp and of its image's VOLUMEs,
 * with what Docker's layers keep of them: modes, owners, times to the second, links, capabilities.
 * *ret_size_bytes is what it takes by itself. On failure nothing is left, but what a broken
 * connection hides. Also ERR_NOT_FOUND, and ERR_CONFLICT: too many lie upon each other.
 */
int engine_snapshot_create(struct engine *e, const char *id, const char *snapshot_id,
                           int64_t *ret_size_bytes, struct error *err);

/*
 * Remove the snapshot (180 s). Missing is fine; one that a container stands on stays in the engine,
 * and in engine_snapshot_list(), until it can be removed.
 */
int engine_snapshot_remove(struct engine *e, const char *snapshot_id, struct error *err);

/* The snapshots that the engine has (90 s), one id perhaps more than once. *ret is an array of
 * *ret_count that the caller frees. */
int engine_snapshot_list(struct engine *e, char (**ret)[SNAPSHOT_ID_SIZE], size_t *ret_count,
                         struct error *err);

/*
 * Give container @spec (its image aside) the files of its snapshot @snapshot_id, and start it;
 * returns when its guest listens (360 s). Its commands are killed. On failure it is as before, but
 * stopped. Also ERR_CONFLICT: the engine does not have the snapshot any more.
 */
int engine_rollback(struct engine *e, const struct engine_spec *spec, const char *snapshot_id,
                    struct error *err);

#endif
