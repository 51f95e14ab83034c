/* Misspelt words: see typo.h. */
#include "backend/typo.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LENGTH_MAX = 63 }; /* words beyond are not compared: the work is quadratic */

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

void
typo_offer(struct typo *t, const char *candidate)
{
    size_t len = strlen(t->word), limit = len < 4 ? 1 : 2, d;

    if (len > LENGTH_MAX || strlen(candidate) > LENGTH_MAX)
        return;
    d = distance(t->word, candidate);
    if (d > limit || d >= len || (t->nearest && d >= t->distance))
        return;
    t->nearest = candidate;
    t->distance = d;
}
