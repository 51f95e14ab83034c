/* What passes once a host is reached: see passage.h. */
#include "backend/egress/passage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/egress/answer.h"
#include "backend/egress/hello.h"
#include "backend/id.h"

enum {
    TLS_HANDSHAKE = 0x16,             /* the first byte of TLS (RFC 8446, 5.1) */
    FORWARD_MAX = 4 * EGRESS_HEAD_MAX /* a head, rewritten, and what came with it of the body */
};

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
    client_note(c, false, "egress.mb_per_hour");
    return false;
}

static void
on_relay_done(void *arg)
{
    struct client *c = arg;

    if (c->tunnel)
        client_free(c);
    else if (c->received == 0)
        client_answer(c, 502, "the server closed the connection without a response");
    else
        client_linger(c);
}

static void
prepare_relay(struct client *c)
{
    struct proxy *p = c->door->proxy;

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

    client_note(c, true, c->rule);
    event_del(&c->readable);
    c->state = CLIENT_RELAY;
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

void
passage_judge(struct client *c)
{
    const struct settings *s = proxy_settings(c->door->proxy);
    char rule[EGRESS_RULE_SIZE] = "tls: something else than TLS";
    enum egress_hello what = EGRESS_HELLO_BAD;

    if ((unsigned char)c->first.data[0] == TLS_HANDSHAKE)
        what = look_at_hello(c, rule);
    else if (s && egress_plain_allowed(s, c->door->row.network, c->port))
        c->plain_tunnel = true;
    if (c->plain_tunnel)
        what = EGRESS_HELLO_UNNAMED;
    if (what == EGRESS_HELLO_BAD)
        client_cut(c, rule);
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
    c->state = CLIENT_HELLO;
    c->until_ms = time_monotonic_ms() + s->egress.connect_timeout_seconds * 1000;
    if (plain) { /* there, it may be the server who speaks first */
        c->until_ms = time_monotonic_ms() + c->idle_ms;
        relay_begin(&c->relay.down, NULL, 0, RELAY_GO);
    }
    event_add(&c->readable, NULL);
    if (c->first.len > 0)
        passage_judge(c);
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
        client_answer(c, 400, "the request's body cannot be read");
        return;
    }
    buf_done(&c->first);
    prepare_relay(c);
    c->relay.up.closes = c->relay.down.closes = false;
    c->relay.up.filter = plain_request;
    c->relay.down.filter = plain_response;
    c->relay.up.filter_arg = c->relay.down.filter_arg = &c->plain;
    c->state = CLIENT_RELAY;
    c->until_ms = time_monotonic_ms() + c->idle_ms;
    relay_begin(&c->relay.down, NULL, 0, RELAY_GO);
    relay_begin(&c->relay.up, out.data, out.len, step);
    buf_done(&out);
}

void
passage_begin(struct client *c, const struct settings *s)
{
    if (c->tunnel) {
        await_hello(c, s);
        return;
    }
    client_note(c, true, c->rule);
    forward(c);
}
