/* Containers with figures: see container_view.h. */
#include "backend/container_view.h"

#include <errno.h>
#include <string.h>

#include "backend/list.h"
#include "backend/store/store.h"

void
container_page_done(struct container_page *page)
{
    store_container_list_free(page->items, page->count);
    free(page->stats);
    *page = (struct container_page){0};
}

/* Figures of those of @list that run; the others' are 0. One call for all. */
static int
measure_list(struct backend *b, const struct container *list, size_t count,
             struct engine_stats *stats, struct error *err)
{
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = calloc(count + 1, sizeof(*ids));
    _cleanup_(freep) struct engine_stats *running = calloc(count + 1, sizeof(*running));
    size_t n = 0;
    int r;

    if (!ids || !running)
        return error_errno(err, ENOMEM, "figures");
    for (size_t i = 0; i < count; i++)
        if (list[i].status == CONTAINER_RUNNING)
            memcpy(ids[n++], list[i].id, CONTAINER_ID_SIZE);
    r = engine_stats(b->engine, (const char(*)[CONTAINER_ID_SIZE])ids, n, running, err);
    n = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (list[i].status == CONTAINER_RUNNING)
            stats[i] = running[n++];
    return r;
}

int
container_list(struct backend *b, const struct caller *caller,
               const struct container_filter *filter, struct container_page *ret, struct error *err)
{
    struct container_filter narrowed = *filter;
    struct container_page page = {0};
    struct store *store = NULL;
    int r;

    if (!list_narrow(caller, &narrowed.owner)) {
        *ret = page;
        return 0;
    }
    narrowed.limit = list_to_read(filter->limit);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_container_list(store, &narrowed, &page.items, &page.count, err);
    if (r < 0)
        return r;
    if (page.items && list_goes_on(page.count, filter->limit)) {
        container_done(&page.items[--page.count]);
        page.next = page.items[page.count - 1].seq;
    }
    page.stats = calloc(page.count + 1, sizeof(*page.stats));
    if (!page.stats)
        r = error_errno(err, ENOMEM, "figures");
    else if (page.items)
        r = measure_list(b, page.items, page.count, page.stats, err);
    if (r < 0)
        container_page_done(&page);
    else
        *ret = page;
    return r;
}

int
container_measure(struct backend *b, const struct container *c, struct engine_stats *ret_stats,
                  int64_t *ret_disk_bytes, struct error *err)
{
    struct engine_stats stats = {0};
    struct engine_container now = {.disk_bytes = 0};
    int r;

    r = measure_list(b, c, 1, &stats, err);
    if (r == 0)
        r = engine_inspect(b->engine, c->id, &now, err);
    if (r == -ENOENT) {
        error_clear(err); /* being made, or lost: it has no disk yet, or any more */
        now.disk_bytes = 0;
        r = 0;
    }
    if (r < 0)
        return r;
    *ret_stats = stats;
    *ret_disk_bytes = now.disk_bytes > 0 ? now.disk_bytes : 0;
    return 0;
}
