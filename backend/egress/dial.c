/* Resolving, judging, connecting: see dial.h. */
#include "backend/egress/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/buf.h"
#include "backend/egress/resolvers.h"
#include "backend/id.h"
#include "backend/log.h"

enum {
    SECOND_ANSWER_MS = 300, /* how long one family waits for the other (RFC 8305, 3) */
    ATTEMPT_MIN_MS = 1000,
    UNSENT_MAX = 128 << 10, /* bytes in the kernel on their way to the host */
    WINDOW_MAX = 1 << 20,   /* bytes of the host's that wait for us there */
    NAMESERVERS_SIZE = 1024
};

/* A question under way. It outlives its dial: evdns calls back also for what is cancelled. */
struct lookup {
    struct dial *dial; /* NULL: nobody waits any more */
    struct evdns_request *request;
    size_t slot; /* in dial->lookups */
};

static void
note_why(struct dial *d, const char *text)
{
    if (!d->why[0])
        snprintf(d->why, sizeof(d->why), "%s", text);
}

static void
finish(struct dial *d, enum dial_end end)
{
    dial_cancel(d);
    d->done(d->arg, end);
}

/* Whether the next address may be reached by the settings of this moment. */
static bool
may_reach(struct dial *d, const struct egress_address *a)
{
    const struct settings *s = proxy_settings(d->proxy);
    struct egress_verdict verdict;

    if (!s) {
        note_why(d, "the settings cannot be read");
        return false;
    }
    verdict = egress_judge_address(s, d->network, a);
    if (!verdict.allowed) {
        note_why(d, verdict.rule);
        return false;
    }
    return true;
}

static void on_connected(evutil_socket_t fd, short what, void *arg);

/* The kernel would keep several MiB for whoever does not read; this is enough for a fast way. */
static void
set_bounds(int fd)
{
    const int on = 1, unsent = UNSENT_MAX, window = WINDOW_MAX;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, sizeof(window));
}

/* Begin to connect. Returns 0 while that is under way, or a negative errno. */
static int
begin_attempt(struct dial *d, const struct egress_address *a)
{
    int64_t left_ms = d->until_ms - time_monotonic_ms();
    int64_t share_ms = left_ms / (int64_t)(d->count - d->next + 1);
    struct timeval patience;
    struct sockaddr_storage to;
    socklen_t len = egress_address_socket(a, d->port, &to);

    if (share_ms < ATTEMPT_MIN_MS)
        share_ms = ATTEMPT_MIN_MS;
    patience = (struct timeval){.tv_sec = share_ms / 1000, .tv_usec = share_ms % 1000 * 1000};
    d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0)
        return -errno;
    set_bounds(d->fd);
    if (connect(d->fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
        return -errno;
    d->event = event_new(d->proxy->base, d->fd, EV_WRITE, on_connected, d);
    if (!d->event || event_add(d->event, &patience) < 0)
        return -ENOMEM;
    return 0;
}

static void
end_attempt(struct dial *d)
{
    if (d->event)
        event_free(d->event);
    d->event = NULL;
    closep(&d->fd);
    d->fd = -1;
}

static void
note_failure(struct dial *d, int errnum)
{
    char text[96];

    d->tried++;
    d->timed_out = errnum == ETIMEDOUT;
    note_why(d, strerror_r(errnum, text, sizeof(text)));
    end_attempt(d);
}

/* Begin with the next address that may be reached; the dial ends if there is none. */
static void
try_next(struct dial *d)
{
    while (d->next < d->count) {
        const struct egress_address *a = &d->addresses[d->next++];
        int r;

        if (!may_reach(d, a))
            continue;
        r = begin_attempt(d, a);
        if (r == 0)
            return;
        note_failure(d, -r);
    }
    if (d->tried == 0)
        finish(d, DIAL_REFUSED);
    else
        finish(d, d->timed_out ? DIAL_TIMED_OUT : DIAL_FAILED);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct dial *d = arg;
    int errnum = ETIMEDOUT;
    socklen_t len = sizeof(errnum);

    if (what & EV_WRITE && getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
        errnum = errno;
    if (errnum != 0) {
        note_failure(d, errnum);
        try_next(d);
        return;
    }
    event_free(d->event);
    d->event = NULL;
    d->done(d->arg, DIAL_CONNECTED);
}

/* Both families have answered, or one has and the other is slow. */
static void
resolved(struct dial *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->lookups); i++) {
        struct lookup *l = d->lookups[i];

        if (l) {
            l->dial = NULL;
            d->lookups[i] = NULL;
            evdns_cancel_request(d->proxy->dns, l->request);
        }
    }
    if (d->count == 0) {
        finish(d, d->timed_out ? DIAL_TIMED_OUT : DIAL_FAILED);
        return;
    }
    d->why[0] = '\0'; /* that one family has no address is no failure */
    d->timed_out = false;
    try_next(d);
}

