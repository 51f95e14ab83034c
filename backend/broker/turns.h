/*
 * Operations on one container take turns. The domain has a lock for that, but it goes with a worker
 * that dies, while the broker still works on what that worker asked.
 */
#ifndef BACKEND_BROKER_TURNS_H
#define BACKEND_BROKER_TURNS_H

#include <stdbool.h>

/* Who is at work. Lifetime: process; thread-safe. */
struct turns;

/* NULL on ENOMEM. */
struct turns *turns_new(void);

/* One turn. Lifetime: scope. Initialise with {0}; use with _cleanup_(turn_end). */
struct turn {
    struct turns *turns; /* NULL: not taken */
    const char *id;      /* of the container; borrowed */
    struct turn *next;
};

/* Wait until nobody works on container @id, and begin. A wait ends when the other's calls of the
 * engine do, each of which has a timeout. */
void turn_begin(struct turns *turns, const char *id, struct turn *turn);

/* As turn_begin(), but returns false instead of waiting. */
bool turn_try(struct turns *turns, const char *id, struct turn *turn);

/* End the turn, if it is one. */
void turn_end(struct turn *turn);

#endif
