/* One connection's states: see client.h. */
#include "backend/egress/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "backend/egress/answer.h"
#include "backend/egress/passage.h"
#include "backend/egress/scribe.h"
#include "backend/egress/tally.h"
#include "backend/id.h"

enum { LINGER_MS = 1000 }; /* for the client to take the answer */

void
client_note(struct client *c, bool allowed, const char *rule)
{
    const struct ledger_attempt attempt = {
        .container = &c->door->row,
        .host = c->host[0] ? c->host : "?",
        .port = c->port,
        .allowed = allowed,
        .rule = rule,
    };

    tally(allowed, rule);
    if (c->door->known) /* else there is no owner whose entry it could be */
        scribe_note(c->door->proxy->scribe, &attempt);
    c->noted = true;
}

void
client_linger(struct client *c)
{
    relay_stop(&c->relay);
    dial_cancel(&c->dial);
    closep(&c->upstream);
    c->upstream = -1;
    buf_done(&c->first);
    c->state = CLIENT_LINGER;
    c->until_ms = time_monotonic_ms() + LINGER_MS;
    shutdown(c->fd, SHUT_WR); /* a close could take back what it has not read */
    event_add(&c->readable, NULL);
}

void
client_answer(struct client *c, int status, const char *rule)
{
    answer_send(c->fd, status, rule);
    client_linger(c);
}

static void
refuse(struct client *c, int status, const char *rule)
{
    client_note(c, false, rule);
    client_answer(c, status, rule);
}

void
client_cut(struct client *c, const char *rule)
{
    client_note(c, false, rule);
    client_free(c);
}

static void
on_dialled(void *arg, enum dial_end end)
{
    struct client *c = arg;
    const struct settings *s = proxy_settings(c->door->proxy);
    char rule[EGRESS_RULE_SIZE];

    if (end == DIAL_CONNECTED) {
        c->upstream = c->dial.fd;
        c->dial.fd = -1;
        if (s)
            passage_begin(c, s);
        else
            refuse(c, 503, "the settings cannot be read");
    } else if (end == DIAL_REFUSED) {
        refuse(c, 403, c->dial.why);
    } else {
        snprintf(rule, sizeof(rule), "upstream: %.240s", c->dial.why);
        client_note(c, true, rule);
        client_answer(c, end == DIAL_FAILED ? 502 : 504, rule);
    }
}

/* Decide on a request whose head is whole. */
static void
decide(struct client *c, const struct egress_head *head)
{
    const struct settings *s = proxy_settings(c->door->proxy);
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
    c->state = CLIENT_DIAL;
    c->idle_ms = s->egress.idle_timeout_seconds * 1000;
    c->dial = (struct dial){
        .proxy = c->door->proxy,
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
    char *scratch = c->door->proxy->scratch;
    size_t room = c->state == CLIENT_LINGER ? PROXY_SCRATCH_SIZE : c->first.max - c->first.len;
    ssize_t n = recv(fd, scratch, room, 0);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_free(c);
        return;
    }
    if (c->state == CLIENT_LINGER)
        return;
    if (buf_append(&c->first, scratch, (size_t)n) < 0) {
        client_free(c);
        return;
    }
    /* Only the end of a line makes news of a head, so that one of single bytes is cheap. */
    if (c->state == CLIENT_HELLO)
        passage_judge(c);
    else if (memchr(scratch, '\n', (size_t)n) || c->first.len == c->first.max)
        read_head(c);
}

/* NULL without memory; @fd is closed then. */
static struct client *
make(struct door *d, int fd)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return NULL;
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
    return c;
}

void
client_new(struct door *d, int fd)
{
    make(d, fd);
}

void
client_turn_away(struct door *d, int fd, int status, const char *rule)
{
    struct client *c = make(d, fd);

    if (c)
        client_answer(c, status, rule);
}

void
client_free(struct client *c)
{
    if (c->state == CLIENT_HELLO && !c->noted)
        client_note(c, true, c->rule);
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
    if ((c->state == CLIENT_DIAL || c->relay.up.ended) && hung_up(c->fd))
        client_free(c);
    else if (c->state == CLIENT_DIAL)
        dial_tick(&c->dial, now_ms);
    else if (now_ms < c->until_ms)
        return;
    else if (c->state == CLIENT_HEAD)
        client_answer(c, 408, "no request in time");
    else if (c->state == CLIENT_HELLO)
        client_cut(c, "tls: no ClientHello in time");
    else if (c->state == CLIENT_RELAY && !c->tunnel && c->received == 0)
        client_answer(c, 504, "the server did not answer in time");
    else
        client_free(c);
}

void
client_judge(struct client *c, const char *refusal)
{
    const struct settings *s = proxy_settings(c->door->proxy);
    enum network network = c->door->row.network;
    struct egress_verdict verdict = {.allowed = false};

    if (c->state == CLIENT_HEAD || c->state == CLIENT_LINGER)
        return;
    if (!s || refusal) {
        snprintf(verdict.rule, sizeof(verdict.rule), "%s",
                 refusal ? refusal : "the settings cannot be read");
    } else {
        verdict = egress_judge(s, network, c->host, c->port);
        if (verdict.allowed && c->state != CLIENT_DIAL)
            verdict = egress_judge_address(s, network, dial_address(&c->dial));
        if (verdict.allowed && c->plain_tunnel && !egress_plain_allowed(s, network, c->port))
            verdict = (struct egress_verdict){.rule = "egress.plain_ports"};
        c->idle_ms = s->egress.idle_timeout_seconds * 1000;
    }
    if (verdict.allowed)
        return;
    if (c->state == CLIENT_DIAL)
        refuse(c, 403, verdict.rule);
    else
        client_cut(c, verdict.rule);
}

void
client_count(struct client *c)
{
    uint64_t sent = c->sent - c->counted_sent;
    uint64_t received = c->received - c->counted_received;

    if (sent == 0 && received == 0)
        return;
    scribe_carried(c->door->proxy->scribe, &c->door->row, c->host, c->port, sent, received);
    c->counted_sent = c->sent;
    c->counted_received = c->received;
}

struct client *
client_next(const struct client *c)
{
    return c->next;
}
