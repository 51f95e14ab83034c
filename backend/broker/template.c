/*
 * The broker's operations on templates' images. What is in service of a template is a tag of this
 * instance's own repository; it is moved only when the new image is there and fit for it, so that a
 * pull or build that fails changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/broker/operations.h"
#include "backend/config/names.h"
#include "backend/docker/credentials.h"

enum { TAR_OVERHEAD = 2, SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK };

bool
broker_is_template_image(const struct broker *b, const char *image)
{
    char repository[IMAGE_SIZE];

    engine_template_reference(b->context->instance, "", repository);
    return strncmp(image, repository, strlen(repository)) == 0 &&
           name_is_template(image + strlen(repository));
}

int
broker_check_template(const struct engine_template *t, bool needs_name, bool needs_image,
                      struct error *err)
{
    if ((needs_name || t->name[0]) && !name_is_template(t->name))
        return error_set(err, ERR_VALIDATION, "the broker does not accept this template");
    if ((needs_image || t->image[0]) && !name_is_image(t->image))
        return error_set(err, ERR_VALIDATION, "the broker does not accept this image");
    return 0;
}

int
broker_images(struct docker *d, const char (*references)[IMAGE_SIZE], size_t count,
              struct engine_image *ret, struct error *err)
{
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        ret[i] = (struct engine_image){0};
        r = docker_image_inspect(d, references[i], NULL, &ret[i].size_bytes, err);
        ret[i].exists = r == 0;
        if (r == -ENOENT) {
            error_clear(err);
            r = 0;
        }
    }
    return r;
}

/* Refuse what no template may be made of: snapshots hold a tenant's files, and another
 * installation's images are its own. */
static int
check_labels(const struct broker *b, struct docker *d, const char *id, struct error *err)
{
    json_auto_t *labels = NULL;
    const json_t *instance;
    int r = docker_image_config(d, id, NULL, &labels, err);

    if (r < 0)
        return r;
    instance = json_object_get(labels, "sandbox.instance");
    if (json_object_get(labels, "sandbox.snapshot"))
        return error_set(err, ERR_CONFLICT, "the image is a snapshot, not one for a template");
    if (instance && (!json_is_string(instance) ||
                     strcmp(json_string_value(instance), b->context->instance) != 0))
        return error_set(err, ERR_CONFLICT, "the image belongs to another installation");
    return 0;
}

/* Move the tag of the template @name to the image @id; the image that it was at goes, if nothing
 * uses it any more. */
static int
put_into_service(const struct broker *b, struct docker *d, const char *name, const char *id,
                 struct error *err)
{
    char reference[IMAGE_SIZE], old[DOCKER_IMAGE_ID_SIZE] = "";
    char *colon;
    int r;

    engine_template_reference(b->context->instance, name, reference);
    docker_image_inspect(d, reference, old, NULL, NULL);
    colon = strchr(reference, ':');
    *colon = '\0';
    r = docker_image_tag(d, id, reference, name, err);
    if (r == 0 && old[0] && strcmp(old, id) != 0)
        docker_image_remove(d, old, NULL);
    return r;
}

int
broker_image_adopt(struct broker *b, struct docker *d, const struct engine_template *t,
                   struct error *err)
{
    char id[DOCKER_IMAGE_ID_SIZE];
    int r = docker_image_inspect(d, t->image, id, NULL, err);

    if (r == 0)
        r = check_labels(b, d, id, err);
    return r < 0 ? r : put_into_service(b, d, t->name, id, err);
}

/* A long operation. Lifetime: scope. */
struct work {
    struct settings *settings; /* a reference */
    struct docker_credentials *credentials;
    char *header; /* owned */
    struct docker_work how;
    int64_t since_ms; /* monotonic */
};

static void
work_done(struct work *w)
{
    docker_credentials_wipe(&w->header);
    docker_credentials_free(w->credentials);
    settings_unref(w->settings);
}

/* Begin by the settings in force; @image names the registry that is asked, NULL: any may be. */
static int
work_begin(const struct broker *b, struct work *w, const char *image, docker_log_fn log,
           void *log_arg, struct error *err)
{
    unsigned generation;
    int r;

    *w = (struct work){
        .settings = current_get(b->context->current, &generation),
        .since_ms = time_monotonic_ms(),
    };
    w->how = (struct docker_work){
        .timeout_ms = (long)w->settings->builds.timeout_seconds * 1000,
        .log = log,
        .log_arg = log_arg,
    };
    r = docker_credentials_read(w->settings->builds.credentials, &w->credentials, err);
    if (r == 0)
        r = image ? docker_credentials_auth(w->credentials, image, &w->header, err)
                  : docker_credentials_config(w->credentials, &w->header, err);
    w->how.auth_header = w->header;
    return r;
}

