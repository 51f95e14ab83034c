/* The framing of plain HTTP: see plain.h. */
#include "backend/egress/plain.h"

#include "backend/egress/proxy.h"

enum { BODY_MAX = 2 * PROXY_SCRATCH_SIZE + 64 }; /* a chunk of one byte grows from 4 bytes to 6 */

static int
on_body(http_parser *parser, const char *at, size_t len)
{
    struct plain *p = parser->data;
    int r = p->chunked ? buf_printf(&p->body, "%zx\r\n", len) : 0;

    if (r == 0)
        r = buf_append(&p->body, at, len);
    return r == 0 && p->chunked ? buf_append(&p->body, "\r\n", 2) : r;
}

static int
on_request_end(http_parser *parser)
{
    struct plain *p = parser->data;

    p->request_ended = true;
    http_parser_pause(parser, 1);
    return p->chunked ? buf_printf(&p->body, "0\r\n\r\n") : 0;
}

static int
on_response_headers(http_parser *parser)
{
    const struct plain *p = parser->data;

    return p->head ? 1 : 0;
}

/* Those before the last (RFC 9110, 15.2) are no end. */
static int
on_response_end(http_parser *parser)
{
    struct plain *p = parser->data;

    if (parser->status_code < 200)
        return 0;
    p->response_ended = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const struct http_parser_settings request_callbacks = {
    .on_body = on_body,
    .on_message_complete = on_request_end,
};

static const struct http_parser_settings response_callbacks = {
    .on_headers_complete = on_response_headers,
    .on_message_complete = on_response_end,
};

void
plain_init(struct plain *p, const struct egress_head *h)
{
    *p = (struct plain){.request = h->parser, .chunked = h->chunked};
    p->request.data = p;
    p->head = h->parser.method == HTTP_HEAD;
    http_parser_init(&p->response, HTTP_RESPONSE);
    p->response.data = p;
    buf_init(&p->body, BODY_MAX);
}

void
plain_done(struct plain *p)
{
    buf_done(&p->body);
}

enum relay_step
plain_request(void *plain, const char **data, size_t *len)
{
    struct plain *p = plain;

    buf_done(&p->body); /* of the read before: idle, it holds nothing */
    http_parser_execute(&p->request, &request_callbacks, *data, *len);
    if (!p->request_ended && p->request.http_errno != HPE_OK)
        return RELAY_END;
    *data = p->body.data;
    *len = p->body.len;
    return p->request_ended ? RELAY_LAST : RELAY_GO;
}

enum relay_step
plain_response(void *plain, const char **data, size_t *len)
{
    struct plain *p = plain;
    size_t n;

    if (p->unframed)
        return RELAY_GO;
    n = http_parser_execute(&p->response, &response_callbacks, *data, *len);
    if (p->response_ended) {
        *len = n;
        return RELAY_LAST;
    }
    p->unframed = p->response.http_errno != HPE_OK || p->response.upgrade;
    return RELAY_GO;
}
