/* Status line, headers and JSON: see response.h. */
#include "fcgi/response.h"

#include <errno.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "fcgi/problem.h"
#include "handlers/json.h"

enum { HEADERS_MAX_BYTES = 1024 };

/* The headers that only a failure has. */
static void
put_problem_headers(struct buf *b, const struct answer *a)
{
    int retry_after = problem_retry_after(&a->error);

    if (a->error.code == ERR_UNAUTHENTICATED)
        buf_printf(b, "WWW-Authenticate: %s\r\n",
                   a->challenge ? a->challenge : "Basic realm=\"sandbox\"");
    if (a->error.code == ERR_METHOD_NOT_ALLOWED)
        buf_printf(b, "Allow: %s\r\n", a->allow);
    if (retry_after > 0)
        buf_printf(b, "Retry-After: %d\r\n", retry_after);
}

/*
 * Write headers and @text, which is NULL where there is no content. Nothing here can be made to
 * overflow HEADERS_MAX_BYTES: every value is bounded or ours.
 */
static int
put(FCGX_Stream *out, const struct incoming *in, const struct answer *a, int status,
    const char *type, const char *text)
{
    bool failed = a->error.code != ERR_NONE;
    size_t len = text ? strlen(text) : 0;
    bool head_only = strcmp(in->method, "HEAD") == 0;
    _cleanup_(buf_done) struct buf b;

    buf_init(&b, HEADERS_MAX_BYTES);
    buf_printf(&b, "Status: %d %s\r\nX-Request-Id: %s\r\n", status, problem_title(status),
               in->request_id);
    if (text)
        buf_printf(&b, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, len);
    if (failed)
        put_problem_headers(&b, a);
    else if (a->response.etag[0])
        buf_printf(&b, "ETag: %s\r\n", a->response.etag);
    if (a->user[0] && !failed)
        buf_printf(&b, "X-Sandbox-User: %s\r\n", a->user);
    if (a->replayed && !failed)
        buf_printf(&b, "Idempotency-Replayed: true\r\n");
    if (buf_printf(&b, "\r\n") < 0 || FCGX_PutStr(b.data, (int)b.len, out) < 0)
        return -EPIPE;
    if (text && !head_only && FCGX_PutStr(text, (int)len, out) < 0)
        return -EPIPE;
    return 0;
}

static int
stream_begin(struct stream *stream, const char *content_type)
{
    struct response_stream *s = (struct response_stream *)stream; /* its first member */
    _cleanup_(buf_done) struct buf b;

    stream->begun = true;
    buf_init(&b, HEADERS_MAX_BYTES);
    /* nginx would otherwise hold back what is less than its buffers. */
    if (buf_printf(&b,
                   "Status: 200 OK\r\nX-Request-Id: %s\r\nContent-Type: %s\r\n"
                   "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n",
                   s->in->request_id, content_type) < 0)
        return -EPIPE;
    return stream->write(stream, b.data, b.len);
}

static int
stream_write(struct stream *stream, const char *data, size_t len)
{
    struct response_stream *s = (struct response_stream *)stream;

    if (FCGX_PutStr(data, (int)len, s->out) < 0 || FCGX_FFlush(s->out) < 0)
        return -EPIPE;
    return 0;
}

static json_t *
stream_problem(const struct stream *stream, const struct error *err)
{
    const struct response_stream *s = (const struct response_stream *)stream;

    return problem_json(err, s->in->request_id);
}

void
response_stream_init(struct response_stream *s, FCGX_Stream *out, const struct incoming *in)
{
    *s = (struct response_stream){
        .stream = {.begin = stream_begin, .write = stream_write, .problem = stream_problem},
        .out = out,
        .in = in,
    };
}

/* The media type of an answer that has content. */
static const char *
media_type(const struct answer *a)
{
    if (a->error.code != ERR_NONE)
        return "application/problem+json";
    if (!a->response.text)
        return "application/json; charset=utf-8";
    return a->response.text_type ? a->response.text_type : "text/plain; charset=utf-8";
}

int
response_send(FCGX_Stream *out, const struct incoming *in, const struct answer *a)
{
    bool failed = a->error.code != ERR_NONE;
    json_auto_t *problem = failed ? problem_json(&a->error, in->request_id) : NULL;
    const json_t *json = failed ? problem : a->response.json;
    _cleanup_(freep) char *dumped = json ? json_print(json) : NULL;
    const char *text = failed || !a->response.text ? dumped : a->response.text;
    int status = failed ? problem_status(a->error.code) : a->response.status;

    return put(out, in, a, json && !dumped ? problem_status(ERR_INTERNAL) : status, media_type(a),
               text);
}
