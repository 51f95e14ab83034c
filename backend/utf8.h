/* UTF-8 text (RFC 3629): where bytes that were cut somewhere stop being it, and what people read.
 */
#ifndef BACKEND_UTF8_H
#define BACKEND_UTF8_H

#include <stdbool.h>
#include <stddef.h>

enum { UTF8_MAX = 4 }; /* bytes of a sequence */

/* @len without a sequence that begins before the end of @text and would go on beyond it: at most
 * UTF8_MAX - 1 bytes less. */
size_t utf8_trim_end(const char *text, size_t len);

/* How many bytes at the start of @text belong to a sequence that began before it. */
size_t utf8_trim_start(const char *text, size_t len);

/*
 * @text of *@len bytes is a head of *@head bytes and a tail that did not follow it: drop from both
 * sides of the cut what it broke, so that text stays text.
 */
void utf8_mend(char *text, size_t *len, size_t *head);

/* Whether @text, which is UTF-8, is 1 to @max bytes without control characters: a name that people
 * give and read. */
bool utf8_is_name(const char *text, size_t max);

#endif
