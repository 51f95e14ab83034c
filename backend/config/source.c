/* Where settings come from: see source.h. */
#include "backend/config/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/pointer.h"

enum { STEPS_MAX = 4 };

static const char *const file_names[SETTINGS_DOCUMENT_COUNT] = {
    [SETTINGS_SANDBOX] = "sandbox.yaml",
    [SETTINGS_TIERS] = "tiers.yaml",
    [SETTINGS_TEMPLATES] = "templates.yaml",
    [SETTINGS_ACCESS] = "access.yaml",
};

/* Append @text to the string @out as far as there is room. */
static void
append(char out[SOURCE_SIZE], const char *text)
{
    size_t len = strlen(out);

    snprintf(out + len, SOURCE_SIZE - len, "%s", text);
}

/* The line of the value that the pointer @at names in the file; 0: the file does not have it. */
static long long
line_of(const struct settings *s, enum settings_document which, const struct pointer *at)
{
    char pointer[POINTER_SIZE];

    pointer_text(at, pointer, sizeof(pointer));
    return (long long)json_integer_value(json_object_get(s->lines[which], pointer));
}

static void
find(const struct settings *s, enum settings_document which, const char *const *keys, size_t count,
     char out[SOURCE_SIZE])
{
    struct pointer steps[STEPS_MAX];
    long long line;

    for (size_t i = 0; i < count; i++)
        steps[i] = (struct pointer){.up = i > 0 ? &steps[i - 1] : NULL, .key = keys[i]};
    line = line_of(s, which, count > 0 ? &steps[count - 1] : NULL);
    if (line > 0)
        snprintf(out, SOURCE_SIZE, "%s:%lld: ", file_names[which], line);
    else
        snprintf(out, SOURCE_SIZE, "%s: ", file_names[which]);
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
    find(s, which, keys, count, out);
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

/* The name of the group of access.yaml that has @user; NULL: none has. Borrowed from @groups. */
static const char *
group_of(json_t *groups, const char *user)
{
    json_t *group, *member;
    const char *name;
    size_t i;

    json_object_foreach(groups, name, group)
    {
        json_array_foreach(json_object_get(group, "users"), i, member)
        {
            if (json_is_string(member) && strcmp(json_string_value(member), user) == 0)
                return name;
        }
    }
    return NULL;
}

void
source_access(const struct settings *s, const char *user, const char *key, char out[SOURCE_SIZE])
{
    json_t *root = s->documents[SETTINGS_ACCESS], *groups = json_object_get(root, "groups");
    const char *group = group_of(groups, user);

    if (json_object_get(json_object_get(json_object_get(root, "users"), user), key))
        source_find(s, SETTINGS_ACCESS, out, "users", user, key, (char *)NULL);
    else if (group && json_object_get(json_object_get(groups, group), key))
        source_find(s, SETTINGS_ACCESS, out, "groups", group, key, (char *)NULL);
    else
        source_find(s, SETTINGS_ACCESS, out, "default", key, (char *)NULL);
}
