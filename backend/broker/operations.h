/* What the broker does for its callers: one function an operation, on requests already checked. */
#ifndef BACKEND_BROKER_OPERATIONS_H
#define BACKEND_BROKER_OPERATIONS_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/broker/full.h"
#include "backend/broker/turns.h"
#include "backend/broker/usage.h"
#include "backend/docker/docker.h"
#include "backend/engine.h"

/* Lifetime: process. Read-only after start, but for what locks itself. */
struct broker {
    const struct service_context *context;
    char label[96]; /* "sandbox.instance=" and the instance's id */
    int state_fd;   /* the state directory, O_PATH */
    struct usage *usage;
    struct turns *turns; /* of operations on one container */
    struct full *full;   /* the network of tier Full */
};

/* Fill in @b for @context. */
int broker_init(struct broker *b, const struct service_context *context, struct error *err);

/* The operations of engine.h, as the broker carries them out. @d is the calling thread's. */

/* @b may be NULL, outside of the service: then nothing is known of the network of tier Full. */
int broker_info(const struct broker *b, struct docker *d, struct engine_info *ret,
                struct error *err);
int broker_create(struct broker *b, struct docker *d, const struct engine_spec *spec,
                  struct error *err);
int broker_start(struct broker *b, struct docker *d, const struct engine_spec *spec,
                 struct error *err);
int broker_stop(struct broker *b, struct docker *d, const char *id, struct error *err);
int broker_remove(struct broker *b, struct docker *d, const char *id, struct error *err);
int broker_inspect(struct broker *b, struct docker *d, const char *id, struct engine_container *ret,
                   struct error *err);
int broker_disk(struct broker *b, struct docker *d, const char *id, int64_t limit_mb,
                struct engine_disk *ret, struct error *err);
int broker_refit(struct broker *b, struct docker *d, const char *id, const char *tier,
                 struct engine_fit *ret, struct error *err);
int broker_list(struct broker *b, struct docker *d, bool disk, struct engine_container **ret,
                size_t *ret_count, struct error *err);
int broker_rollback(struct broker *b, struct docker *d, const struct engine_spec *spec,
                    const char *snapshot_id, struct error *err);
int broker_snapshot_create(struct broker *b, struct docker *d, const char *id,
                           const char *snapshot_id, int64_t *ret_size_bytes, struct error *err);
int broker_snapshot_remove(struct broker *b, struct docker *d, const char *snapshot_id,
                           struct error *err);
int broker_snapshot_list(struct broker *b, struct docker *d, char (**ret)[SNAPSHOT_ID_SIZE],
                         size_t *ret_count, struct error *err);

int broker_warm(struct broker *b, struct docker *d, const struct engine_spec *spec,
                struct error *err);
int broker_adopt(struct broker *b, struct docker *d, const struct engine_spec *spec,
                 struct error *err);
int broker_image_id(struct broker *b, struct docker *d, const char *image,
                    char ret[ENGINE_IMAGE_ID_SIZE], struct error *err);

/* What a spec is wanted for. SPEC_WARM has no owner yet; its uid is the range's last one. */
enum spec_use { SPEC_START, SPEC_ADOPT, SPEC_ROLLBACK, SPEC_CREATE, SPEC_WARM };

/* Operations on templates' images; see engine.h. @log gets the progress. */
int broker_images(struct docker *d, const char (*references)[IMAGE_SIZE], size_t count,
                  struct engine_image *ret, struct error *err);
int broker_image_adopt(struct broker *b, struct docker *d, const struct engine_template *t,
                       struct error *err);
int broker_pull(struct broker *b, struct docker *d, const struct engine_template *t,
                docker_log_fn log, void *log_arg, struct error *err);
int broker_build(struct broker *b, struct docker *d, const struct engine_template *t,
                 int context_fd, docker_log_fn log, void *log_arg, struct error *err);
int broker_discard(struct broker *b, struct docker *d, const struct engine_template *t,
                   struct error *err);

/* Whether @image is the reference of a template's image in service of this instance. */
bool broker_is_template_image(const struct broker *b, const char *image);

/* Whether @t is one that a worker or the builder may name: an image, a template, or both. Errors:
 * ERR_VALIDATION. */
int broker_check_template(const struct engine_template *t, bool needs_name, bool needs_image,
                          struct error *err);

/*
 * Whether @spec is one that a worker may ask for. Its runtime must be one that the YAML names,
 * unless it is there already, and its image, unless a snapshot stands for it. Errors:
 * ERR_VALIDATION.
 */
int broker_check_spec(struct broker *b, const struct engine_spec *spec, enum spec_use use,
                      struct error *err);

#endif
