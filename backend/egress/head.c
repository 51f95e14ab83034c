/* The head of a proxy request: see head.h. */
#include "backend/egress/head.h"

#include <string.h>
#include <strings.h>

#include "backend/cleanup.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443, AUTHORITY_SIZE = 512 };

/* Of fields that matter here, how often they came, and where. */
struct seen {
    size_t host, length, encoding;
    const struct egress_span *host_value, *encoding_value;
};

/* Fields between client and proxy, whether or not Connection names them; ours replace Host. */
static const char *const dropped[] = {
    "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Host",
};

static bool
span_is(const struct egress_span *s, const char *text)
{
    return s->len == strlen(text) && strncasecmp(s->at, text, s->len) == 0;
}

static bool
span_begins(const struct egress_span *s, const char *text)
{
    return s->len >= strlen(text) && strncasecmp(s->at, text, strlen(text)) == 0;
}

static bool
is_token(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/*
 * Look for what no head has, in @len bytes of one that may not be whole; *ret_end is where its
 * empty line ends, 0 if that has not come. The parser lets some of this pass. NULL, or what is
 * wrong.
 */
static const char *
scan(const char *data, size_t len, size_t *ret_end)
{
    size_t line = 0; /* where the line begins */

    *ret_end = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c == '\n') {
            if (i == line || data[i - 1] != '\r')
                return "a line that ends without CR LF";
            if (i - line == 1) {
                *ret_end = i + 1;
                return line == 0 ? "an empty line before the request" : NULL;
            }
            line = i + 1;
        } else if (i > line && data[i - 1] == '\r') {
            return "a CR without LF";
        } else if (i == line && line > 0 && (c == ' ' || c == '\t')) {
            return "a folded header line";
        } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            return "a control character";
        }
    }
    return NULL;
}

/* Whether every header line of the whole head is "token:"; spaces before the colon would be read in
 * two ways. */
static bool
names_are_tokens(const char *data, size_t len)
{
    const char *line = memchr(data, '\n', len);

    while (line && ++line < data + len && *line != '\r') {
        const char *at = line;

        while (is_token((unsigned char)*at))
            at++;
        if (at == line || *at != ':')
            return false;
        line = memchr(line, '\n', (size_t)(data + len - line));
    }
    return true;
}

/* Whether the first line of the whole head has two spaces and no more: the parser takes any number.
 */
static bool
line_is_strict(const char *data, size_t len)
{
    const char *end = memchr(data, '\r', len);
    size_t spaces = 0;

    for (const char *at = data; end && at < end; at++) {
        if (*at == '\t')
            return false;
        if (*at == ' ')
            spaces++;
    }
    return spaces == 2;
}

static int
on_url(http_parser *parser, const char *at, size_t len)
{
    struct egress_head *h = parser->data;

    h->path = (struct egress_span){at, len};
    return 0;
}

static int
on_name(http_parser *parser, const char *at, size_t len)
{
    struct egress_head *h = parser->data;

    if (h->fields == EGRESS_HEAD_FIELDS_MAX)
        return -1;
    h->names[h->fields] = (struct egress_span){at, len};
    h->values[h->fields] = (struct egress_span){at, 0};
    h->fields++;
    return 0;
}

static int
on_value(http_parser *parser, const char *at, size_t len)
{
    struct egress_head *h = parser->data;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    h->values[h->fields - 1] = (struct egress_span){at, len};
    return 0;
}

/* The body of a tunnel is none of the parser's business. */
static int
on_headers(http_parser *parser)
{
    return parser->method == HTTP_CONNECT ? 2 : 0;
}

static int
on_complete(http_parser *parser)
{
    struct egress_head *h = parser->data;

    h->complete = true;
    return 0;
}

static const struct http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_message_complete = on_complete,
};

