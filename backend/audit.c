/* Reading the audit log: see audit.h. */
#include "backend/audit.h"

#include <string.h>

#include "backend/background.h"
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
    const char *owner = caller_owner(caller);
    struct audit_filter narrowed = *filter;
    struct audit_page page = {0};
    struct store *store = NULL;
    int r;

    if (owner && filter->owner && strcmp(owner, filter->owner) != 0) {
        *ret = page; /* others' entries do not exist */
        return 0;
    }
    if (owner)
        narrowed.owner = owner;
    narrowed.limit = filter->limit + 1; /* one more tells whether there is a next page */
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_audit_list(store, &narrowed, &page.items, &page.count, err);
    if (r < 0)
        return r;
    if (page.items && (int64_t)page.count > filter->limit) {
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
