/*
 * The Docker Engine API, as much of it as the broker needs. A `struct docker` is one thread's
 * kept-alive connection. Every call has a timeout and a ceiling for the answer. Paths carry the API
 * version that was negotiated (the engine's, at most DOCKER_API_MAX); it is negotiated again after
 * the connection was lost, so that an upgraded engine is followed.
 *
 * Errors of every call: ERR_DOCKER_DOWN (cannot connect, timed out, cut off; retry_after_seconds
 * set), ERR_DOCKER (the engine refused; the sentence holds its own message), ERR_NOT_FOUND (its
 * 404), ERR_CONFLICT (its 409), ERR_INTERNAL (an answer that is not what the API promises),
 * ERR_VALIDATION (an id, name, reference or limit that cannot be one; nothing was sent).
 */
#ifndef BACKEND_DOCKER_DOCKER_H
#define BACKEND_DOCKER_DOCKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/error.h"

#define DOCKER_API_MAX "1.52"
#define DOCKER_API_MIN "1.41"

enum { DOCKER_ID_SIZE = 65, DOCKER_IMAGE_ID_SIZE = 80 };

struct docker;

/* What a runtime is kept from by its arguments, as bits. */
enum docker_lacks {
    DOCKER_LACKS_CREATE = 1, /* making unix sockets on the host, such as the guest's */
    DOCKER_LACKS_OPEN = 2,   /* connecting to those of the host, such as the egress proxy's */
    DOCKER_LACKS_NETWORK = 4 /* interfaces other than the loopback */
};

/* What GET /version and GET /info say. Strings are "" where the engine does not say. */
struct docker_info {
    char version[64];
    char api_version[16]; /* the one negotiated */
    char storage_driver[32];
    char root_dir[512];          /* where on its machine it keeps everything */
    char backing_filesystem[32]; /* under overlay2: "extfs", "xfs", ... */
    char cgroup_version[4];      /* "1" or "2" */
    char runtimes[8][32];        /* names, "" beyond the last */
    unsigned runtime_lacks[8];   /* enum docker_lacks, of each: gVisor's alone say so */
    char runc_version[64];
    char runc_build[64];     /* what it was built from: a package's version, or a commit */
    char kernel_version[64]; /* of the engine's host */
    char gpu_runtime[8];     /* how GPUs are given out: "nvidia", "cdi" or "" */
    bool remaps_users;       /* root of a container is another uid on the host (userns-remap) */
    uid_t root_uid;          /* which one; 0 unless it remaps users, or if it does not say */
    gid_t root_gid;
    char unlimited[16];    /* what the kernel cannot limit: "swap", "processes", ...; "": nothing */
    bool storage_opt_size; /* the driver can limit a container's disk (btrfs, zfs) */
};

/*
 * A container to make. Everything is borrowed for the call. Limits that are 0 or less are refused,
 * since Docker would read "no limit" in them; runtime, hostname, binds and labels may be NULL.
 */
struct docker_create {
    const char *name;
    const char *image; /* reference or id */
    const char *runtime;
    const char *hostname;
    const char *const *entrypoint; /* NULL-terminated */
    const char *const *binds;      /* NULL-terminated "source:target[:options]" */
    json_t *labels;                /* object of strings */
    double cpu_cores;
    int64_t memory_mb;
    int64_t pids_limit;      /* of the whole container */
    int64_t disk_mb;         /* 0: the driver cannot limit it */
    const char *network;     /* the name of a docker_network; NULL or "": none at all */
    const char *const *dns;  /* NULL-terminated addresses of nameservers; unused without network */
    int64_t gpu_mask;        /* bit N: it gets GPU N; 0: none */
    const char *gpu_runtime; /* as in docker_info; unused without GPUs */
    bool cgroup_v1;          /* the engine's host has cgroup v1 */
};

struct docker_container {
    char id[DOCKER_ID_SIZE];
    char name[80]; /* without the leading slash; "" if none */
    bool running;
    bool oom_killed;                  /* inspect only */
    int pid;                          /* of PID 1 on the host, 0 if not running; inspect only */
    char image[DOCKER_IMAGE_ID_SIZE]; /* id of its image; inspect only */
    int64_t size_rw; /* bytes of the writable layer; -1 unless sizes were asked for */
    json_t *labels;  /* owned object; NULL if none */
};

/* Figures of one moment, from cgroup v1 and v2 answers alike. */
struct docker_stats {
    uint64_t cpu_ns;       /* CPU time used so far */
    uint64_t memory_bytes; /* in use, without the reclaimable file cache */
    uint64_t pids;
};

