/*
 * What somebody probably meant by a misspelt word: the nearest of the words that would have been
 * right, if the distance is small enough to be a slip of the fingers; or else the first that begins
 * or ends with the word, as `memory_mb` does with `memory`.
 */
#ifndef BACKEND_TYPO_H
#define BACKEND_TYPO_H

#include <stddef.h>

/* Lifetime: scope. Start with {.word = what was written}. */
struct typo {
    const char *word;
    const char *nearest; /* the best word offered so far, NULL if none is near */
    size_t distance;     /* of nearest; beyond all that slips have, where it is only a part */
};

/* Take @candidate (borrowed) into consideration. */
void typo_offer(struct typo *t, const char *candidate);

#endif
