/* The audit log as callers may read it: an admin sees everybody's entries, others their own. */
#ifndef BACKEND_AUDIT_H
#define BACKEND_AUDIT_H

#include "backend/backend.h"
#include "backend/container.h"
#include "backend/store/records.h"

/* One page of a list. Initialise with {0}; audit_page_done() frees what it owns. */
struct audit_page {
    struct audit_entry *items; /* owned */
    size_t count;
    int64_t next; /* position for the next page; 0 at the end */
};

void audit_page_done(struct audit_page *page);

/* The entries that @filter lets through and @caller may see, newest first, at most filter->limit.
 */
int audit_list(struct backend *b, const struct caller *caller, const struct audit_filter *filter,
               struct audit_page *ret, struct error *err);

/* One entry as it stands now: what has ended in the background is so recorded first. Caller:
 * audit_entry_done(). Errors: ERR_NOT_FOUND. */
int audit_get(struct backend *b, const struct caller *caller, const char *id,
              struct audit_entry *ret, struct error *err);

/* Figures over the executions that @caller may see, of filter->owner (NULL: of all) from since_ms
 * until until_ms. Caller: audit_summary_done(). */
int audit_summarize(struct backend *b, const struct caller *caller,
                    const struct audit_filter *filter, struct audit_summary *ret,
                    struct error *err);

#endif
