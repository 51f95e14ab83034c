/* Templates: see template.h. */
#include "backend/template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/engine.h"
#include "backend/store/store.h"

const char *const template_source_names[] = {"yaml", "api", NULL};
const char *const template_status_names[] = {"ready",   "absent", "building",
                                             "pulling", "failed", NULL};

static void
from_yaml(const struct backend *b, const struct template_entry *e, struct template *ret)
{
    *ret = (struct template){
        .source = TEMPLATE_YAML,
        .is_default = e->is_default,
        .gpus = e->gpus,
    };
    snprintf(ret->name, sizeof(ret->name), "%s", e->name);
    snprintf(ret->image, sizeof(ret->image), "%s", e->image ? e->image : "");
    if (e->image)
        snprintf(ret->service, sizeof(ret->service), "%s", e->image);
    else
        engine_template_reference(b->context->instance, e->name, ret->service);
}

static void
from_row(const struct backend *b, const struct template_row *row, struct template *ret)
{
    *ret = (struct template){
        .source = TEMPLATE_API,
        .created_at_ms = row->created_at_ms,
        .updated_at_ms = row->updated_at_ms,
    };
    snprintf(ret->name, sizeof(ret->name), "%s", row->name);
    snprintf(ret->image, sizeof(ret->image), "%s", row->image);
    engine_template_reference(b->context->instance, row->name, ret->service);
}

int
template_find(struct backend *b, const char *name, struct template *ret, struct error *err)
{
    const struct template_entry *e = settings_template(b->settings, name);
    struct template_row row = {0};
    struct store *store = NULL;
    int r;

    if (e) {
        from_yaml(b, e, ret);
        return 0;
    }
    if (!name)
        return error_set(err, ERR_NOT_FOUND, "no template is the default");
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_template_get(store, name, &row, err);
    if (r == 0 && row.removing)
        r = error_set(err, ERR_NOT_FOUND, "there is no such template");
    if (r == 0)
        from_row(b, &row, ret);
    template_row_done(&row);
    return r;
}

int
template_place(struct backend *b, const struct placement *where, struct container *ret,
               struct error *err)
{
    struct placement p = *where;
    struct template_entry entry;
    struct template found;
    struct error missing = {0};
    int r = template_find(b, where->template_name, &found, &missing);

    if (r == 0) {
        entry = (struct template_entry){
            .name = found.name,
            .image = found.service,
            .is_default = found.is_default,
            .gpus = found.gpus,
        };
        p.template = &entry;
    } else if (r != -ENOENT) {
        *err = missing;
        return r;
    }
    return placement_plan(b->settings, &p, ret, err);
}

/* By what the engine has (@image) and how the last job stands (NULL: there was none). */
static void
judge(struct template *t, const struct engine_image *image, const struct job *job)
{
    bool going = job && (job->status == JOB_QUEUED || job->status == JOB_RUNNING);

    t->size_bytes = image->size_bytes;
    if (job && job->status == JOB_FAILED)
        snprintf(t->error, sizeof(t->error), "%s", job->error);
    if (t->source == TEMPLATE_YAML && job && job->status == JOB_DONE)
        t->updated_at_ms = job->finished_at_ms;
    if (going)
        t->status = job->kind == JOB_BUILD ? TEMPLATE_BUILDING : TEMPLATE_PULLING;
    else if (image->exists)
        t->status = TEMPLATE_READY;
    else
        t->status = t->error[0] ? TEMPLATE_FAILED : TEMPLATE_ABSENT;
}

static const struct job *
find_job(const struct job *jobs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(jobs[i].template_name, name) == 0)
            return &jobs[i];
    return NULL;
}

/* Fill in the state of @count templates: the engine and the store are each asked once. */
static int
measure(struct backend *b, struct template *list, size_t count, struct error *err)
{
    _cleanup_(freep) char(*references)[IMAGE_SIZE] = calloc(count + 1, sizeof(*references));
    _cleanup_(freep) struct engine_image *images = calloc(count + 1, sizeof(*images));
    _cleanup_(freep) struct job *jobs = NULL;
    struct store *store = NULL;
    size_t job_count = 0;
    int r;

    if (!references || !images)
        return error_errno(err, ENOMEM, "templates");
    for (size_t i = 0; i < count; i++)
        snprintf(references[i], IMAGE_SIZE, "%s", list[i].service);
    /* The jobs first: one that ends meanwhile is shown as going on, not as one without an image. */
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_job_list(store, &jobs, &job_count, err);
    if (r == 0)
        r = engine_images(b->engine, (const char(*)[IMAGE_SIZE])references, count, images, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        judge(&list[i], &images[i], find_job(jobs, job_count, list[i].name));
    return r;
}

int
template_list(struct backend *b, struct template **ret, size_t *ret_count, struct error *err)
{
    const struct template_entry *entries = b->settings->templates.items;
    _cleanup_(freep) struct template *list = NULL;
    struct template_row *rows = NULL;
    struct store *store = NULL;
    size_t row_count = 0, count = 0;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_template_list(store, &rows, &row_count, err);
    if (r < 0)
        return r;
    list = calloc(b->settings->templates.count + row_count + 1, sizeof(*list));
    for (size_t i = 0; list && i < b->settings->templates.count; i++)
        from_yaml(b, &entries[i], &list[count++]);
    for (size_t i = 0; list && i < row_count; i++)
        if (!rows[i].removing && !settings_template(b->settings, rows[i].name))
            from_row(b, &rows[i], &list[count++]);
    store_template_list_free(rows, row_count);
    r = list ? measure(b, list, count, err) : error_errno(err, ENOMEM, "templates");
    if (r < 0)
        return r;
    *ret = TAKE(list);
    *ret_count = count;
    return 0;
}

int
template_get(struct backend *b, const char *name, struct template *ret, struct error *err)
{
    int r = template_find(b, name, ret, err);

    return r < 0 ? r : measure(b, ret, 1, err);
}

int
template_log(struct backend *b, const char *name, char **ret, struct error *err)
{
    struct template t;
    struct store *store = NULL;
    int r = template_find(b, name, &t, err);

    if (r == 0)
        r = backend_store(b, &store, err);
    return r < 0 ? r : store_job_log_get(store, name, ret, err);
}
