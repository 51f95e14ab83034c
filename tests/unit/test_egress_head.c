/* Heads of proxy requests: what is asked for, what is sent on, and what smuggles. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/cleanup.h"
#include "backend/egress/head.h"

static enum egress_head_status
read_text(const char *text, struct egress_head *ret)
{
    return egress_head_read(text, strlen(text), ret);
}

static void
good_heads_say_who_is_asked_for(void **state)
{
    static const struct {
        const char *text;
        enum egress_head_status status;
        const char *host;
        unsigned port;
        bool literal;
    } cases[] = {
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", EGRESS_HEAD_CONNECT,
         "example.org", 443, false},
        {"CONNECT example.org:443 HTTP/1.0\r\n\r\n", EGRESS_HEAD_CONNECT, "example.org", 443,
         false},
        {"CONNECT EXAMPLE.org.:8443 HTTP/1.1\r\nhost: example.ORG:8443\r\n\r\n",
         EGRESS_HEAD_CONNECT, "example.org", 8443, false},
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", EGRESS_HEAD_CONNECT,
         "example.org", 443, false},
        {"CONNECT [2001:DB8::1]:443 HTTP/1.1\r\nHost: [2001:db8:0::1]:443\r\n\r\n",
         EGRESS_HEAD_CONNECT, "2001:db8::1", 443, true},
        {"CONNECT 2130706433:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n", EGRESS_HEAD_CONNECT,
         "127.0.0.1", 443, true},
        {"CONNECT 0x7f.1:443 HTTP/1.0\r\n\r\n", EGRESS_HEAD_CONNECT, "127.0.0.1", 443, true},
        {"GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\n\r\n", EGRESS_HEAD_FORWARD,
         "example.org", 80, false},
        {"GET HTTP://example.org:8080 HTTP/1.1\r\nHost: Example.org.:8080\r\n\r\n",
         EGRESS_HEAD_FORWARD, "example.org", 8080, false},
        {"GET http://xn--bcher-kva.example/ HTTP/1.1\r\nHost: XN--BCHER-KVA.example\r\n\r\n",
         EGRESS_HEAD_FORWARD, "xn--bcher-kva.example", 80, false},
        {"POST http://example.org/ HTTP/1.1\r\nHost:example.org \r\nContent-Length: 3\r\n\r\nabc",
         EGRESS_HEAD_FORWARD, "example.org", 80, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct egress_head h;

        print_message("%s", cases[i].text);
        assert_int_equal(read_text(cases[i].text, &h), cases[i].status);
        assert_string_equal(h.host, cases[i].host);
        assert_int_equal(h.port, cases[i].port);
        assert_int_equal(h.literal, cases[i].literal);
        assert_int_equal(h.len, strstr(cases[i].text, "\r\n\r\n") + 4 - cases[i].text);
    }
}

/* Every one of them could be read in two ways, or is none of the proxy's business. */
static void
odd_heads_are_refused(void **state)
{
#define LINE "GET http://example.org/ HTTP/1.1\r\n"
#define HOST "Host: example.org\r\n"
    static const struct {
        const char *text, *why;
    } cases[] = {
        {LINE HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 3, 3\r\n\r\n", NULL},
        {LINE HOST "Content-Length: +3\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 0x3\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 3 3\r\n\r\n", NULL},
        {LINE HOST "Content-Length: -1\r\n\r\n", NULL},
        {LINE HOST "Content-Length: 99999999999999999999\r\n\r\n", NULL},
        {LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", NULL},
        {LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", NULL},
        {LINE HOST "Transfer-Encoding: chunked, identity\r\n\r\n", NULL},
        {LINE HOST "Transfer-Encoding: identity\r\n\r\n", NULL},
        {LINE HOST "Transfer-Encoding: \tchunked\x0b\r\n\r\n", "a control character"},
        {LINE HOST "Transfer-Encoding : chunked\r\n\r\n", NULL},
        {LINE HOST "Transfer Encoding: chunked\r\n\r\n", NULL},
        {LINE HOST "X: 1\r\n Transfer-Encoding: chunked\r\n\r\n", "a folded header line"},
        {LINE "Host:\r\n example.org\r\n\r\n", "a folded header line"},
        {LINE HOST "X: 1\nContent-Length: 3\r\n\r\n", "a line that ends without CR LF"},
        {LINE HOST "X: 1\rContent-Length: 3\r\n\r\n", "a CR without LF"},
        {"GET http://example.org/ HTTP/1.1\nHost: example.org\n\n",
         "a line that ends without CR LF"},
        {"\r\n" LINE HOST "\r\n", "an empty line before the request"},
        {LINE HOST "no colon\r\n\r\n", NULL},
        {LINE HOST ": no name\r\n\r\n", NULL},
        {LINE HOST "Host: example.org\r\n\r\n", "more than one Host"},
        {LINE "Host: other.org\r\n\r\n", "a Host that is not the target's"},
        {LINE "Host: example.org:81\r\n\r\n", "a Host that is not the target's"},
        {LINE "Host: example.org, other.org\r\n\r\n", "a Host that is none"},
        {LINE "Host: user@example.org\r\n\r\n", "a Host that is none"},
        {LINE "Host: \r\n\r\n", "a Host that is none"},
        {LINE "\r\n", "no Host"},
        {LINE HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "an Upgrade"},
        {LINE HOST "Upgrade: h2c\r\n\r\n", "an Upgrade"},
        {"GET http://example.org/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "a Transfer-Encoding in HTTP/1.0"},
        {"GET http://user:secret@example.org/ HTTP/1.1\r\n" HOST "\r\n",
         "a user name in the target"},
        {"GET http://example.org@other.org/ HTTP/1.1\r\nHost: other.org\r\n\r\n",
         "a user name in the target"},
        {"GET http://example.org/#part HTTP/1.1\r\n" HOST "\r\n", "a fragment in the target"},
        {"GET https://example.org/ HTTP/1.1\r\n" HOST "\r\n",
         "https:// in the target: use CONNECT, as curl does and busybox wget does not"},
        {"GET ftp://example.org/ HTTP/1.1\r\n" HOST "\r\n",
         "a target that is neither http:// nor of CONNECT"},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", "a target that is neither http:// nor of CONNECT"},
        {"GET http:///path HTTP/1.1\r\n" HOST "\r\n", NULL},
        {"GET http://example.org:/ HTTP/1.1\r\n" HOST "\r\n", "a port that is none"},
        {"GET http://example.org:0/ HTTP/1.1\r\n" HOST "\r\n", "a port that is none"},
        {"GET http://example.org:65536/ HTTP/1.1\r\n" HOST "\r\n", "a port that is none"},
        {"GET http://example.org:080/ HTTP/1.1\r\n" HOST "\r\n", "a port that is none"},
        {"GET http://2001:db8::1/ HTTP/1.1\r\nHost: 2001:db8::1\r\n\r\n", NULL},
        {"GET http://exa%6dple.org/ HTTP/1.1\r\n" HOST "\r\n", NULL},
        {"GET http://example.org\\.other.org/ HTTP/1.1\r\n" HOST "\r\n", NULL},
        {"GET http://example.org/ HTTP/2.0\r\n" HOST "\r\n", NULL},
        {"GET http://example.org/ HTTP/1.2\r\n" HOST "\r\n", NULL},
        {"GET http://example.org/\r\n\r\n", NULL},
        {"GET http://example.org/ extra HTTP/1.1\r\n" HOST "\r\n", NULL},
        {"GET  http://example.org/ HTTP/1.1\r\n" HOST "\r\n", NULL},
        {"NOTHING http://example.org/ HTTP/1.1\r\n" HOST "\r\n", "no HTTP request"},
        {"PRI * HTTP/2.0\r\n\r\n", NULL},
        {"CONNECT example.org HTTP/1.1\r\n" HOST "\r\n", "a port that is none"},
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: other.org:443\r\n\r\n",
         "a Host that is not the target's"},
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:80\r\n\r\n",
         "a Host that is not the target's"},
        {"CONNECT user@example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", NULL},
        {"CONNECT http://example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", NULL},
        {"CONNECT example.org:443/ HTTP/1.1\r\nHost: example.org:443\r\n\r\n", NULL},
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nContent-Length: 1\r\n\r\n",
         "a CONNECT with a body"},
        {"\x16\x03\x01\x02", "a control character"},
    };
#undef LINE
#undef HOST

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct egress_head h;

        print_message("%s\n", cases[i].text);
        assert_int_equal(read_text(cases[i].text, &h), EGRESS_HEAD_BAD);
        assert_non_null(h.why);
        if (cases[i].why)
            assert_string_equal(h.why, cases[i].why);
    }
}

