/* The resource `audit`. */
#include "backend/audit.h"
#include "handlers/audit.h"
#include "handlers/json.h"
#include "handlers/page.h"
#include "handlers/routes.h"

struct audit_query {
    const char *agent_id;
    const char *container_id;
    const char *session_id;
    const char *tier;
    int status;
    const char *owner;
    const char *since;
    const char *until;
    int kind;
    int64_t limit;
    const char *cursor;
};

/* clang-format off */
static const struct field query_fields[] = {
    {.name = "agent_id", .type = FIELD_IDENT, .offset = offsetof(struct audit_query, agent_id),
     .min = 1, .max = 64},
    {.name = "container_id", .type = FIELD_IDENT,
     .offset = offsetof(struct audit_query, container_id), .min = 1, .max = 64},
    {.name = "session_id", .type = FIELD_IDENT, .offset = offsetof(struct audit_query, session_id),
     .min = 1, .max = 64},
    {.name = "tier", .type = FIELD_STRING, .offset = offsetof(struct audit_query, tier),
     .min = 1, .max = 64},
    {.name = "status", .type = FIELD_ENUM, .offset = offsetof(struct audit_query, status),
     .values = audit_status_names},
    {.name = "owner", .type = FIELD_STRING, .offset = offsetof(struct audit_query, owner),
     .min = 1, .max = 128},
    {.name = "since", .type = FIELD_STRING, .offset = offsetof(struct audit_query, since),
     .min = 1, .max = 40},
    {.name = "until", .type = FIELD_STRING, .offset = offsetof(struct audit_query, until),
     .min = 1, .max = 40},
    {.name = "kind", .type = FIELD_ENUM, .offset = offsetof(struct audit_query, kind),
     .values = audit_kind_names},
    {.name = "limit", .type = FIELD_INT, .offset = offsetof(struct audit_query, limit),
     .min = 1, .max = PAGE_LIMIT_MAX},
    {.name = "cursor", .type = FIELD_STRING, .offset = offsetof(struct audit_query, cursor),
     .min = 1, .max = 64},
    {0},
};
/* clang-format on */

int
audit_query_time(const char *name, const char *text, int64_t *ret_ms, struct error *err)
{
    *ret_ms = 0;
    if (text && !time_parse(text, ret_ms))
        return error_set(err, ERR_BAD_QUERY,
                         "%s: must be a time as 2026-03-02T10:00:00Z (RFC 3339)", name);
    return 0;
}

static int
filter_of(const struct request *req, struct audit_filter *ret, struct error *err)
{
    const struct audit_query *q = req->query;
    int r;

    *ret = (struct audit_filter){
        .owner = q->owner,
        .agent_id = q->agent_id,
        .session_id = q->session_id,
        .container_id = q->container_id,
        .tier = q->tier,
        .status = q->status,
        .kind = q->kind ? q->kind : AUDIT_EXECUTION,
        .limit = q->limit,
    };
    r = page_position(req, q->cursor, &ret->before, err);
    if (r == 0)
        r = audit_query_time("since", q->since, &ret->since_ms, err);
    return r < 0 ? r : audit_query_time("until", q->until, &ret->until_ms, err);
}

static json_t *
page_items(const struct audit_page *page)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < page->count; i++)
        if (json_array_append_new(list, json_audit_entry(&page->items[i])) < 0)
            return NULL;
    return TAKE(list);
}

/*
 * GET audit - the entries that the caller may see, newest first.
 *
 * query   agent_id, container_id, session_id, tier, status, owner, since, until, kind; limit,
 * cursor 200     {entries: [...], next_cursor}; for a client that accepts application/x-ndjson
 * every entry, or the newest `limit`, as an object a line errors  bad_query
 */
static int
audit_get_list(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct audit_page page = {0};
    struct audit_filter filter;
    int r;

    r = filter_of(req, &filter, err);
    if (r == 0 && req->accept == ACCEPT_LINES)
        return audit_export(req, &filter, err);
    if (filter.limit == 0)
        filter.limit = PAGE_LIMIT_DEFAULT;
    if (r == 0)
        r = audit_list(req->backend, &caller, &filter, &page, err);
    if (r == 0)
        r = response_json(res, 200, page_json(req, "entries", page_items(&page), page.next), err);
    audit_page_done(&page);
    return r;
}

/*
 * GET audit/{id} - one entry.
 *
 * 200     the entry
 * errors  not_found
 */
static int
audit_get_one(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct audit_entry e = {0};
    int r = audit_get(req->backend, &caller, req->params[0], &e, err);

    if (r == 0)
        r = response_json(res, 200, json_audit_entry(&e), err);
    audit_entry_done(&e);
    return r;
}

const struct route audit_routes[] = {
    {.method = "GET",
     .path = "/audit",
     .role = ROLE_VIEWER,
     .handle = audit_get_list,
     .query = query_fields,
     .query_size = sizeof(struct audit_query),
     .answers = "200 AuditList",
     .lines = true,
     .summary = "The audit entries that the caller may see"},
    {.method = "GET",
     .path = "/audit/{id}",
     .role = ROLE_VIEWER,
     .handle = audit_get_one,
     .answers = "200 AuditEntry",
     .summary = "One audit entry"},
    {0},
};
