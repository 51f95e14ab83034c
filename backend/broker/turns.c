/* Turns: a list of those at work, as short as there are threads. See turns.h. */
#include "backend/broker/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct turns {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct turn *first;
};

struct turns *
turns_new(void)
{
    struct turns *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->ended, NULL);
    return t;
}

static bool
busy(const struct turns *t, const char *id)
{
    for (const struct turn *at = t->first; at; at = at->next)
        if (strcmp(at->id, id) == 0)
            return true;
    return false;
}

static void
enter(struct turns *t, const char *id, struct turn *turn)
{
    *turn = (struct turn){.turns = t, .id = id, .next = t->first};
    t->first = turn;
}

void
turn_begin(struct turns *turns, const char *id, struct turn *turn)
{
    pthread_mutex_lock(&turns->lock);
    while (busy(turns, id))
        pthread_cond_wait(&turns->ended, &turns->lock);
    enter(turns, id, turn);
    pthread_mutex_unlock(&turns->lock);
}

bool
turn_try(struct turns *turns, const char *id, struct turn *turn)
{
    bool free;

    pthread_mutex_lock(&turns->lock);
    free = !busy(turns, id);
    if (free)
        enter(turns, id, turn);
    pthread_mutex_unlock(&turns->lock);
    return free;
}

void
turn_end(struct turn *turn)
{
    struct turns *turns = turn->turns;
    struct turn **at;

    if (!turns)
        return;
    pthread_mutex_lock(&turns->lock);
    for (at = &turns->first; *at != turn; at = &(*at)->next)
        ;
    *at = turn->next;
    turn->turns = NULL;
    pthread_cond_broadcast(&turns->ended);
    pthread_mutex_unlock(&turns->lock);
}
