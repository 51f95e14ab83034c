/* Reading the audit log: see audit.h. */
#include "backend/audit.h"

#include "backend/background.h"
#include "backend/list.h"
#include "backend/store/store.h"

void
audit_page_done(struct audit_page *page)
{
    store_audit_list_free(page->items, page->count);
    *page = (struct audit_page){0};
}

int
audit_list(struct backend *b, const struct caller *caller, const struct audit_filter *filter,
           struct audit_page *ret, struct error *err)
{
    struct audit_filter narrowed = *filter;
    struct audit_page page = {0};
    struct store *store = NULL;
    int r;

    if (!list_narrow(caller, &narrowed.owner)) {
        *ret = page;
        return 0;
    }
    narrowed.limit = list_to_read(filter->limit);
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_audit_list(store, &narrowed, &page.items, &page.count, err);
    if (r < 0)
        return r;
    if (page.items && list_goes_on(page.count, filter->limit)) {
        audit_entry_done(&page.items[--page.count]);
        page.next = page.items[page.count - 1].seq;
    }
    *ret = page;
    return 0;
}

int
audit_get(struct backend *b, const struct caller *caller, const char *id, struct audit_entry *ret,
          struct error *err)
{
    struct audit_entry e = {0};
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r == 0)
        r = store_audit_get(store, id, caller_owner(caller), &e, err);
    if (r < 0)
        return r;
    if (e.background && e.status == AUDIT_RUNNING) {
        r = background_collect(b, &e, err);
        if (r == 1) {
            audit_entry_done(&e);
            r = store_audit_get(store, id, caller_owner(caller), &e, err);
        }
    }
    if (r < 0)
        audit_entry_done(&e);
    else
        *ret = e;
    return r;
}

int
audit_summarize(struct backend *b, const struct caller *caller, const struct audit_filter *filter,
                struct audit_summary *ret, struct error *err)
{
    struct audit_filter narrowed = *filter;
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    if (r < 0)
        return r;
    if (!list_narrow(caller, &narrowed.owner)) {
        *ret = (struct audit_summary){.p50_ms = -1, .p95_ms = -1, .max_ms = -1};
        return 0;
    }
    return store_audit_summary(store, &narrowed, ret, err);
}
