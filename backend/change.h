/*
 * Change entries: who changed the config, a template, a container, and what it was before and
 * after. Whoever carries out an administrative act for a caller leaves one.
 */
#ifndef BACKEND_CHANGE_H
#define BACKEND_CHANGE_H

#include <jansson.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"

/* What a change is about; NULL where it does not apply. Everything is borrowed. */
struct change {
    const char *container_id;
    const char *template_name;
    const char *tier;
    json_t *before; /* NULL: it was not there */
    json_t *after;  /* NULL: it is gone */
};

/*
 * Leave a `change` entry of @caller's act in the audit; synced. An act of a keyed request has one
 * entry, however often it is carried on: a request notes no more than one.
 */
int change_note(struct backend *b, const struct caller *caller, const struct change *change,
                struct error *err);

/*
 * What differs between the objects @before and @after, which stay as they are: new objects with
 * only the members that are not equal, objects in them likewise. Returns 0, or -ENOMEM.
 */
int change_difference(json_t *before, json_t *after, json_t **ret_before, json_t **ret_after);

#endif
