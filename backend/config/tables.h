/*
 * What each of the four files may hold: field tables that decode straight into a struct settings.
 * For the files of this folder; the tables of the policy alone are in settings.h.
 */
#ifndef BACKEND_CONFIG_TABLES_H
#define BACKEND_CONFIG_TABLES_H

#include <jansson.h>

#include "backend/schema.h"

extern const struct field sandbox_fields[];
extern const struct field tiers_fields[];
extern const struct field templates_fields[];
extern const struct field access_fields[];

/* A new object of what sandbox.yaml means by not saying it; NULL on allocation failure. */
json_t *sandbox_defaults(void);

#endif
