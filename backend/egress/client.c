/* One connection's states: see client.h. */
#include "backend/egress/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "backend/buf.h"
#include "backend/egress/answer.h"
#include "backend/egress/dial.h"
#include "backend/egress/head.h"
#include "backend/egress/hello.h"
#include "backend/egress/plain.h"
#include "backend/egress/relay.h"
#include "backend/id.h"

enum {
    LINGER_MS = 1000,                 /* for the client to take the answer */
    TLS_HANDSHAKE = 0x16,             /* the first byte of TLS (RFC 8446, 5.1) */
    FORWARD_MAX = 4 * EGRESS_HEAD_MAX /* a head, rewritten, and what came with it of the body */
};

enum state { HEAD, DIAL, HELLO, RELAY, LINGER };

/* Lifetime: the connection's. */
struct client {
    struct client *prev, *next; /* of the door's */
    struct door *door;
    enum state state;
    int64_t until_ms; /* monotonic: when the state has to be over */
    int64_t idle_ms;  /* the longest time without a byte */
    int fd, upstream;
    struct event readable; /* of the client's socket, until the relay takes over */
    struct buf first;      /* bytes of the client's that are still to be judged */
    char host[EGRESS_NAME_SIZE];
    unsigned port;
    bool literal, tunnel;
    bool plain_tunnel;           /* it carries something other than TLS */
    bool noted;                  /* the ledger knows */
    char rule[EGRESS_RULE_SIZE]; /* that lets it through */
    struct dial dial;
    struct relay relay;
    struct plain plain;
    uint64_t sent, received;                 /* to and from the host */
    uint64_t counted_sent, counted_received; /* of that, what the ledger knows */
};

static struct proxy *
proxy_of(const struct client *c)
{
    return c->door->proxy;
}

static void
note(struct client *c, bool allowed, const char *rule)
{
    const struct ledger_attempt attempt = {
        .container = &c->door->row,
        .host = c->host[0] ? c->host : "?",
        .port = c->port,
        .allowed = allowed,
        .rule = rule,
    };

    if (c->door->known) /* else there is no owner whose entry it could be */
        proxy_note(proxy_of(c), &attempt);
    c->noted = true;
}

/* The client has its answer: wait until it has read it, or a close could take it back. */
static void
linger(struct client *c)
{
    relay_stop(&c->relay);
    dial_cancel(&c->dial);
    closep(&c->upstream);
    c->upstream = -1;
    buf_done(&c->first);
    c->state = LINGER;
    c->until_ms = time_monotonic_ms() + LINGER_MS;
    shutdown(c->fd, SHUT_WR);
    event_add(&c->readable, NULL);
}

static void
answer(struct client *c, int status, const char *rule)
{
    answer_send(c->fd, status, rule);
    linger(c);
}

static void
refuse(struct client *c, int status, const char *rule)
{
    note(c, false, rule);
    answer(c, status, rule);
}

/* Refuse what has a tunnel already: it is too late for an answer. */
static void
cut(struct client *c, const char *rule)
{
    note(c, false, rule);
    client_free(c);
}

static bool
passed(void *arg, const struct flow *f, size_t len)
{
    struct client *c = arg;

    if (f == &c->relay.up)
        c->sent += len;
    else
        c->received += len;
    c->until_ms = time_monotonic_ms() + c->idle_ms;
    if (door_spend(c->door, len))
        return true;
    note(c, false, "egress.mb_per_hour");
    return false;
}

static void
on_relay_done(void *arg)
{
    struct client *c = arg;

    if (c->tunnel)
        client_free(c);
    else if (c->received == 0)
        answer(c, 502, "the server closed the connection without a response");
    else
        linger(c);
}

static void
prepare_relay(struct client *c)
{
    struct proxy *p = proxy_of(c);

    c->relay = (struct relay){
        .scratch = p->scratch,
        .one_shot = !c->tunnel,
        .passed = passed,
        .done = on_relay_done,
        .arg = c,
    };
    relay_init(&c->relay, p->base, c->fd, c->upstream);
}