/*
 * A connection to the engine at @host ("unix:///path" or "tcp://host:port"), not yet opened.
 * Errors: ERR_VALIDATION for a host of another kind, ERR_INTERNAL.
 */
int docker_new(const char *host, struct docker **ret, struct error *err);

/* Close it. */
void docker_free(struct docker *d);
CLEANUP_FN(struct docker *, docker_free)

/* GET /version (5 s): only version and api_version are set. */
int docker_version(struct docker *d, struct docker_info *ret, struct error *err);

/* GET /info and GET /version (10 s). */
int docker_info(struct docker *d, struct docker_info *ret, struct error *err);

/* As docker_info(), but its answer of up to 60 s ago will do, unless the connection was lost since.
 */
int docker_info_recent(struct docker *d, struct docker_info *ret, struct error *err);

/*
 * ContainerCreate (60 s) with the posture that every container of ours has: read create.c. The
 * engine is asked at once (ContainerInspect, 10 s) what it made; a container that is not as asked
 * is removed, and that is an ERR_DOCKER whose sentence names the field. On success @ret_id holds
 * the engine's id. ERR_CONFLICT: the name is taken. ERR_NOT_FOUND: no such image.
 */
int docker_container_create(struct docker *d, const struct docker_create *spec,
                            char ret_id[DOCKER_ID_SIZE], struct error *err);

/* The body of that call, as JSON text: all that a container of @spec is made by. The caller frees
 * it; NULL where memory is short. */
char *docker_create_text(const struct docker_create *spec);

/* ContainerStart (60 s). Already running is fine. */
int docker_container_start(struct docker *d, const char *id, struct error *err);

/* ContainerStop: TERM, then KILL after @grace_seconds (the call may take 30 s longer). Stopped is
 * fine. */
int docker_container_stop(struct docker *d, const char *id, int grace_seconds, struct error *err);

/* ContainerKill with SIGKILL (30 s). Not running is fine. */
int docker_container_kill(struct docker *d, const char *id, struct error *err);

/* ContainerDelete with force and volumes (60 s). Missing is fine, and so is a removal under way. */
int docker_container_remove(struct docker *d, const char *id, struct error *err);

/* ContainerRename (30 s). ERR_CONFLICT: another one has that name. */
int docker_container_rename(struct docker *d, const char *id, const char *name, struct error *err);

/* ContainerInspect (10 s); @size asks for size_rw, which can take long (60 s). */
int docker_container_inspect(struct docker *d, const char *id, bool size,
                             struct docker_container *ret, struct error *err);

/*
 * ContainerList (30 s; 120 s with @size) of all containers, running or not, that carry @label
 * ("key=value"). *ret is an array of *ret_count that docker_container_list_free() frees.
 */
int docker_container_list(struct docker *d, const char *label, bool size,
                          struct docker_container **ret, size_t *ret_count, struct error *err);
void docker_container_list_free(struct docker_container *list, size_t count);

/* Where on the engine's machine a container's files are. Initialise with {0}. */
struct docker_places {
    char
        *layer; /* the directory with what it has changed of its image; NULL: the driver has none */
    char **volumes; /* the directories of its image's volumes */
    size_t volume_count;
    pid_t pid; /* of its PID 1; 0: it does not run */
};

/* ContainerInspect (10 s). The caller frees by docker_places_done(). */
int docker_container_places(struct docker *d, const char *id, struct docker_places *ret,
                            struct error *err);
void docker_places_done(struct docker_places *p);

/* Limits that a container is to have from now on. Each that is 0 stays as it is. */
struct docker_limits {
    double cpu_cores;
    int64_t memory_mb;
    int64_t pids_limit; /* of the whole container */
};

/*
 * ContainerUpdate (30 s), of a container that runs or not. ERR_DOCKER: also where the kernel does
 * not take a limit, such as less memory than is in use; then none is changed.
 */
int docker_container_update(struct docker *d, const char *id, const struct docker_limits *limits,
                            struct error *err);

/* Free what an inspected container owns. */
void docker_container_done(struct docker_container *c);

/* A bridge network of one host. */
struct docker_network {
    char name[80];
    char bridge[16]; /* the name of its interface on the host */
    char driver[16]; /* inspect only: "bridge" */
    bool icc;        /* inspect only: the engine lets containers reach each other */
    bool ipv6;       /* inspect only */
};

/*
 * NetworkCreate (30 s): @spec's name and bridge, with @labels (an object of strings), a subnet of
 * the engine's choice, no IPv6, no traffic between its containers, and no masquerading by the
 * engine. ERR_CONFLICT: the name is taken.
 */
int docker_network_create(struct docker *d, const struct docker_network *spec, json_t *labels,
                          struct error *err);

