/* Host names in one spelling: see name.h. */
#include "backend/egress/name.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <idn2.h>

#include "backend/cleanup.h"
#include "backend/egress/address.h"

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
    LABEL_MAX = 63, /* bytes (RFC 1035, 2.3.4) */
    WRITTEN_MAX =
        1024 /* bytes of a name in UTF-8, before it is mapped: four for each that is left */
};

CLEANUP_FN(char *, idn2_free)

/* Whether the ASCII characters of @text are those of host names; what is not ASCII is left to
 * UTS #46, which has no opinion on '/', '%' and '@'. */
static bool
is_host_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x80 && !strchr(LETTERS CAPITALS DIGITS "-.", *text))
            return false;
    return true;
}

/* Whether IDNA has something to say of @text: it is not ASCII, or has a label that encodes what is
 * not. Other labels are let alone, as "r3---sn" is a name for the DNS and none for IDNA. */
static bool
is_international(const char *text)
{
    for (const char *label = text; label; label = strchr(label, '.')) {
        label += *label == '.';
        if (strncasecmp(label, "xn--", 4) == 0)
            return true;
    }
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return true;
    return false;
}

/* Whether inet_aton(3), or a resolver of a browser's, would take @name for an address: by its last
 * label, a number (https://url.spec.whatwg.org/#ends-in-a-number-checker). */
static bool
ends_in_number(const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

    if (strncmp(last, "0x", 2) == 0)
        return last[2 + strspn(last + 2, DIGITS "abcdef")] == '\0';
    return last[strspn(last, DIGITS)] == '\0';
}

/* Whether @name, in lower case, is a sequence of labels of letters, digits and inner hyphens. */
static bool
is_labels(const char *name)
{
    for (;; name++) {
        size_t len = strspn(name, LETTERS DIGITS "-");

        if (len == 0 || len > LABEL_MAX || name[0] == '-' || name[len - 1] == '-')
            return false;
        name += len;
        if (*name == '\0')
            return true;
        if (*name != '.')
            return false;
    }
}

/* @text, which is_international(), as A-labels. Those that it has are decoded and encoded again by
 * libidn2, which refuses what is no encoding of anything. */
static int
to_ascii(const char *text, char out[EGRESS_NAME_SIZE])
{
    _cleanup_(idn2_freep) char *ascii = NULL;
    size_t len;

    /* Not IDN2_USE_STD3_ASCII_RULES: that drops characters instead of refusing them. */
    if (idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return -EINVAL;
    len = strlen(ascii);
    if (len >= EGRESS_NAME_SIZE)
        return -EINVAL;
    memcpy(out, ascii, len + 1);
    return 0;
}

int
egress_name(const char *text, char out[EGRESS_NAME_SIZE])
{
    /* One byte more than a name has, for the dot at its end. */
    char name[EGRESS_NAME_SIZE + 1] = "";
    size_t len = strlen(text);

    if (len > WRITTEN_MAX || !is_host_text(text))
        return -EINVAL;
    if (is_international(text)) {
        if (to_ascii(text, name) < 0)
            return -EINVAL;
        len = strlen(name);
    } else if (len < sizeof(name)) {
        for (size_t i = 0; i < len; i++)
            name[i] = (char)tolower((unsigned char)text[i]);
    } else {
        return -EINVAL;
    }
    if (len > 0 && name[len - 1] == '.')
        name[--len] = '\0';
    if (len >= EGRESS_NAME_SIZE || !is_labels(name) || ends_in_number(name))
        return -EINVAL;
    memcpy(out, name, len + 1);
    return 0;
}

int
egress_pattern(const char *text, char out[EGRESS_NAME_SIZE])
{
    size_t skip = strncmp(text, "*.", 2) == 0 ? 2 : 0, len;
    struct egress_address address;
    char name[EGRESS_NAME_SIZE];

    if (egress_address_parse(text, &address) == 0) {
        egress_address_text(&address, out);
        return 0;
    }
    if (egress_name(text + skip, name) < 0)
        return -EINVAL;
    len = strlen(name);
    if (skip + len >= EGRESS_NAME_SIZE)
        return -EINVAL;
    memcpy(out, "*.", skip);
    memcpy(out + skip, name, len + 1);
    return 0;
}

bool
egress_pattern_names(const char *pattern, const char *name)
{
    size_t len = strlen(name), tail;

    if (strncmp(pattern, "*.", 2) != 0)
        return strcmp(pattern, name) == 0;
    tail = strlen(pattern) - 1;
    return len > tail && strcmp(name + len - tail, pattern + 1) == 0;
}