/* Refused all the same, but the audit entry says whom it asked for. */
static void
who_is_asked_for_by_https_without_connect_is_known(void **state)
{
    struct egress_head h;

    (void)state;
    assert_int_equal(
        read_text("GET https://Example.org./a HTTP/1.1\r\nHost: example.org\r\n\r\n", &h),
        EGRESS_HEAD_BAD);
    assert_string_equal(h.host, "example.org");
    assert_int_equal(h.port, 443);
}

static void
a_nul_is_refused(void **state)
{
    static const char text[] = "GET http://example.org/\0 HTTP/1.1\r\nHost: example.org\r\n\r\n";
    struct egress_head h;

    (void)state;
    assert_int_equal(egress_head_read(text, sizeof(text) - 1, &h), EGRESS_HEAD_BAD);
    assert_string_equal(h.why, "a control character");
}

static void
a_head_may_come_in_pieces_but_not_for_ever(void **state)
{
    static const char text[] =
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nX: y\r\n\r\n";
    static char large[EGRESS_HEAD_MAX + 1];
    struct egress_head h;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_int_equal(egress_head_read(text, len, &h), EGRESS_HEAD_MORE);
    assert_int_equal(egress_head_read(text, sizeof(text) - 1, &h), EGRESS_HEAD_CONNECT);
    memset(large, 'x', sizeof(large));
    memcpy(large, "GET http://example.org/", 23); /* NOLINT: bytes, no string */
    assert_int_equal(egress_head_read(large, EGRESS_HEAD_MAX - 1, &h), EGRESS_HEAD_MORE);
    assert_int_equal(egress_head_read(large, EGRESS_HEAD_MAX, &h), EGRESS_HEAD_BAD);
    assert_string_equal(h.why, "a head that is too large");
}