/* Hand the tunnel over to the relay, with what the client has sent. */
static void
open_tunnel(struct client *c)
{
    size_t len = c->first.len;
    _cleanup_(freep) char *data = buf_take(&c->first);

    note(c, true, c->rule);
    event_del(&c->readable);
    c->state = RELAY;
    c->until_ms = time_monotonic_ms() + c->idle_ms;
    if (!c->relay.down.begun)
        relay_begin(&c->relay.down, NULL, 0, RELAY_GO);
    relay_begin(&c->relay.up, data, len, RELAY_GO);
}

/* Whether the tunnel's first bytes are TLS for its host, so far. *ret_rule: what is wrong. */
static enum egress_hello
look_at_hello(struct client *c, char ret_rule[EGRESS_RULE_SIZE])
{
    char name[EGRESS_NAME_SIZE] = "";
    enum egress_hello what = egress_hello_read(c->first.data, c->first.len, name);

    if (what == EGRESS_HELLO_MORE && c->first.len >= EGRESS_HELLO_MAX)
        what = EGRESS_HELLO_BAD;
    if (what == EGRESS_HELLO_BAD)
        snprintf(ret_rule, EGRESS_RULE_SIZE, "tls: no ClientHello that can be read");
    if (what == EGRESS_HELLO_UNNAMED && !c->literal) {
        snprintf(ret_rule, EGRESS_RULE_SIZE, "tls: the ClientHello names no server");
        what = EGRESS_HELLO_BAD;
    }
    if (what == EGRESS_HELLO_NAMED && (c->literal || strcmp(name, c->host) != 0)) {
        snprintf(ret_rule, EGRESS_RULE_SIZE, "tls server name is not the host: %.200s", name);
        what = EGRESS_HELLO_BAD;
    }
    return what;
}

/* Judge what the tunnel's client has sent first. */
static void
judge_first(struct client *c)
{
    const struct settings *s = proxy_settings(proxy_of(c));
    char rule[EGRESS_RULE_SIZE] = "tls: something else than TLS";
    enum egress_hello what = EGRESS_HELLO_BAD;

    if ((unsigned char)c->first.data[0] == TLS_HANDSHAKE)
        what = look_at_hello(c, rule);
    else if (s && egress_plain_allowed(s, c->door->row.network, c->port))
        c->plain_tunnel = true;
    if (c->plain_tunnel)
        what = EGRESS_HELLO_UNNAMED;
    if (what == EGRESS_HELLO_BAD)
        cut(c, rule);
    else if (what != EGRESS_HELLO_MORE)
        open_tunnel(c);
}

/* The tunnel's host is reached: say so, and wait for what goes through. */
static void
await_hello(struct client *c, const struct settings *s)
{
    bool plain = egress_plain_allowed(s, c->door->row.network, c->port);

    answer_established(c->fd);
    prepare_relay(c);
    c->state = HELLO;
    c->until_ms = time_monotonic_ms() + s->egress.connect_timeout_seconds * 1000;
    if (plain) { /* there, it may be the server who speaks first */
        c->until_ms = time_monotonic_ms() + c->idle_ms;
        relay_begin(&c->relay.down, NULL, 0, RELAY_GO);
    }
    event_add(&c->readable, NULL);
    if (c->first.len > 0)
        judge_first(c);
}

/* Write the request for the server: its head, and what has come of its body. */
static int
rewrite(struct client *c, struct buf *out, enum relay_step *ret_step)
{
    struct egress_head head;
    const char *body;
    size_t len;
    int r;

    if (egress_head_read(c->first.data, c->first.len, &head) != EGRESS_HEAD_FORWARD)
        return -EINVAL;
    plain_init(&c->plain, &head);
    r = egress_head_forward(&head, out);
    *ret_step = head.complete ? RELAY_LAST : RELAY_GO;
    body = c->first.data + head.len;
    len = c->first.len - head.len;
    if (r < 0 || head.complete || len == 0)
        return r;
    *ret_step = plain_request(&c->plain, &body, &len);
    return buf_append(out, body, len);
}

