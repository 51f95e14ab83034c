/* Containers with what they use now: what GET containers shows. */
#ifndef BACKEND_CONTAINER_VIEW_H
#define BACKEND_CONTAINER_VIEW_H

#include "backend/container.h"
#include "backend/engine.h"

/* One page of a list. Initialise with {0}; container_page_done() frees what it owns. */
struct container_page {
    struct container *items;    /* owned */
    struct engine_stats *stats; /* owned; in the same places */
    size_t count;
    int64_t next; /* position for the next page; 0 at the end */
};

void container_page_done(struct container_page *page);

/*
 * The containers that @filter lets through and @caller may see, newest first, at most filter->limit
 * (up to ENGINE_STATS_MAX), their figures measured in one go. Errors: those of engine_stats().
 */
int container_list(struct backend *b, const struct caller *caller,
                   const struct container_filter *filter, struct container_page *ret,
                   struct error *err);

/* What @c uses now, and the bytes of its writable layer. Errors: those of engine.h. */
int container_measure(struct backend *b, const struct container *c, struct engine_stats *ret_stats,
                      int64_t *ret_disk_bytes, struct error *err);

#endif
