/* Making, building, pulling and removing of templates: see template_act.h. */
#include "backend/template_act.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/change.h"
#include "backend/config/names.h"
#include "backend/context.h"
#include "backend/engine.h"
#include "backend/store/store.h"

enum { LOCK_WAIT_MS = 130000 }; /* longer than the slowest engine call that a holder makes */

/* What a change entry says of a template: not its files, which may be large. */
static json_t *
describe(const char *image, const char *dockerfile, const json_t *files)
{
    if (image && image[0])
        return json_pack("{s:s}", "image", image);
    return json_pack("{s:I, s:I}", "dockerfile_bytes",
                     (json_int_t)(dockerfile ? strlen(dockerfile) : 0), "files",
                     (json_int_t)json_object_size(files));
}

/* Leave the change entry of an act on the template @name; takes both references. */
static int
note(struct backend *b, const struct caller *caller, const char *name, json_t *before,
     json_t *after, struct error *err)
{
    const struct change change = {.template_name = name, .before = before, .after = after};
    int r = change_note(b, caller, &change, err);

    json_decref(before);
    json_decref(after);
    return r;
}

static int
check_spec(const struct backend *b, const struct template_spec *spec, struct error *err)
{
    if (!name_is_template(spec->name))
        error_violation(err, "/name",
                        "must have 1 to 63 lower-case letters, digits, '.', '_' and '-', and start "
                        "with a letter or digit");
    if (!spec->image && !spec->dockerfile)
        error_violation(err, "/image", "is required, or dockerfile instead");
    else if (spec->image && spec->dockerfile)
        error_violation(err, "/dockerfile", "may not be given together with image");
    else if (spec->image && spec->files)
        error_violation(err, "/files", "go with a dockerfile, not with an image");
    else if (spec->image && !name_is_image(spec->image))
        error_violation(err, "/image", "must be an image reference such as python:3.12-slim");
    else if (spec->dockerfile)
        context_check(spec->dockerfile, spec->files, b->settings->builds.context_mb, err);
    return err->code == ERR_NONE ? 0 : -EINVAL;
}

/* Order between whoever makes, removes, or finishes the removal of one name. */
static int
lock_name(struct backend *b, const char *name, pthread_mutex_t **ret, struct error *err)
{
    char key[NAME_SIZE + 16];

    snprintf(key, sizeof(key), "template:%s", name);
    return shared_lock(b->context->shared, SHARED_LOCK_SCOPE, key, LOCK_WAIT_MS, ret, err);
}

/* Put an image that the engine has into service; that it has none is fine. */
static int
adopt(struct backend *b, const struct template_spec *spec, struct error *err)
{
    struct engine_template t = {0};
    struct error found = {0};
    int r;

    snprintf(t.name, sizeof(t.name), "%s", spec->name);
    snprintf(t.image, sizeof(t.image), "%s", spec->image);
    r = engine_image_adopt(b->engine, &t, &found);
    if (r == 0 || r == -ENOENT)
        return 0;
    /* What Docker itself refuses here is a reference that cannot be one. */
    if (r == -EEXIST || r == -EREMOTEIO)
        return error_violation(err, "/image", "%.150s", found.msg);
    *err = found;
    return r;
}

/* Whether the template of this name was made by an earlier attempt of the caller's request. */
static bool
made_before(struct store *store, const struct caller *caller, const char *name)
{
    _cleanup_(template_row_done) struct template_row row = {0};

    return caller->nonce && store_template_get(store, name, &row, NULL) == 0 && !row.removing &&
           strcmp(row.nonce, caller->nonce) == 0;
}

/* The row first, then the image's tag. */
static int
insert(struct backend *b, struct store *store, const struct caller *caller,
       const struct template_spec *spec, struct error *err)
{
    _cleanup_(freep) char *files = spec->files ? json_dumps(spec->files, JSON_COMPACT) : NULL;
    _cleanup_(freep) char *dockerfile = spec->dockerfile ? strdup(spec->dockerfile) : NULL;
    struct template_row row = {
        .dockerfile = dockerfile,
        .files = files,
        .created_at_ms = time_now_ms(),
    };
    int r;

    if ((spec->files && !files) || (spec->dockerfile && !dockerfile))
        return error_errno(err, ENOMEM, "template");
    snprintf(row.name, sizeof(row.name), "%s", spec->name);
    snprintf(row.image, sizeof(row.image), "%s", spec->image ? spec->image : "");
    snprintf(row.nonce, sizeof(row.nonce), "%s", caller->nonce ? caller->nonce : "");
    r = store_template_insert(store, &row, err);
    if (r == -EEXIST && made_before(store, caller, spec->name)) {
        error_clear(err);
        r = 0;
    }
    if (r < 0 || !spec->image)
        return r;
    r = adopt(b, spec, err);
    if (r < 0)
        store_template_delete(store, spec->name, NULL);
    return r;
}

int
template_create(struct backend *b, const struct caller *caller, const struct template_spec *spec,
                struct template *ret, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    struct store *store = NULL;
    int r;

    r = check_spec(b, spec, err);
    if (r < 0)
        return r;
    if (settings_template(b->settings, spec->name))
        return error_set(err, ERR_CONFLICT, "templates.yaml has a template called '%s'",
                         spec->name);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = lock_name(b, spec->name, &lock, err);
    if (r == 0)
        r = insert(b, store, caller, spec, err);
    if (r == 0)
        r = note(b, caller, spec->name, NULL, describe(spec->image, spec->dockerfile, spec->files),
                 err);
    return r < 0 ? r : template_get(b, spec->name, ret, err);
}