/* The request's host is reached: send the request there. */
static void
forward(struct client *c)
{
    struct buf out;
    enum relay_step step = RELAY_END;

    buf_init(&out, FORWARD_MAX);
    if (rewrite(c, &out, &step) < 0 || step == RELAY_END) {
        buf_done(&out);
        answer(c, 400, "the request's body cannot be read");
        return;
    }
    buf_done(&c->first);
    prepare_relay(c);
    c->relay.up.closes = c->relay.down.closes = false;
    c->relay.up.filter = plain_request;
    c->relay.down.filter = plain_response;
    c->relay.up.filter_arg = c->relay.down.filter_arg = &c->plain;
    c->state = RELAY;
    c->until_ms = time_monotonic_ms() + c->idle_ms;
    relay_begin(&c->relay.down, NULL, 0, RELAY_GO);
    relay_begin(&c->relay.up, out.data, out.len, step);
    buf_done(&out);
}

static void
on_dialled(void *arg, enum dial_end end)
{
    struct client *c = arg;
    const struct settings *s = proxy_settings(proxy_of(c));
    char rule[EGRESS_RULE_SIZE];

    if (end == DIAL_CONNECTED) {
        c->upstream = c->dial.fd;
        c->dial.fd = -1;
        if (!s) {
            refuse(c, 503, "the settings cannot be read");
        } else if (c->tunnel) {
            await_hello(c, s);
        } else {
            note(c, true, c->rule);
            forward(c);
        }
    } else if (end == DIAL_REFUSED) {
        refuse(c, 403, c->dial.why);
    } else {
        snprintf(rule, sizeof(rule), "upstream: %.240s", c->dial.why);
        note(c, true, rule);
        answer(c, end == DIAL_FAILED ? 502 : 504, rule);
    }
}

/* Decide on a request whose head is whole. */
static void
decide(struct client *c, const struct egress_head *head)
{
    const struct settings *s = proxy_settings(proxy_of(c));
    const char *refusal = door_refusal(c->door);
    struct egress_verdict verdict;

    if (!s || refusal) {
        refuse(c, s && c->door->known ? 403 : 503, s ? refusal : "the settings cannot be read");
        return;
    }
    if (!door_spend(c->door, 0)) {
        refuse(c, 429, "egress.mb_per_hour");
        return;
    }
    verdict = egress_judge(s, c->door->row.network, c->host, c->port);
    if (!verdict.allowed) {
        refuse(c, 403, verdict.rule);
        return;
    }
    snprintf(c->rule, sizeof(c->rule), "%s", verdict.rule);
    if (c->tunnel)
        buf_consume(&c->first, head->len);
    event_del(&c->readable);
    c->state = DIAL;
    c->idle_ms = s->egress.idle_timeout_seconds * 1000;
    c->dial = (struct dial){
        .proxy = proxy_of(c),
        .network = c->door->row.network,
        .port = c->port,
        .until_ms = time_monotonic_ms() + s->egress.connect_timeout_seconds * 1000,
        .done = on_dialled,
        .arg = c,
    };
    dial_start(&c->dial, c->host, c->literal ? &head->address : NULL);
}

static void
read_head(struct client *c)
{
    struct egress_head head;
    enum egress_head_status status = egress_head_read(c->first.data, c->first.len, &head);
    char rule[EGRESS_RULE_SIZE];

    if (status == EGRESS_HEAD_MORE)
        return;
    snprintf(c->host, sizeof(c->host), "%s", head.host);
    c->port = head.port;
    c->literal = head.literal;
    c->tunnel = status == EGRESS_HEAD_CONNECT;
    if (status == EGRESS_HEAD_BAD) {
        door_refusal(c->door); /* reads whose it is */
        snprintf(rule, sizeof(rule), "bad request: %s", head.why);
        refuse(c, 400, rule);
        return;
    }
    decide(c, &head);
}

