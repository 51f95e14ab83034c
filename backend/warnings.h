/* What an admin should put right, as far as the service can see it: for GET status and `check`. */
#ifndef BACKEND_WARNINGS_H
#define BACKEND_WARNINGS_H

#include <jansson.h>

#include "backend/config/settings.h"
#include "backend/engine.h"

/*
 * Sentences about versions that are known to be broken (floors.h), about tiers whose runtime the
 * engine lacks, about runtimes that do less than a tier promises, and about networks that this
 * machine cannot offer. @engine NULL: it does not
 * answer, and is not looked at. Returns an owned array of strings; NULL where memory is short.
 */
json_t *warnings_json(const struct settings *s, const struct engine_info *engine);

/* As above, only of networks: what of them cannot be had, and why. */
json_t *warnings_of_networks(const struct settings *s, const struct engine_info *engine);

/* As above, only of versions. */
json_t *warnings_of_versions(const struct engine_info *engine);

/* As above, only of what nothing can be run by: runtimes that are named and missing, and an engine
 * that remaps users. */
json_t *warnings_of_refusals(const struct settings *s, const struct engine_info *engine);

/* As above, only of tiers whose runtime is gVisor's, with arguments by which its network is not
 * what the tier says: it fails closed there. */
json_t *warnings_of_arguments(const struct settings *s, const struct engine_info *engine);

#endif
