/* See said.h. */
#include "tests/test.h"

#include "tests/api/said.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"

enum { DECIMAL = 10, KEY_SIZE = 128 };

static const char suffix[] = ".yaml:";

/* The line @number of the server's file of the @len bytes at @name; the caller frees. */
static char *
line_of(const char *name, size_t len, unsigned long number)
{
    char path[KEY_SIZE];
    _cleanup_(freep) char *text = NULL;
    const char *p;

    snprintf(path, sizeof(path), "yaml/%.*s", (int)len, name);
    text = state_file(path);
    assert_non_null(text);
    p = text;
    for (unsigned long i = 1; i < number; i++) {
        p = strchr(p, '\n');
        assert_non_null(p);
        p++;
    }
    return strndup(p, strcspn(p, "\n"));
}

/* Check that @line has the last of the keys "a.b.c" that @keys begins with. */
static void
assert_has_key(const char *line, const char *keys)
{
    size_t end = strcspn(keys, " ),"), start = end;
    char key[KEY_SIZE];

    while (start > 0 && keys[start - 1] != '.')
        start--;
    snprintf(key, sizeof(key), "%.*s:", (int)(end - start), keys + start);
    if (!strstr(line, key))
        fail_msg("the line '%s' has no '%s'", line, key);
}

void
assert_said(const char *text, const char *expected)
{
    char stripped[1024] = "";
    const char *p = text, *found;

    while ((found = strstr(p, suffix))) {
        const char *name = found, *after = found + strlen(suffix);
        char *end = NULL;
        unsigned long number = strtoul(after, &end, DECIMAL);
        size_t len = strlen(stripped);

        while (name > p && strchr("abcdefghijklmnopqrstuvwxyz", name[-1]))
            name--;
        if (end != after && strncmp(end, ": ", 2) == 0) {
            _cleanup_(freep) char *line = line_of(name, (size_t)(after - 1 - name), number);

            assert_has_key(line, end + 2);
            after = end + 1;
        }
        snprintf(stripped + len, sizeof(stripped) - len,
                 "%.*s:", (int)(found + strlen(suffix) - 1 - p), p);
        p = after;
    }
    strncat(stripped, p, sizeof(stripped) - strlen(stripped) - 1);
    assert_string_equal(stripped, expected);
}

void
assert_rule_said(const struct reply *r, const char *source)
{
    const char *rule = strrchr(text_at(r, "detail"), '(');
    char expected[KEY_SIZE];

    assert_non_null(rule);
    snprintf(expected, sizeof(expected), "(%s)", source);
    assert_said(rule, expected);
}