/* A time-out that is the job's own, said as such. */
static int
work_result(const struct work *w, int r, struct error *err)
{
    if (r != -EHOSTDOWN || time_monotonic_ms() - w->since_ms < w->how.timeout_ms)
        return r;
    error_clear(err);
    return error_set(err, ERR_DOCKER,
                     "it took longer than %lld seconds, which is builds.timeout_seconds",
                     (long long)w->settings->builds.timeout_seconds);
}

int
broker_pull(struct broker *b, struct docker *d, const struct engine_template *t, docker_log_fn log,
            void *log_arg, struct error *err)
{
    _cleanup_(work_done) struct work w = {0};
    char id[DOCKER_IMAGE_ID_SIZE];
    bool new_here = docker_image_inspect(d, t->image, NULL, NULL, NULL) == -ENOENT;
    int r;

    r = work_begin(b, &w, t->image, log, log_arg, err);
    if (r == 0)
        r = work_result(&w, docker_image_pull(d, t->image, &w.how, err), err);
    if (r == 0)
        r = docker_image_inspect(d, t->image, id, NULL, err);
    if (r < 0)
        return r;
    r = check_labels(b, d, id, err);
    if (r < 0 && new_here)
        docker_image_remove(d, t->image, NULL);
    return r < 0 || !t->name[0] ? r : put_into_service(b, d, t->name, id, err);
}

/* The context must be a file that nobody can change any more, and not a larger one than allowed. */
static int
check_context(const struct work *w, int fd, struct error *err)
{
    int64_t most = (w->settings->builds.context_mb + TAR_OVERHEAD) << 20;
    struct stat st;
    int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size > most ||
        lseek(fd, 0, SEEK_SET) != 0)
        return error_set(err, ERR_VALIDATION, "the broker does not accept this build context");
    return 0;
}

static int
build(struct broker *b, struct docker *d, const struct engine_template *t, int context_fd,
      const struct work *w, char ret_id[DOCKER_IMAGE_ID_SIZE], struct error *err)
{
    json_auto_t *labels = json_pack("{s:s, s:s}", "sandbox.instance", b->context->instance,
                                    "sandbox.template", t->name);
    const struct docker_build spec = {
        .context_fd = context_fd,
        .labels = labels,
        .memory_mb = w->settings->builds.memory_mb,
        .network = w->settings->builds.network,
    };

    if (!labels)
        return error_errno(err, ENOMEM, "labels");
    return work_result(w, docker_image_build(d, &spec, &w->how, ret_id, err), err);
}

int
broker_build(struct broker *b, struct docker *d, const struct engine_template *t, int context_fd,
             docker_log_fn log, void *log_arg, struct error *err)
{
    _cleanup_(work_done) struct work w = {0};
    char id[DOCKER_IMAGE_ID_SIZE] = "";
    int r;

    r = work_begin(b, &w, NULL, log, log_arg, err);
    if (r == 0)
        r = check_context(&w, context_fd, err);
    if (r == 0)
        r = build(b, d, t, context_fd, &w, id, err);
    if (r < 0)
        return r;
    r = check_labels(b, d, id, err);
    if (r < 0)
        docker_image_remove(d, id, NULL);
    return r < 0 ? r : put_into_service(b, d, t->name, id, err);
}

/* Whether templates.yaml names this image. */
static bool
named_by_settings(const struct broker *b, const char *image)
{
    unsigned generation;
    _cleanup_(settings_unrefp) struct settings *s = current_get(b->context->current, &generation);
    const struct template_entry *templates = s->templates.items;

    for (size_t i = 0; i < s->templates.count; i++)
        if (templates[i].image && strcmp(templates[i].image, image) == 0)
            return true;
    return false;
}

int
broker_discard(struct broker *b, struct docker *d, const struct engine_template *t,
               struct error *err)
{
    char reference[IMAGE_SIZE];
    int r;

    engine_template_reference(b->context->instance, t->name, reference);
    r = docker_image_untag(d, reference, err);
    /* What somebody else's containers are made from stays: Docker refuses to remove it. */
    if (r == 0 && t->image[0] && !named_by_settings(b, t->image))
        docker_image_remove(d, t->image, NULL);
    return r;
}
