/*
 * The settings in force in one process: a reference that readers take and a reload swaps.
 * Everything here is thread-safe.
 */
#ifndef BACKEND_CONFIG_CURRENT_H
#define BACKEND_CONFIG_CURRENT_H

#include <stddef.h>

#include <jansson.h>

#include "backend/config/settings.h"
#include "backend/error.h"

struct current;

/*
 * Load the YAML in @dir (borrowed for the life of the process) without overrides, as generation
 * 0 of the settings. Errors: as settings_load().
 */
int current_new(const char *dir, struct current **ret, struct error *err);

/*
 * Read the YAML again, under the overrides that are in force. On failure the last good settings
 * stay and the failure is kept for current_failure(). Errors: as settings_load().
 */
int current_reload(struct current *c, struct error *err);

/* One more reference to the settings in force, and in *ret_generation what they were made for. */
struct settings *current_get(struct current *c, unsigned *ret_generation);

/*
 * Put @overrides (borrowed; an object) in force as @generation. Overrides that no longer fit the
 * YAML (a key that a newer version dropped) leave the settings as they were, and are noted as a
 * failure.
 */
int current_override(struct current *c, json_t *overrides, unsigned generation, struct error *err);

/* Copy the last failure, "" if all went well, to @buf of @size bytes. */
void current_failure(struct current *c, char *buf, size_t size);

#endif
