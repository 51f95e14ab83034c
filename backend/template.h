/*
 * Templates: what images sandboxes are made from. Those of templates.yaml are the admin's, those of
 * the API are in the store; a name in the YAML hides one of the store. Each has an image that is in
 * service, or none yet:
 *
 *   from templates.yaml, by reference  the reference itself
 *   all others                         a tag of this installation's own repository, which a build
 * or a pull moves when it has succeeded, so that a failed one changes nothing
 *
 * Builds and pulls are jobs, one at a time for each template; the builder's process carries them
 * out (job.h).
 */
#ifndef BACKEND_TEMPLATE_H
#define BACKEND_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/placement.h"
#include "backend/store/records.h"

enum template_source { TEMPLATE_YAML = 1, TEMPLATE_API };

enum template_status {
    TEMPLATE_READY = 1,
    TEMPLATE_ABSENT,
    TEMPLATE_BUILDING,
    TEMPLATE_PULLING,
    TEMPLATE_FAILED
};

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const template_source_names[];
extern const char *const template_status_names[];

struct template
{
    char name[NAME_SIZE];
    char image[IMAGE_SIZE];   /* the reference it is made from; "": built from a Dockerfile */
    char service[IMAGE_SIZE]; /* the reference of the image in service */
    enum template_source source;
    bool is_default;
    int64_t gpus;
    int64_t created_at_ms; /* 0: from the YAML */
    int64_t updated_at_ms; /* when its image was last made or named; 0: not known */

    /* Not of template_find(). */
    enum template_status status;
    int64_t size_bytes;         /* of the image in service; 0 if there is none */
    char error[JOB_ERROR_SIZE]; /* why the last job failed; "" if it did not */
};

/* What a template is called and made from. @name NULL: the default one. Errors: ERR_NOT_FOUND. */
int template_find(struct backend *b, const char *name, struct template *ret, struct error *err);

/* placement_plan() with the template that @where names, of the YAML or the API. */
int template_place(struct backend *b, const struct placement *where, struct container *ret,
                   struct error *err);

/*
 * All of them with their state, those of the YAML first, then the API's, newest first. *ret is an
 * array of *ret_count that the caller frees. Errors: also those of engine.h.
 */
int template_list(struct backend *b, struct template **ret, size_t *ret_count, struct error *err);

/* One with its state. Errors: as template_list(), and ERR_NOT_FOUND. */
int template_get(struct backend *b, const char *name, struct template *ret, struct error *err);

/* The log of its last job, also while that runs: an owned string. Errors: ERR_NOT_FOUND. */
int template_log(struct backend *b, const char *name, char **ret, struct error *err);

#endif
