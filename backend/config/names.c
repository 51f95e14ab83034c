/* Spelling of names: see names.h. */
#include "backend/config/names.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { SEGMENT_MAX = 255 };

/* Whether @s starts with one of @first, goes on with those of @rest, and has at most @max bytes. */
static bool
is_spelled(const char *s, const char *first, const char *rest, size_t max)
{
    size_t len = strspn(s, rest);

    return strspn(s, first) > 0 && s[len] == '\0' && len <= max;
}

bool
name_is_tier(const char *s)
{
    return is_spelled(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-", 64);
}

bool
name_is_template(const char *s)
{
    return is_spelled(s, LOWER DIGITS, LOWER DIGITS "._-", 63);
}

bool
name_is_user(const char *s)
{
    return is_spelled(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._@+=,-", 128);
}

bool
name_is_image(const char *s)
{
    /* ".." and "//" would make another path of it in a URL; no reference has them. */
    return is_spelled(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-/:@", 255) &&
           !strstr(s, "..") && !strstr(s, "//");
}

const char *
name_context_path_fault(const char *path)
{
    const char *segment = path;
    size_t len;

    if (path[0] == '\0' || strlen(path) > CONTEXT_PATH_MAX)
        return "must have 1 to 1024 bytes";
    if (path[0] == '/')
        return "must be relative";
    if (strcmp(path, "Dockerfile") == 0)
        return "is what `dockerfile` gives";
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "must not have control characters";
    do {
        len = strcspn(segment, "/");
        if (len == 0)
            return "must not have an empty part";
        if (len > SEGMENT_MAX)
            return "must not have a part of more than 255 bytes";
        if ((len == 1 && segment[0] == '.') || (len == 2 && memcmp(segment, "..", 2) == 0))
            return "must not have a part '.' or '..'";
        segment += len;
    } while (*segment++ == '/');
    return NULL;
}
