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

/* Write where access.yaml says the @key (enum access_key) of @user: their own rule, else that of
 * their group, else the default one. */
void source_access(const struct settings *s, const char *user, int key, char out[SOURCE_SIZE]);

/* The same for who has the rule alone, and not the files' lines: "access.yaml: users.bob.max_tier".
 */
void source_access_key(const struct access_rule *rule, int key, char out[SOURCE_SIZE]);

#endif
