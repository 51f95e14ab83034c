/*
 * What goes into the engine's paths and what comes out of its answers, as text: see call.h.
 */
#include "backend/docker/call.h"

#include <stdio.h>
#include <string.h>

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

enum { NAME_MAX_LEN = 128, REFERENCE_MAX_LEN = 255 };

/*
 * Turn each escape \u0000 into \ufffd. A container carries the labels of its image, which anybody
 * may have written; jansson knows no NUL in a name and would refuse a whole list for one such
 * label.
 */
static void
replace_nul_escapes(char *json, size_t len)
{
    for (size_t i = 0; i + 5 < len; i++) {
        if (json[i] != '\\')
            continue;
        if (memcmp(json + i + 1, "u0000", 5) == 0)
            memcpy(json + i + 1, "ufffd", 5);
        i++; /* what is escaped does not begin an escape itself */
    }
}

int
docker_json(struct buf *body, size_t flags, json_t **ret, struct error *err)
{
    json_error_t e;
    json_t *root;

    if (body->len == 0)
        return error_set(err, ERR_INTERNAL, "Docker's answer is empty");
    replace_nul_escapes(body->data, body->len);
    /* Names may repeat: the engine writes every invalid byte of a label's name as the same \ufffd.
     */
    root = json_loadb(body->data, body->len, flags, &e);
    if (!root)
        return error_set_detail(err, ERR_INTERNAL, e.text, "Docker's answer is not JSON");
    *ret = root;
    return 0;
}

int
docker_unexpected(const char *what, struct error *err)
{
    return error_set_detail(err, ERR_INTERNAL, what,
                            "Docker's answer is not what its API promises");
}

void
docker_message(const char *message, char *out, size_t size)
{
    size_t len = message ? strlen(message) : 0;

    if (len > size - 1) {
        len = size - 1;
        while (len > 0 && ((unsigned char)message[len] & 0xc0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)message[i];

        out[i] = message[i];
        if (c < 0x20 || c == 0x7f)
            out[i] = ' ';
        if (i > 0 && c >= 0x80 && c < 0xa0 && out[i - 1] == '\xc2')
            out[i - 1] = out[i] = ' '; /* U+0080 to U+009F control terminals as well */
    }
    out[len] = '\0';
}

int
docker_name_check(const char *name, struct error *err)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_LEN || strspn(name, ALNUM) == 0 ||
        strspn(name, ALNUM "_.-") != len)
        return error_set(err, ERR_VALIDATION, "not the name or id of a container");
    return 0;
}

int
docker_reference_check(const char *reference, struct error *err)
{
    size_t len = strlen(reference);

    /* "//" and ".." would make another path of it; no reference has them. */
    if (len == 0 || len > REFERENCE_MAX_LEN || strspn(reference, ALNUM) == 0 ||
        strspn(reference, ALNUM "_.-/:@") != len || strstr(reference, "..") ||
        strstr(reference, "//"))
        return error_set(err, ERR_VALIDATION, "not the reference or id of an image");
    return 0;
}