/* Read digits up to @end as a port. 0 if they are none. */
static unsigned
read_port(const char *text, size_t len)
{
    unsigned port = 0;

    if (len == 0 || len > 5 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= 65535 ? port : 0;
}

/* Write the one spelling of a name, or of a literal: in brackets if it is IPv6, and only then. */
static bool
read_host(char *text, struct egress_head *h)
{
    size_t len = strlen(text);
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';

    if (!bracketed && strpbrk(text, ":[]"))
        return false;
    if (bracketed && !memchr(text, ':', len))
        return false;
    if (egress_address_parse(text, &h->address) == 0) {
        h->literal = true;
        egress_address_text(&h->address, h->host);
        return true;
    }
    return !bracketed && egress_name(text, h->host) == 0;
}

/*
 * Read host[:port] into @h. A port that is not there is @missing; 0: there has to be one. NULL, or
 * what is wrong.
 */
static const char *
read_authority(const struct egress_span *s, unsigned missing, struct egress_head *h)
{
    char text[AUTHORITY_SIZE];
    char *colon;

    if (s->len == 0 || s->len >= sizeof(text))
        return "a host that is empty or too long";
    memcpy(text, s->at, s->len);
    text[s->len] = '\0';
    if (strchr(text, '@'))
        return "a user name in the target";
    colon = strrchr(text, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    h->port = colon ? read_port(colon + 1, strlen(colon + 1)) : missing;
    if (colon)
        *colon = '\0';
    if (!read_host(text, h)) {
        h->host[0] = '\0';
        return "a host that is neither a name nor an address";
    }
    return h->port ? NULL : "a port that is none";
}

/* Split http[s]://AUTHORITY[/PATH][?QUERY] into authority and rest. NULL, or what is wrong. */
static const char *
read_absolute(struct egress_head *h, struct egress_span *authority)
{
    const char *at = h->path.at, *end = at + h->path.len;
    bool tls = span_begins(&h->path, "https://");

    if (!tls && !span_begins(&h->path, "http://"))
        return "a target that is neither http:// nor of CONNECT";
    if (memchr(at, '#', h->path.len))
        return "a fragment in the target";
    at += strlen(tls ? "https://" : "http://");
    authority->at = at;
    while (at < end && *at != '/' && *at != '?')
        at++;
    authority->len = (size_t)(at - authority->at);
    h->path = (struct egress_span){at, (size_t)(end - at)};
    return NULL;
}

static void
look_at_fields(const struct egress_head *h, struct seen *seen)
{
    for (size_t i = 0; i < h->fields; i++) {
        const struct egress_span *name = &h->names[i];

        if (span_is(name, "Host")) {
            seen->host++;
            seen->host_value = &h->values[i];
        } else if (span_is(name, "Content-Length")) {
            seen->length++;
        } else if (span_is(name, "Transfer-Encoding")) {
            seen->encoding++;
            seen->encoding_value = &h->values[i];
        }
    }
}

static bool
has_field(const struct egress_head *h, const char *name)
{
    for (size_t i = 0; i < h->fields; i++)
        if (span_is(&h->names[i], name))
            return true;
    return false;
}

/* What the fields say of the message's end has to be one thing. NULL, or what is wrong. */
static const char *
check_framing(struct egress_head *h, const struct seen *seen)
{
    if (seen->length > 1 || seen->encoding > 1 || (seen->length && seen->encoding))
        return "more than one Content-Length or Transfer-Encoding";
    if (seen->encoding && h->parser.http_minor == 0)
        return "a Transfer-Encoding in HTTP/1.0";
    if (seen->encoding && !span_is(seen->encoding_value, "chunked"))
        return "a Transfer-Encoding other than chunked";
    if (h->parser.method == HTTP_CONNECT && (seen->length || seen->encoding))
        return "a CONNECT with a body";
    if (has_field(h, "Upgrade"))
        return "an Upgrade";
    h->chunked = seen->encoding == 1;
    return NULL;
}

/* The Host field names what the target does. NULL, or what is wrong. */
static const char *
check_host(const struct egress_head *h, const struct seen *seen)
{
    struct egress_head other = {0};

    if (seen->host > 1)
        return "more than one Host";
    if (seen->host == 0)
        return h->parser.http_minor == 0 ? NULL : "no Host";
    if (read_authority(seen->host_value, h->parser.method == HTTP_CONNECT ? h->port : HTTP_PORT,
                       &other))
        return "a Host that is none";
    if (strcmp(other.host, h->host) != 0 || other.port != h->port)
        return "a Host that is not the target's";
    return NULL;
}

/* Read the whole head, of h->len bytes. NULL, or what is wrong. */
static const char *
read_whole(const char *data, struct egress_head *h)
{
    struct seen seen = {0};
    struct egress_span authority;
    unsigned missing = 0;
    const char *why = NULL;
    bool tls = false;
    size_t n;

    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
    n = http_parser_execute(&h->parser, &callbacks, data, h->len);
    if (h->parser.http_errno != HPE_OK || n != h->len || !h->path.at || !line_is_strict(data, n))
        return "no HTTP request";
    if (h->parser.http_major != 1 || h->parser.http_minor > 1)
        return "a version other than HTTP/1.0 and 1.1";
    authority = h->path;
    if (h->parser.method != HTTP_CONNECT) {
        tls = span_begins(&h->path, "https://");
        missing = tls ? HTTPS_PORT : HTTP_PORT;
        why = read_absolute(h, &authority);
    }
    if (!why)
        why = read_authority(&authority, missing, h);
    if (!why && tls) /* whose TLS would end here */
        why = "https:// in the target: use CONNECT, as curl does and busybox wget does not";
    look_at_fields(h, &seen);
    if (!why && !names_are_tokens(data, h->len))
        why = "a header line without a name and a colon";
    if (!why)
        why = check_framing(h, &seen);
    return why ? why : check_host(h, &seen);
}

enum egress_head_status
egress_head_read(const char *data, size_t len, struct egress_head *ret)
{
    *ret = (struct egress_head){0};
    ret->why = scan(data, len < EGRESS_HEAD_MAX ? len : EGRESS_HEAD_MAX, &ret->len);
    if (!ret->why && ret->len == 0)
        ret->why = len < EGRESS_HEAD_MAX ? NULL : "a head that is too large";
    else if (!ret->why)
        ret->why = read_whole(data, ret);
    if (ret->why)
        return EGRESS_HEAD_BAD;
    if (ret->len == 0)
        return EGRESS_HEAD_MORE;
    return ret->parser.method == HTTP_CONNECT ? EGRESS_HEAD_CONNECT : EGRESS_HEAD_FORWARD;
}

/* Whether the list of a Connection field holds @name. */
static bool
list_holds(const struct egress_span *list, const struct egress_span *name)
{
    const char *at = list->at, *end = list->at + list->len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *last = comma ? comma : end;

        while (at < last && (*at == ' ' || *at == '\t'))
            at++;
        while (last > at && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if ((size_t)(last - at) == name->len && strncasecmp(at, name->at, name->len) == 0)
            return true;
        at = comma ? comma + 1 : end;
    }
    return false;
}

/* Whether the field stays between client and proxy. */
static bool
stays_here(const struct egress_head *h, const struct egress_span *name)
{
    if (span_begins(name, "Proxy-"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        if (span_is(name, dropped[i]))
            return true;
    if (span_is(name, "Content-Length"))
        return false; /* also if Connection names it: the body's end is no secret of this hop */
    for (size_t i = 0; i < h->fields; i++)
        if (span_is(&h->names[i], "Connection") && list_holds(&h->values[i], name))
            return true;
    return false;
}

static int
write_host(const struct egress_head *h, struct buf *out)
{
    bool v6 = h->literal && strchr(h->host, ':');
    int r = buf_printf(out, "Host: %s%s%s", v6 ? "[" : "", h->host, v6 ? "]" : "");

    if (r == 0 && h->port != HTTP_PORT)
        r = buf_printf(out, ":%u", h->port);
    return r < 0 ? r : buf_printf(out, "\r\n");
}

/* The target in origin form (RFC 9112, 3.2.1); in asterisk form where OPTIONS names no path. */
static int
write_target(const struct egress_head *h, struct buf *out)
{
    const char *before = h->path.len > 0 && h->path.at[0] == '/' ? "" : "/";

    if (h->path.len == 0 && h->parser.method == HTTP_OPTIONS)
        before = "*";
    /* in the client's version, as it is the client who has to understand the response */
    return buf_printf(out, "%s %s%.*s HTTP/1.%d\r\n",
                      http_method_str((enum http_method)h->parser.method), before, (int)h->path.len,
                      h->path.at, (int)h->parser.http_minor);
}

int
egress_head_forward(const struct egress_head *h, struct buf *out)
{
    int r = write_target(h, out);

    if (r == 0)
        r = write_host(h, out);
    for (size_t i = 0; r == 0 && i < h->fields; i++) {
        const struct egress_span *name = &h->names[i], *value = &h->values[i];

        if (!stays_here(h, name))
            r = buf_printf(out, "%.*s: %.*s\r\n", (int)name->len, name->at, (int)value->len,
                           value->at);
    }
    if (r == 0 && h->chunked)
        r = buf_printf(out, "Transfer-Encoding: chunked\r\n");
    return r < 0 ? r : buf_printf(out, "Connection: close\r\n\r\n");
}
