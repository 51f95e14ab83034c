/* Where settings come from: see source.h. */
#include "backend/config/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/config/access.h"
#include "backend/pointer.h"

enum { STEPS_MAX = ACCESS_PATH_MAX };

/* Append @text to the string @out as far as there is room. */
static void
append(char out[SOURCE_SIZE], const char *text)
{
    size_t len = strlen(out);

    snprintf(out + len, SOURCE_SIZE - len, "%s", text);
}

/* Name the value that @keys lead to in the file @which, whose lines are @lines (NULL: it has none). */
static void
find(enum settings_document which, const json_t *lines, const char *const *keys, size_t count,
     char out[SOURCE_SIZE])
{
    struct pointer steps[STEPS_MAX];
    char pointer[POINTER_SIZE];
    long long line;

    for (size_t i = 0; i < count; i++)
        steps[i] = (struct pointer){.up = i > 0 ? &steps[i - 1] : NULL, .key = keys[i]};
    pointer_text(count > 0 ? &steps[count - 1] : NULL, pointer, sizeof(pointer));
    line = (long long)json_integer_value(json_object_get(lines, pointer));
    if (line > 0)
        snprintf(out, SOURCE_SIZE, "%s:%lld: ", settings_file_names[which], line);
    else
        snprintf(out, SOURCE_SIZE, "%s: ", settings_file_names[which]);
    for (size_t i = 0; i < count; i++) {
        append(out, i > 0 ? "." : "");
        append(out, keys[i]);
    }
    if (line == 0)
        append(out, " (default)");
}

void
source_find(const struct settings *s, enum settings_document which, char out[SOURCE_SIZE], ...)
{
    const char *keys[STEPS_MAX], *key;
    size_t count = 0;
    va_list ap;

    va_start(ap, out);
    while (count < STEPS_MAX && (key = va_arg(ap, const char *)))
        keys[count++] = key;
    va_end(ap);
    find(which, s->lines[which], keys, count, out);
}

void
source_policy(const struct settings *s, const char *section, const char *key, char out[SOURCE_SIZE])
{
    const json_t *override = json_object_get(s->overrides, section);

    if (key)
        override = json_object_get(override, key);
    if (override)
        snprintf(out, SOURCE_SIZE, "PUT config: %s%s%s", section, key ? "." : "", key ? key : "");
    else
        source_find(s, SETTINGS_SANDBOX, out, section, key, (char *)NULL);
}

void
source_limit(const struct settings *s, const char *tier, const char *key, char out[SOURCE_SIZE])
{
    if (tier[0])
        source_find(s, SETTINGS_TIERS, out, "tiers", tier, key, (char *)NULL);
    else
        source_policy(s, "resource_limits", key, out);
}

void
source_access(const struct access_rule *rule, int key, char out[SOURCE_SIZE])
{
    const char *keys[ACCESS_PATH_MAX];
    size_t count = access_path(rule, key, keys);

    find(SETTINGS_ACCESS, rule->lines, keys, count, out);
}
