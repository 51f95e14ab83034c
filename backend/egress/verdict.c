/* The policy: see verdict.h. */
#include "backend/egress/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/*
 * Whether @pattern can name @name, by the labels at its end that are ASCII: no mapping changes
 * those but in their case. It is quick, and most patterns need no more.
 */
static bool
ends_alike(const char *pattern, const char *name)
{
    size_t len = strlen(pattern), name_len = strlen(name), from = len;

    while (from > 0 && (unsigned char)pattern[from - 1] < 0x80)
        from--;
    if (from > 0) /* the rest of this label is mapped with what is before */
        from += strcspn(pattern + from, ".");
    else if (pattern[0] == '*')
        from = 1;
    if (from < len && pattern[len - 1] == '.')
        len--;
    return len - from <= name_len &&
           strncasecmp(pattern + from, name + name_len - (len - from), len - from) == 0;
}

/* The first of @patterns that names the host name @name, as the admin wrote it; NULL: none does. */
static const char *
find_name(const struct strings *patterns, const char *name)
{
    char pattern[EGRESS_NAME_SIZE];

    for (size_t i = 0; i < patterns->count; i++)
        if (ends_alike(patterns->items[i], name) &&
            egress_pattern(patterns->items[i], pattern) == 0 && egress_pattern_names(pattern, name))
            return patterns->items[i];
    return NULL;
}

/* The first of @patterns that is the address @a, in whatever spelling; NULL: none is. */
static const char *
find_address(const struct strings *patterns, const struct egress_address *a)
{
    struct egress_address address;

    for (size_t i = 0; i < patterns->count; i++)
        if (egress_address_parse(patterns->items[i], &address) == 0 &&
            memcmp(&address, a, sizeof(address)) == 0)
            return patterns->items[i];
    return NULL;
}

/* Whether @host is in its one spelling, without which no pattern would know it; *ret_address is
 * what it is a literal of, if *ret_literal. */
static bool
is_host(const char *host, bool *ret_literal, struct egress_address *ret_address)
{
    char spelled[EGRESS_NAME_SIZE];

    *ret_literal = egress_address_parse(host, ret_address) == 0;
    return host[0] != '*' && egress_pattern(host, spelled) == 0 && strcmp(host, spelled) == 0;
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
    const char *blocked = NULL, *allowed = NULL;
    struct egress_address a;
    struct egress_verdict v;
    bool literal;

    if (reaches_nothing(s, network, &v))
        return v;
    if (!is_host(host, &literal, &a))
        return verdict(false, "not a host's name or address in its one spelling");
    if (p->enabled)
        blocked =
            literal ? find_address(&p->blocked_domains, &a) : find_name(&p->blocked_domains, host);
    if (blocked)
        return verdict(false, "network_policy.blocked_domains: %s", blocked);
    if (!egress_proxied(s, network))
        return verdict(true, "network Full, and nothing is blocked");
    allowed =
        literal ? find_address(&p->allowed_domains, &a) : find_name(&p->allowed_domains, host);
    if (!allowed && literal)
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
find_blocked(const struct network_policy *p, const struct egress_address *a)
{
    const char *blocked = find_address(&p->blocked_domains, a);
    struct egress_address carried;

    if (blocked || !egress_address_carried(a, &carried))
        return blocked;
    return find_address(&p->blocked_domains, &carried);
}

struct egress_verdict
egress_judge_address(const struct settings *s, enum network network, const struct egress_address *a)
{
    const struct network_policy *p = &s->policy.network_policy;
    const char *blocked = p->enabled ? find_blocked(p, a) : NULL;
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
    if (egress_address_ours(a))
        return verdict(false, "an address of this machine, not in egress.permit_addresses");
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