/* NetworkInspect (10 s). *ret_labels is the caller's object. ERR_NOT_FOUND: there is none. */
int docker_network_inspect(struct docker *d, const char *name, struct docker_network *ret,
                           json_t **ret_labels, struct error *err);

/* ContainerStats, one shot, not streamed (10 s). */
int docker_container_stats(struct docker *d, const char *id, struct docker_stats *ret,
                           struct error *err);

/* ImageInspect (10 s): the image's id ("sha256:…") and size in bytes. Either return may be NULL. */
int docker_image_inspect(struct docker *d, const char *reference, char ret_id[80],
                         int64_t *ret_size, struct error *err);

/*
 * ImageCreate (300 s) from a tar of a root file system that is read from @tar_fd to its end; then
 * the image is @repository:@tag. The descriptor should be a file: where read(2) on it blocks, the
 * timeout does not count. It stays the caller's.
 */
int docker_image_import(struct docker *d, int tar_fd, const char *repository, const char *tag,
                        struct error *err);

/*
 * ImageCommit (300 s) of container @id as the image @repository:@tag, whose config has @labels (an
 * object of strings) over the container's own. Its processes are frozen meanwhile, so that the
 * files are those of one moment; a stopped one is fine. ERR_CONFLICT: it is being removed.
 */
int docker_container_commit(struct docker *d, const char *id, const char *repository,
                            const char *tag, json_t *labels, struct error *err);

/* ImageInspect (10 s): how many layers it has, and its labels, the caller's object; either may be
 * NULL. */
int docker_image_config(struct docker *d, const char *reference, size_t *ret_layers,
                        json_t **ret_labels, struct error *err);

/* ImageHistory (30 s): bytes of the topmost layer alone. */
int docker_image_top_size(struct docker *d, const char *reference, int64_t *ret, struct error *err);

/* An image of a list. */
struct docker_image {
    char id[DOCKER_IMAGE_ID_SIZE]; /* "sha256:…" */
    json_t *tags;                  /* owned array of references "repository:tag" */
    json_t *labels;                /* owned object; NULL if none */
};

/*
 * ImageList (60 s) of the images that carry every label of @labels (NULL-terminated, "key=value"),
 * those without a tag included unless others are made from them. *ret is an array of *ret_count
 * that docker_image_list_free() frees.
 */
int docker_image_list(struct docker *d, const char *const *labels, struct docker_image **ret,
                      size_t *ret_count, struct error *err);
void docker_image_list_free(struct docker_image *list, size_t count);

/* ImageTag (30 s): @image (reference or id) is @repository:@tag from now on. */
int docker_image_tag(struct docker *d, const char *image, const char *repository, const char *tag,
                     struct error *err);

/*
 * ImageDelete (120 s) without force: takes away a tag, and with the last one the image and those of
 * its parents that have none either. Missing is fine. ERR_CONFLICT: a container, running or not,
 * or another image is made from it.
 */
int docker_image_remove(struct docker *d, const char *reference, struct error *err);

/* ImageDelete with force: takes the tag @reference away also while containers are made from the
 * image, which stays for them then. Missing is fine. */
int docker_image_untag(struct docker *d, const char *reference, struct error *err);

/*
 * Takes the next @len bytes of a log, whole UTF-8 characters without control characters but newline
 * and tab. @len 0: there is nothing new, but is the work still wanted? A negative return ends it.
 */
typedef int (*docker_log_fn)(void *arg, const char *text, size_t len);

/* How a pull or build is to be carried out. Everything is borrowed for the call. */
struct docker_work {
    long timeout_ms;         /* of the whole of it */
    const char *auth_header; /* of credentials.h; NULL or "": none */
    docker_log_fn log;       /* gets its progress as it happens */
    void *log_arg;
};

/*
 * ImageCreate from a registry. A reference without a tag means "latest". Also ERR_CONFLICT where
 * the log function ended it; the engine cancels the pull then.
 */
int docker_image_pull(struct docker *d, const char *reference, const struct docker_work *work,
                      struct error *err);

/* An image to build. */
struct docker_build {
    int context_fd;    /* a tar with a Dockerfile, at its start; as in docker_image_import() */
    json_t *labels;    /* object of strings */
    int64_t memory_mb; /* of each step */
    bool network;      /* whether steps have the engine's network */
};

/* ImageBuild: *ret_id is the new image, which has no tag. Errors as docker_image_pull(). */
int docker_image_build(struct docker *d, const struct docker_build *spec,
                       const struct docker_work *work, char ret_id[DOCKER_IMAGE_ID_SIZE],
                       struct error *err);

#endif