/* Let the builder know that there is something to do; it looks by itself every second too. */
static void
wake_builder(const struct backend *b)
{
    pid_t builder = atomic_load(&b->context->shared->builder_pid);

    if (builder > 0)
        kill(builder, SIGUSR2);
}

/* Queue the job, if it is not what an earlier attempt of the caller's request has queued. */
static int
queue_once(struct store *store, const struct caller *caller, const char *name, enum job_kind kind,
           struct error *err)
{
    struct job last;

    if (caller->nonce && store_job_get(store, name, &last, NULL) == 0 &&
        strcmp(last.nonce, caller->nonce) == 0)
        return 0;
    return store_job_queue(store, name, kind, caller->nonce, time_now_ms(), err);
}

int
template_queue(struct backend *b, const struct caller *caller, const char *name, enum job_kind kind,
               struct template *ret, struct error *err)
{
    struct store *store = NULL;
    int r = template_find(b, name, ret, err);

    if (r < 0)
        return r;
    if (kind == JOB_BUILD && ret->image[0])
        return error_set(err, ERR_CONFLICT,
                         "template '%s' has an image, not a Dockerfile; pull it instead", name);
    if (kind == JOB_PULL && !ret->image[0])
        return error_set(err, ERR_CONFLICT,
                         "template '%s' has a Dockerfile, not an image; build it instead", name);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = queue_once(store, caller, name, kind, err);
    if (r < 0)
        return r;
    wake_builder(b);
    r = note(b, caller, name, NULL, json_pack("{s:s}", "job", job_kind_names[kind - 1]), err);
    if (r == 0)
        r = template_get(b, name, ret, err);
    /* It may have ended by now; the answer is about its beginning. */
    if (r == 0)
        ret->status = kind == JOB_BUILD ? TEMPLATE_BUILDING : TEMPLATE_PULLING;
    return r;
}

/* The image that goes with @row: one that was pulled for it, and that no other template names. */
static int
pulled_image(struct store *store, const struct template_row *row, char ret[IMAGE_SIZE],
             struct error *err)
{
    struct template_row *rows = NULL;
    struct job job = {0};
    size_t count = 0;
    int r = store_job_get(store, row->name, &job, err);
    bool ours = r == 0 && job.kind == JOB_PULL && job.status == JOB_DONE;

    ret[0] = '\0';
    if (r == -ENOENT) {
        error_clear(err);
        r = 0;
    }
    if (r == 0 && ours)
        r = store_template_list(store, &rows, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        ours = ours &&
               (strcmp(rows[i].name, row->name) == 0 || strcmp(rows[i].image, row->image) != 0);
    store_template_list_free(rows, count);
    if (r == 0 && ours)
        snprintf(ret, IMAGE_SIZE, "%s", row->image);
    return r;
}

/* Take the image out of service, then forget the row that says so. The caller has the name's lock.
 */
static int
finish_removal(struct backend *b, struct store *store, const struct template_row *row,
               struct error *err)
{
    struct engine_template t = {0};
    int r;

    snprintf(t.name, sizeof(t.name), "%s", row->name);
    r = pulled_image(store, row, t.image, err);
    if (r == 0)
        r = engine_image_discard(b->engine, &t, err);
    return r < 0 ? r : store_template_delete(store, row->name, err);
}

int
template_remove(struct backend *b, const struct caller *caller, const char *name, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    _cleanup_(template_row_done) struct template_row row = {0};
    struct store *store = NULL;
    json_auto_t *files = NULL;
    int r;

    if (settings_template(b->settings, name))
        return error_set(err, ERR_TEMPLATE_FROM_YAML,
                         "template '%s' is in templates.yaml; remove it there", name);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = lock_name(b, name, &lock, err);
    if (r == 0)
        r = store_template_removing(store, name, err);
    if (r == 0)
        r = store_template_source(store, name, &row, err);
    if (r == 0)
        r = finish_removal(b, store, &row, err);
    if (r < 0)
        return r;
    files = json_loads(row.files, 0, NULL);
    return note(b, caller, name, describe(row.image, row.dockerfile, files), NULL, err);
}

/* Finish one of them, if it is still to be done. */
static int
finish_one(struct backend *b, struct store *store, const char *name, struct error *err)
{
    _cleanup_(shared_unlock) pthread_mutex_t *lock = NULL;
    _cleanup_(template_row_done) struct template_row row = {0};
    int r = lock_name(b, name, &lock, err);

    if (r == 0)
        r = store_template_get(store, name, &row, err);
    if (r == 0 && row.removing)
        r = finish_removal(b, store, &row, err);
    if (r == -ENOENT) {
        error_clear(err);
        r = 0;
    }
    return r;
}

int
template_finish_removals(struct backend *b, struct error *err)
{
    struct template_row *rows = NULL;
    struct store *store = NULL;
    size_t count = 0;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_template_list(store, &rows, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (rows[i].removing)
            r = finish_one(b, store, rows[i].name, err);
    store_template_list_free(rows, count);
    return r;
}
