/*
 * What goes into the engine's paths and what comes out of its answers, as text: see call.h.
 */
#include "backend/docker/call.h"

#include <ctype.h>
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

/* Bytes of the path that begins at @at, a letter of @message; 0: none does. */
static size_t
path_length(const char *message, const char *at)
{
    static const char ends[] = " \t\r\n\"'`,;:=()[]{}<>|&";
    bool after_scheme = at - message > 2 && memcmp(at - 3, "://", 3) == 0;
    char before = ' ';

    if (at > message)
        before = at[-1];
    if (at[0] != '/' || (before == ':' && at[1] == '/'))
        return 0;
    if (!after_scheme && (isalnum((unsigned char)before) || strchr("._-/", before)))
        return 0;
    return strcspn(at, ends);
}

/* Whether a path of @len bytes says nothing of this machine. */
static bool
path_is_common(const char *path, size_t len)
{
    static const char *const commons[] = {"/bin",  "/sbin", "/usr/bin",   "/lib",         "/dev",
                                          "/proc", "/sys",  "/workspace", "/home/sandbox"};

    for (size_t i = 0; i < ARRAY_LEN(commons); i++) {
        size_t n = strlen(commons[i]);

        if (len >= n && memcmp(path, commons[i], n) == 0 && (len == n || path[n] == '/'))
            return true;
    }
    return len == 1;
}

/* Append @len bytes of @text to @out, of which *@used are used, as far as there is room. */
static void
append(char *out, size_t size, size_t *used, const char *text, size_t len)
{
    size_t room = size - 1 - *used;

    memcpy(out + *used, text, len < room ? len : room);
    *used += len < room ? len : room;
}

void
docker_sentence(const char *message, char *out, size_t size)
{
    static const char hidden[] = "[path]";
    const char *from = message ? message : "", *p = from;
    char whole[1024] = "";
    size_t used = 0;

    while (*p && used < sizeof(whole) - 1) {
        size_t len = path_length(from, p);

        if (len > 0 && !path_is_common(p, len))
            append(whole, sizeof(whole), &used, hidden, sizeof(hidden) - 1);
        else
            append(whole, sizeof(whole), &used, p, len ? len : 1);
        p += len ? len : 1;
    }
    whole[used] = '\0';
    docker_message(whole, out, size);
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
