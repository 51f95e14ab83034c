/* Spelling of names: see names.h. */
#include "backend/config/names.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63 };

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
    return is_spelled(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._-/:@", 255);
}

bool
name_is_domain(const char *s)
{
    size_t len;

    if (strlen(s) > DOMAIN_MAX)
        return false;
    if (!strncmp(s, "*.", 2))
        s += 2;
    for (;; s++) {
        len = strspn(s, LOWER UPPER DIGITS "-");
        if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
            return false;
        s += len;
        if (*s == '\0')
            return true;
        if (*s != '.')
            return false;
    }
}
