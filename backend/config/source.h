/*
 * Which line of which file, or which override, a setting's value comes from, as a person looks for
 * it: "tiers.yaml:12: tiers.Standard.network", "PUT config: mode".
 */
#ifndef BACKEND_CONFIG_SOURCE_H
#define BACKEND_CONFIG_SOURCE_H

#include "backend/config/settings.h"

enum { SOURCE_SIZE = 224 };

/*
 * Write where @which says what the keys lead to (from the top of the file, NULL-terminated); what
 * it does not say is the "(default)".
 */
void source_find(const struct settings *s, enum settings_document which, char out[SOURCE_SIZE], ...)
    __attribute__((sentinel));

/* Write where the policy's @section.@key comes from, or @section itself where @key is NULL. */
void source_policy(const struct settings *s, const char *section, const char *key,
                   char out[SOURCE_SIZE]);

/* Write where the limit @key of containers of @tier ("": of none, which the policy limits) comes
 * from. */
void source_limit(const struct settings *s, const char *tier, const char *key,
                  char out[SOURCE_SIZE]);

/* Write where access.yaml says the @key (enum access_key) of the whole rule @rule: the user's own
 * keys, else their group's, else the default ones. */
void source_access(const struct access_rule *rule, int key, char out[SOURCE_SIZE]);

#endif
