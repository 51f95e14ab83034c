/* Pages: see page.h. A cursor is the sealed sequence number of the last item seen. */
#include "handlers/page.h"

#include <errno.h>

#include "backend/cleanup.h"
#include "backend/cursor.h"

/* Who asks what, as text; the caller's. NULL out of memory. */
static char *
question(const struct request *req)
{
    json_auto_t *parameters = req->query_json ? json_copy(req->query_json) : json_object();
    json_auto_t *all = NULL;

    json_object_del(parameters, "cursor");
    json_object_del(parameters, "limit");
    all = json_pack("[s, s, O]", req->user, req->path, parameters);
    return all ? json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

int
page_position(const struct request *req, const char *cursor, int64_t *ret_before, struct error *err)
{
    _cleanup_(freep) char *asked = NULL;

    *ret_before = 0;
    if (!cursor)
        return 0;
    asked = question(req);
    if (!asked)
        return error_errno(err, ENOMEM, "reading a cursor");
    if (cursor_read(req->backend->context->cursor_key, asked, cursor, ret_before) < 0)
        return error_set(err, ERR_BAD_QUERY,
                         "cursor: take it from the next_cursor of the page before, and keep the "
                         "other parameters");
    return 0;
}

json_t *
page_json(const struct request *req, const char *name, json_t *items, int64_t last)
{
    _cleanup_(freep) char *asked = last ? question(req) : NULL;
    char cursor[CURSOR_SIZE];

    if (last && !asked) {
        json_decref(items);
        return NULL;
    }
    if (last)
        cursor_make(req->backend->context->cursor_key, asked, last, cursor);
    return json_pack("{s:o, s:o}", name, items, "next_cursor",
                     last ? json_string(cursor) : json_null());
}