/* The client's bytes, as long as they are ours to look at. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    char *scratch = proxy_of(c)->scratch;
    size_t room = c->state == LINGER ? PROXY_SCRATCH_SIZE : c->first.max - c->first.len;
    ssize_t n = recv(fd, scratch, room, 0);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_free(c);
        return;
    }
    if (c->state == LINGER)
        return;
    if (buf_append(&c->first, scratch, (size_t)n) < 0) {
        client_free(c);
        return;
    }
    /* Only the end of a line makes news of a head, so that one of single bytes is cheap. */
    if (c->state == HELLO)
        judge_first(c);
    else if (memchr(scratch, '\n', (size_t)n) || c->first.len == c->first.max)
        read_head(c);
}

void
client_new(struct door *d, int fd)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return;
    }
    c->door = d;
    c->fd = fd;
    c->upstream = -1;
    c->until_ms = time_monotonic_ms() + PROXY_HEAD_TIMEOUT_MS;
    buf_init(&c->first, EGRESS_HEAD_MAX);
    event_assign(&c->readable, d->proxy->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_add(&c->readable, NULL);
    DL_APPEND(d->clients, c);
    d->count++;
    d->proxy->connections++;
}

void
client_free(struct client *c)
{
    if (c->state == HELLO && !c->noted)
        note(c, true, c->rule);
    client_count(c);
    event_del(&c->readable);
    relay_stop(&c->relay);
    dial_cancel(&c->dial);
    plain_done(&c->plain);
    buf_done(&c->first);
    closep(&c->fd);
    closep(&c->upstream);
    DL_DELETE(c->door->clients, c);
    c->door->count--;
    c->door->proxy->connections--;
    free(c);
}

/* Whether the other side of a unix socket is gone altogether, not only done with sending. */
static bool
hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

void
client_tick(struct client *c, int64_t now_ms)
{
    if ((c->state == DIAL || c->relay.up.ended) && hung_up(c->fd))
        client_free(c);
    else if (c->state == DIAL)
        dial_tick(&c->dial, now_ms);
    else if (now_ms < c->until_ms)
        return;
    else if (c->state == HEAD)
        answer(c, 408, "no request in time");
    else if (c->state == HELLO)
        cut(c, "tls: no ClientHello in time");
    else
        client_free(c);
}

void
client_judge(struct client *c, const char *refusal)
{
    const struct settings *s = proxy_settings(proxy_of(c));
    enum network network = c->door->row.network;
    struct egress_verdict verdict = {.allowed = false};

    if (c->state == HEAD || c->state == LINGER)
        return;
    if (!s || refusal) {
        snprintf(verdict.rule, sizeof(verdict.rule), "%s",
                 refusal ? refusal : "the settings cannot be read");
    } else {
        verdict = egress_judge(s, network, c->host, c->port);
        if (verdict.allowed && c->state != DIAL)
            verdict = egress_judge_address(s, network, dial_address(&c->dial));
        if (verdict.allowed && c->plain_tunnel && !egress_plain_allowed(s, network, c->port))
            verdict = (struct egress_verdict){.rule = "egress.plain_ports"};
        c->idle_ms = s->egress.idle_timeout_seconds * 1000;
    }
    if (verdict.allowed)
        return;
    if (c->state == DIAL)
        refuse(c, 403, verdict.rule);
    else
        cut(c, verdict.rule);
}

void
client_count(struct client *c)
{
    uint64_t sent = c->sent - c->counted_sent;
    uint64_t received = c->received - c->counted_received;

    if (sent == 0 && received == 0)
        return;
    ledger_carried(proxy_of(c)->ledger, &c->door->row, c->host, c->port, sent, received);
    c->counted_sent = c->sent;
    c->counted_received = c->received;
}

struct client *
client_next(const struct client *c)
{
    return c->next;
}