/* Take over an answer's addresses: half of the places are the first family's. */
static void
take_addresses(struct dial *d, char type, int count, const void *addresses)
{
    size_t room = DIAL_ADDRESSES_MAX - d->count;
    const unsigned char *at = addresses;
    size_t size = type == DNS_IPv6_AAAA ? 16 : 4;

    if (room > DIAL_ADDRESSES_MAX / 2)
        room = DIAL_ADDRESSES_MAX / 2;
    for (int i = 0; i < count && (size_t)i < room; i++, at += size) {
        struct egress_address *a = &d->addresses[d->count++];

        *a = (struct egress_address){0};
        if (type == DNS_IPv6_AAAA) {
            memcpy(a->bytes.s6_addr, at, size);
        } else {
            a->bytes.s6_addr[10] = a->bytes.s6_addr[11] = 0xff;
            memcpy(&a->bytes.s6_addr[12], at, size);
        }
    }
}

static void
on_answer(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    _cleanup_(freep) struct lookup *l = arg;
    struct dial *d = l->dial;
    char text[96];

    (void)ttl;
    if (!d)
        return;
    d->lookups[l->slot] = NULL;
    if (result == DNS_ERR_NONE && (type == DNS_IPv4_A || type == DNS_IPv6_AAAA)) {
        take_addresses(d, type, count, addresses);
        d->answered_ms = time_monotonic_ms();
    } else {
        snprintf(text, sizeof(text), "its name does not resolve: %s", evdns_err_to_string(result));
        note_why(d, text);
        d->timed_out = result == DNS_ERR_TIMEOUT;
    }
    if (!d->lookups[0] && !d->lookups[1])
        resolved(d);
}

/* Ask for one family's addresses. */
static void
ask(struct dial *d, const char *host, size_t slot)
{
    struct lookup *l = calloc(1, sizeof(*l));

    if (!l)
        return;
    *l = (struct lookup){.dial = d, .slot = slot};
    if (slot == 0)
        l->request =
            evdns_base_resolve_ipv4(d->proxy->dns, host, DNS_QUERY_NO_SEARCH, on_answer, l);
    else
        l->request =
            evdns_base_resolve_ipv6(d->proxy->dns, host, DNS_QUERY_NO_SEARCH, on_answer, l);
    if (l->request)
        d->lookups[slot] = l;
    else
        free(l);
}

void
dial_start(struct dial *d, const char *host, const struct egress_address *literal)
{
    d->fd = -1;
    if (literal) {
        d->addresses[d->count++] = *literal;
        try_next(d);
        return;
    }
    ask(d, host, 0);
    ask(d, host, 1);
    if (!d->lookups[0] && !d->lookups[1]) {
        note_why(d, "its name does not resolve: no nameserver can be asked");
        finish(d, DIAL_FAILED);
    }
}

void
dial_tick(struct dial *d, int64_t now_ms)
{
    bool waits = d->lookups[0] || d->lookups[1];

    if (now_ms >= d->until_ms) {
        note_why(d, waits ? "its name does not resolve in time" : "it does not answer in time");
        finish(d, DIAL_TIMED_OUT);
    } else if (waits && d->count > 0 && now_ms - d->answered_ms >= SECOND_ANSWER_MS) {
        resolved(d);
    }
}

void
dial_cancel(struct dial *d)
{
    if (!d->proxy)
        return;
    for (size_t i = 0; i < ARRAY_LEN(d->lookups); i++) {
        struct lookup *l = d->lookups[i];

        d->lookups[i] = NULL;
        if (!l)
            continue;
        l->dial = NULL;
        evdns_cancel_request(d->proxy->dns, l->request);
    }
    end_attempt(d);
}

const struct egress_address *
dial_address(const struct dial *d)
{
    return &d->addresses[d->next - 1];
}

static char *
join(const struct strings *list)
{
    struct buf text;

    buf_init(&text, NAMESERVERS_SIZE);
    for (size_t i = 0; i < list->count; i++)
        buf_printf(&text, "%s ", list->items[i]);
    buf_append(&text, "", 0);
    return text.data ? buf_take(&text) : strdup("");
}

void
dial_nameservers(struct proxy *p, const struct settings *s, bool again)
{
    const struct strings *list = &s->egress.nameservers;
    char *wanted = join(list);

    if (!wanted || (!again && p->nameservers && strcmp(wanted, p->nameservers) == 0)) {
        free(wanted);
        return;
    }
    free(p->nameservers);
    p->nameservers = wanted;
    evdns_base_clear_nameservers_and_suspend(p->dns);
    if (list->count == 0)
        evdns_base_resolv_conf_parse(p->dns, DNS_OPTION_NAMESERVERS, RESOLVERS_FILE);
    for (size_t i = 0; i < list->count; i++)
        if (evdns_base_nameserver_ip_add(p->dns, list->items[i]) != 0)
            log_warn("egress.nameservers: '%s' cannot be used", list->items[i]);
    evdns_base_resume(p->dns);
}
