/*
 * What somebody probably meant by a misspelt word: the nearest of the words that would have been
 * right, if the distance is small enough to be a slip of the fingers.
 */
#ifndef BACKEND_TYPO_H
#define BACKEND_TYPO_H

#include <stddef.h>

/* Lifetime: scope. Start with {.word = what was written}. */
struct typo {
    const char *word;
    const char *nearest; /* the best word offered so far, NULL if none is near */
    size_t distance;     /* of nearest */
};

/* Take @candidate (borrowed) into consideration. */
void typo_offer(struct typo *t, const char *candidate);

#endif
