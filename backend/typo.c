/* Misspelt words: see typo.h. */
#include "backend/typo.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum {
    LENGTH_MAX = 63, /* words beyond are not compared: the work is quadratic */
    PART_MIN = 3,    /* letters of a word that may stand for a longer one */
    PART_DISTANCE = LENGTH_MAX + 1
};

static bool
same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters must be added, dropped, changed or swapped with their neighbour to get from @a
 * to
 * @b, the case of letters ignored (the "optimal string alignment" distance, row by row). Both have
 * at most LENGTH_MAX letters.
 */
static size_t
distance(const char *a, const char *b)
{
    size_t rows[3][LENGTH_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;
    size_t m = strlen(a), n = strlen(b), i, j;

    for (j = 0; j <= n; j++)
        above[j] = before[j] = j;
    for (i = 1; i <= m; i++) {
        row[0] = i;
        for (j = 1; j <= n; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[n];
}

/* Whether @word is the beginning or the end of @candidate, up to a '_'. */
static bool
is_part(const char *word, const char *candidate)
{
    size_t len = strlen(word), whole = strlen(candidate);

    if (len < PART_MIN || len >= whole)
        return false;
    return (strncasecmp(candidate, word, len) == 0 && candidate[len] == '_') ||
           (strcasecmp(candidate + whole - len, word) == 0 && candidate[whole - len - 1] == '_');
}

void
typo_offer(struct typo *t, const char *candidate)
{
    size_t len = strlen(t->word), limit = len < 4 ? 1 : 2, d;

    if (len > LENGTH_MAX || strlen(candidate) > LENGTH_MAX)
        return;
    d = distance(t->word, candidate);
    if (d > limit || d >= len) {
        if (!is_part(t->word, candidate))
            return;
        d = PART_DISTANCE;
    }
    if (t->nearest && d >= t->distance)
        return;
    t->nearest = candidate;
    t->distance = d;
}
