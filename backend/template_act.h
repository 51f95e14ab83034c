/* What callers may do to templates; each act leaves a change entry. What they are is in template.h.
 */
#ifndef BACKEND_TEMPLATE_ACT_H
#define BACKEND_TEMPLATE_ACT_H

#include <jansson.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"
#include "backend/template.h"

/* A template to make through the API: image or dockerfile. Everything is borrowed. */
struct template_spec {
    const char *name;
    const char *image;
    const char *dockerfile;
    json_t *files; /* path to text; NULL: none */
};

/*
 * Make a template. One by reference is ready at once if the engine has the image. On failure
 * nothing of it is left. A request that is carried on gets the one that it made. Errors:
 * ERR_VALIDATION, ERR_CONFLICT (the name is taken), those of engine.h.
 */
int template_create(struct backend *b, const struct caller *caller,
                    const struct template_spec *spec, struct template *ret, struct error *err);

/*
 * Queue a build or a pull; for a request that is carried on, only if its job is not the last one,
 * queued, running or ended. Errors: ERR_NOT_FOUND, ERR_CONFLICT (the template is not made that
 * way), ERR_JOB_RUNNING.
 */
int template_queue(struct backend *b, const struct caller *caller, const char *name,
                   enum job_kind kind, struct template *ret, struct error *err);

/*
 * Remove a template of the API with its image and its job. Errors: ERR_NOT_FOUND,
 * ERR_TEMPLATE_FROM_YAML, ERR_TEMPLATE_IN_USE, ERR_JOB_RUNNING, those of engine.h: then the builder
 * goes on with it.
 */
int template_remove(struct backend *b, const struct caller *caller, const char *name,
                    struct error *err);

/* Finish removals that were cut short. Errors: those of engine.h. */
int template_finish_removals(struct backend *b, struct error *err);

#endif
