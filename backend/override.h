/* PUT config: overrides over the YAML, kept in the store, in force in every process at once. */
#ifndef BACKEND_OVERRIDE_H
#define BACKEND_OVERRIDE_H

#include <jansson.h>

#include "backend/backend.h"
#include "backend/caller.h"
#include "backend/error.h"

enum { ETAG_SIZE = 40 };

/* The entity tag of the config in @settings, with its quotes: a hash of what GET config shows. */
void override_etag(const struct settings *settings, char out[ETAG_SIZE]);

/*
 * Apply the merge patch @patch (RFC 7396) to the config: checked as a whole, stored, and in force
 * for the next request everywhere. @if_match (NULL: none) must be the current entity tag, or "*".
 * On success b->settings are the new ones, and a change entry of @caller's holds the members of the
 * config that are not as they were. Errors: ERR_VALIDATION, ERR_PRECONDITION_FAILED.
 */
int override_apply(struct backend *b, const struct caller *caller, json_t *patch,
                   const char *if_match, struct error *err);

#endif
