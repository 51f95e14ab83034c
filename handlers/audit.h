/* What the handlers of the audit log share. */
#ifndef HANDLERS_AUDIT_H
#define HANDLERS_AUDIT_H

#include "backend/store/records.h"
#include "handlers/handler.h"

/* The time @text of the query parameter @name, in ms; 0, which does not narrow, for NULL. Errors:
 * ERR_BAD_QUERY. */
int audit_query_time(const char *name, const char *text, int64_t *ret_ms, struct error *err);

/*
 * Answer with the entries that @filter lets through and the caller may see, newest first, as a JSON
 * object a line (NDJSON); a limit of 0 is none. They are read by pages, so that memory does not
 * grow with them, and that entries which come meanwhile are left out. What fails after the first
 * line is told by a last one: the problem, with "type": "error".
 */
int audit_export(const struct request *req, const struct audit_filter *filter, struct error *err);

#endif
