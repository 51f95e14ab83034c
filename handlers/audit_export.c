/* The audit log as lines: see audit.h. */
#include <errno.h>

#include "backend/audit.h"
#include "backend/buf.h"
#include "handlers/audit.h"
#include "handlers/json.h"

enum {
    EXPORT_PAGE = 50,              /* entries in memory at a time */
    EXPORT_PAGE_BYTES = 128 << 20, /* of their lines: no body that made one exceeds 1 MiB */
};

static int
put_line(struct buf *out, const struct audit_entry *e)
{
    json_auto_t *json = json_audit_entry(e);
    _cleanup_(freep) char *text = json ? json_print(json) : NULL;

    return text ? buf_printf(out, "%s\n", text) : -ENOMEM;
}

/* Send one page. Returns -EPIPE when the client has gone. */
static int
send_page(struct stream *stream, const struct audit_page *page, struct error *err)
{
    _cleanup_(buf_done) struct buf out;
    int r = 0;

    buf_init(&out, EXPORT_PAGE_BYTES);
    for (size_t i = 0; r == 0 && i < page->count; i++)
        r = put_line(&out, &page->items[i]);
    if (r < 0)
        return error_errno(err, -r, "audit lines");
    if (!stream->begun)
        r = stream->begin(stream, LINES_TYPE);
    return r < 0 || out.len == 0 ? r : stream->write(stream, out.data, out.len);
}

/* The last line of an answer that broke off. */
static void
send_failure(struct stream *stream, const struct error *err)
{
    json_auto_t *json = stream->problem(stream, err);
    _cleanup_(freep) char *text = NULL;
    _cleanup_(buf_done) struct buf out;

    buf_init(&out, EXPORT_PAGE_BYTES);
    if (json && json_object_set_new(json, "type", json_string("error")) == 0)
        text = json_print(json);
    if (text && buf_printf(&out, "%s\n", text) == 0)
        stream->write(stream, out.data, out.len);
}

int
audit_export(const struct request *req, const struct audit_filter *filter, struct error *err)
{
    const struct caller caller = request_caller(req);
    struct audit_filter next = *filter;
    int64_t left = filter->limit ? filter->limit : INT64_MAX;
    int r;

    do {
        struct audit_page page = {0};

        next.limit = left < EXPORT_PAGE ? left : EXPORT_PAGE;
        r = audit_list(req->backend, &caller, &next, &page, err);
        if (r == 0)
            r = send_page(req->stream, &page, err);
        left -= (int64_t)page.count;
        next.before = page.next;
        audit_page_done(&page);
    } while (r == 0 && next.before && left > 0);
    if (r < 0 && r != -EPIPE && req->stream->begun)
        send_failure(req->stream, err);
    return r == -EPIPE ? 0 : r;
}
