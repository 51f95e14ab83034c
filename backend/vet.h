/*
 * Whether the YAML as it is now may take the place of the settings in force: it is right by itself,
 * and does not take away what containers stand on.
 */
#ifndef BACKEND_VET_H
#define BACKEND_VET_H

#include <jansson.h>

#include "backend/backend.h"
#include "backend/error.h"

/*
 * Read the YAML and ask the store who uses what it no longer has: a tier or a template of the
 * settings in force with containers, and a template that `pool` names. Nothing is changed. Errors:
 * ERR_VALIDATION, as settings_load(); ERR_CONFLICT with a sentence that names up to five of the
 * containers, their users, and what to do; ERR_INTERNAL.
 */
int vet_yaml(struct backend *b, struct error *err);

/*
 * Sentences about containers of tiers and templates that there are no more (the YAML changed while
 * the service was down), and of tiers whose limits they do not have: appended to @list. @b has
 * settings in hand. Returns 0, or a negative errno.
 */
int vet_containers(struct backend *b, json_t *list, struct error *err);

#endif
