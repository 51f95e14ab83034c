/* Cut UTF-8: see utf8.h. */
#include "backend/utf8.h"

#include <string.h>

static bool
is_continuation(char ch)
{
    return ((unsigned char)ch & 0xc0) == 0x80;
}

/* Length of the sequence that @ch leads; 0 if it leads none. */
static size_t
sequence_len(char ch)
{
    unsigned char u = (unsigned char)ch;

    if (u < 0x80)
        return 1;
    if (u >= 0xc2 && u < 0xe0)
        return 2;
    if (u >= 0xe0 && u < 0xf0)
        return 3;
    return u >= 0xf0 && u < 0xf5 ? UTF8_MAX : 0;
}

size_t
utf8_trim_end(const char *text, size_t len)
{
    size_t back;

    for (back = 1; back < UTF8_MAX && back <= len; back++) {
        char ch = text[len - back];

        if (!is_continuation(ch))
            return sequence_len(ch) > back ? len - back : len;
    }
    return len;
}

size_t
utf8_trim_start(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && n < UTF8_MAX && is_continuation(text[n]))
        n++;
    return n < UTF8_MAX ? n : 0; /* four in a row are no text at all: keep them */
}

void
utf8_mend(char *text, size_t *len, size_t *head)
{
    size_t tail = *len - *head;
    size_t whole = utf8_trim_end(text, *head);
    size_t cut = utf8_trim_start(text + *head, tail);

    memmove(text + whole, text + *head + cut, tail - cut);
    *head = whole;
    *len = whole + tail - cut;
}

bool
utf8_is_name(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len == 0 || len > max)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            return false;
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) /* U+0080 to U+009F */
            return false;
    }
    return true;
}
