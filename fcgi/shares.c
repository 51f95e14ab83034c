/* Shares of the execution threads: see shares.h. */
#include "fcgi/shares.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/records.h"

struct share {
    char user[OWNER_SIZE];
    size_t held; /* 0: the place is free */
};

struct shares {
    pthread_mutex_t lock;
    size_t most;
    size_t places; /* as many as there are threads: each may have another user */
    struct share share[];
};

struct shares *
shares_new(size_t threads)
{
    struct shares *s = calloc(1, sizeof(*s) + threads * sizeof(s->share[0]));

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->places = threads;
    s->most = threads - threads / 4;
    return s;
}

void
shares_free(struct shares *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The place of @user, or a free one; NULL: there is none. */
static struct share *
find(struct shares *s, const char *user)
{
    struct share *empty = NULL;

    for (size_t i = 0; i < s->places; i++) {
        if (s->share[i].held == 0)
            empty = empty ? empty : &s->share[i];
        else if (strncmp(s->share[i].user, user, OWNER_SIZE - 1) == 0)
            return &s->share[i];
    }
    return empty;
}

bool
shares_take(struct shares *s, const char *user)
{
    struct share *share;
    bool taken = false;

    pthread_mutex_lock(&s->lock);
    share = find(s, user);
    if (share && share->held < s->most) {
        if (share->held++ == 0)
            snprintf(share->user, sizeof(share->user), "%s", user);
        taken = true;
    }
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void
shares_give(struct shares *s, const char *user)
{
    struct share *share;

    pthread_mutex_lock(&s->lock);
    share = find(s, user);
    if (share && share->held > 0)
        share->held--;
    pthread_mutex_unlock(&s->lock);
}
