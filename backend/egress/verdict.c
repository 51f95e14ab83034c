/* The policy: see verdict.h. */
#include "backend/egress/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/egress/name.h"
#include "backend/utf8.h"

static struct egress_verdict verdict(bool allowed, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A pattern of the admin's may be long, and is text: it is cut where a character ends. */
static struct egress_verdict
verdict(bool allowed, const char *fmt, ...)
{
    struct egress_verdict v = {.allowed = allowed};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(v.rule, sizeof(v.rule), fmt, ap);
    va_end(ap);
    v.rule[utf8_trim_end(v.rule, strlen(v.rule))] = '\0';
    return v;
}

/* The first of @patterns that names @host, as the admin wrote it; NULL: none does. */
static const char *
find_pattern(const struct strings *patterns, const char *host)
{
    char pattern[EGRESS_NAME_SIZE];

    for (size_t i = 0; i < patterns->count; i++)
        if (egress_pattern(patterns->items[i], pattern) == 0 && egress_pattern_names(pattern, host))
            return patterns->items[i];
    return NULL;
}

static bool
ints_hold(const struct ints *list, unsigned value)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == value)
            return true;
    return false;
}

/* Why nothing is reached by containers of @network, whatever the host; false: some may be. */
static bool
reaches_nothing(const struct settings *s, enum network network, struct egress_verdict *ret)
{
    switch (network) {
    case NETWORK_FULL:
        return false;
    case NETWORK_RESTRICTED:
        *ret = verdict(false, "network_policy.enabled is false");
        return !s->policy.network_policy.enabled;
    case NETWORK_UNSET:
    case NETWORK_NONE:
        break;
    }
    *ret = verdict(false, "network None reaches nothing");
    return true;
}

struct egress_verdict
egress_judge(const struct settings *s, enum network network, const char *host, unsigned port)
{
    const struct network_policy *p = &s->policy.network_policy;
    const char *blocked = p->enabled ? find_pattern(&p->blocked_domains, host) : NULL;
    const char *allowed = find_pattern(&p->allowed_domains, host);
    struct egress_address address;
    struct egress_verdict v;

    if (reaches_nothing(s, network, &v))
        return v;
    if (blocked)
        return verdict(false, "network_policy.blocked_domains: %s", blocked);
    if (network == NETWORK_FULL && !egress_proxied(s, network))
        return verdict(true, "network Full, and nothing is blocked");
    if (!allowed && egress_address_parse(host, &address) == 0)
        return verdict(false, "network_policy.allowed_domains does not name this address");
    if (!allowed && network == NETWORK_RESTRICTED)
        return verdict(false, "network_policy.allowed_domains does not name it");
    if (port > 0 && network == NETWORK_RESTRICTED && !ints_hold(&s->egress.ports, port))
        return verdict(false, "egress.ports does not hold %u", port);
    if (allowed)
        return verdict(true, "network_policy.allowed_domains: %s", allowed);
    return verdict(true, "network_policy.blocked_domains does not name it");
}

/* The entry of blocked_domains that is the address @a, or what @a carries; NULL: none is. */
static const char *
find_blocked_address(const struct network_policy *p, const struct egress_address *a)
{
    char text[EGRESS_ADDRESS_SIZE];
    struct egress_address carried;
    const char *blocked;

    egress_address_text(a, text);
    blocked = find_pattern(&p->blocked_domains, text);
    if (blocked || !egress_address_carried(a, &carried))
        return blocked;
    egress_address_text(&carried, text);
    return find_pattern(&p->blocked_domains, text);
}

struct egress_verdict
egress_judge_address(const struct settings *s, enum network network, const struct egress_address *a)
{
    const struct network_policy *p = &s->policy.network_policy;
    const char *blocked = p->enabled ? find_blocked_address(p, a) : NULL;
    const char *permit = egress_cidrs_find(&s->egress.permit_addresses, a);
    char text[EGRESS_ADDRESS_SIZE];
    struct egress_verdict v;

    egress_address_text(a, text);
    if (reaches_nothing(s, network, &v))
        return v;
    if (blocked)
        return verdict(false, "network_policy.blocked_domains: %s", blocked);
    if (permit)
        return verdict(true, "egress.permit_addresses: %s", permit);
    if (!egress_address_public(a))
        return verdict(false, "%s is no address of the internet, nor in egress.permit_addresses",
                       text);
    return verdict(true, "%s is an address of the internet", text);
}

bool
egress_plain_allowed(const struct settings *s, enum network network, unsigned port)
{
    switch (network) {
    case NETWORK_FULL:
        return port != 443;
    case NETWORK_RESTRICTED:
        return ints_hold(&s->egress.plain_ports, port);
    case NETWORK_UNSET:
    case NETWORK_NONE:
        break;
    }
    return false;
}

bool
egress_proxied(const struct settings *s, enum network network)
{
    const struct network_policy *p = &s->policy.network_policy;

    return network == NETWORK_RESTRICTED ||
           (network == NETWORK_FULL && p->enabled && p->blocked_domains.count > 0);
}