static void
too_many_fields_are_refused(void **state)
{
    char text[EGRESS_HEAD_MAX] = "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n";
    struct egress_head h;

    (void)state;
    for (int i = 0; i < EGRESS_HEAD_FIELDS_MAX; i++)
        strcat(text, "X: y\r\n"); /* NOLINT: it has room */
    strcat(text, "\r\n");         /* NOLINT */
    assert_int_equal(read_text(text, &h), EGRESS_HEAD_BAD);
}

static void
what_is_sent_on_is_the_servers_alone(void **state)
{
    static const struct {
        const char *text, *forwarded;
    } cases[] = {
        {"GET http://Example.ORG./a/b?c=d HTTP/1.0\r\nProxy-Authorization: Basic eA==\r\n"
         "Proxy-Connection: keep-alive\r\nAccept: */*\r\n\r\n",
         "GET /a/b?c=d HTTP/1.0\r\nHost: example.org\r\nAccept: */*\r\nConnection: close\r\n\r\n"},
        {"GET http://example.org HTTP/1.1\r\nhost: example.org\r\nConnection: X-Mine, "
         "keep-alive\r\n"
         "X-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Other:  2 \r\n\r\n",
         "GET / HTTP/1.1\r\nHost: example.org\r\nX-Other: 2\r\nConnection: close\r\n\r\n"},
        {"GET http://example.org?q HTTP/1.1\r\nHost: example.org\r\n\r\n",
         "GET /?q HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"},
        {"OPTIONS http://example.org:8080 HTTP/1.1\r\nHost: example.org:8080\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: example.org:8080\r\nConnection: close\r\n\r\n"},
        {"POST http://[2001:db8::1]:81/ HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n"
         "Transfer-Encoding: Chunked\r\nTrailer: X\r\nExpect: 100-continue\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\nExpect: 100-continue\r\n"
         "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
        {"POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\n"
         "Connection: Content-Length, Host\r\nContent-Length: 5\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct egress_head h;
        struct buf out;

        buf_init(&out, EGRESS_HEAD_MAX);
        print_message("%s", cases[i].text);
        assert_int_equal(read_text(cases[i].text, &h), EGRESS_HEAD_FORWARD);
        assert_int_equal(egress_head_forward(&h, &out), 0);
        assert_string_equal(out.data, cases[i].forwarded);
        buf_done(&out);
    }
}

/* Whether @text is a head whose lines all end with CR LF, with one Host, that of @h. */
static bool
is_unambiguous(const struct egress_head *h, const char *text, size_t len)
{
    char host[EGRESS_NAME_SIZE + 32];
    size_t hosts = 0;

    snprintf(host, sizeof(host), h->port == 80 ? "Host: %s\r\n" : "Host: %s:%u\r\n", h->host,
             h->port);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || (text[i] == '\n' && text[i - 1] != '\r') ||
            (text[i] == '\r' && text[i + 1] != '\n'))
            return false;
        if (text[i] == '\n' && strncasecmp(text + i + 1, "Host:", 5) == 0)
            hosts += strncmp(text + i + 1, host, strlen(host)) == 0 ? 1 : 2;
    }
    return hosts == 1 && strcmp(text + len - 4, "\r\n\r\n") == 0;
}

/* Each byte of a head put wrong in each way: what is still forwarded has one reading. */
static void
a_spoiled_head_is_refused_or_has_one_reading(void **state)
{
    static const char text[] =
        "POST http://example.org:8080/a?b HTTP/1.1\r\nHost: example.org:8080\r\n"
        "Content-Length: 3\r\nConnection: X\r\nX: y\r\nZ: z\r\n\r\n";
    size_t forwarded = 0, refused = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char spoiled[sizeof(text)];
            struct egress_head h;
            struct buf out;

            memcpy(spoiled, text, sizeof(text));
            spoiled[i] = (char)byte;
            if (egress_head_read(spoiled, sizeof(text) - 1, &h) != EGRESS_HEAD_FORWARD) {
                refused++;
                continue;
            }
            buf_init(&out, EGRESS_HEAD_MAX);
            assert_int_equal(egress_head_forward(&h, &out), 0);
            if (!is_unambiguous(&h, out.data, out.len))
                fail_msg("byte %zu as %d: %s", i, byte, out.data);
            buf_done(&out);
            forwarded++;
        }
    }
    print_message("%zu forwarded, %zu refused\n", forwarded, refused);
    assert_true(forwarded > 0 && refused > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_say_who_is_asked_for),
        cmocka_unit_test(odd_heads_are_refused),
        cmocka_unit_test(who_is_asked_for_by_https_without_connect_is_known),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(a_head_may_come_in_pieces_but_not_for_ever),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(what_is_sent_on_is_the_servers_alone),
        cmocka_unit_test(a_spoiled_head_is_refused_or_has_one_reading),
    };

    return cmocka_run_group_tests_name("egress head", tests, NULL, NULL);
}
