/*
 * The policy: whether a container of a network may reach a host, and which rule decides. The proxy
 * and `explain` ask the same question here. It is asked of the name first, and of each address that
 * the name resolves to before it is connected to.
 */
#ifndef BACKEND_EGRESS_VERDICT_H
#define BACKEND_EGRESS_VERDICT_H

#include <stdbool.h>

#include "backend/config/settings.h"
#include "backend/egress/address.h"

enum { EGRESS_RULE_SIZE = 256 };

struct egress_verdict {
    bool allowed;
    char rule[EGRESS_RULE_SIZE]; /* what decides: "network_policy.blocked_domains: *.example.org" */
};

/*
 * Judge @host, in its one spelling (a name or an address's literal), and @port (1..65535; 0: not
 * asked for). Blocked wins over allowed. Restricted reaches what is allowed, on egress.ports, while
 * the policy is enabled, and nothing while it is not. Full reaches every name that is not blocked,
 * on every port, and everything while it is not egress_proxied(). Where the proxy is used a literal
 * has to be in allowed_domains, or blocking a name would block nothing. A host in another spelling
 * is refused.
 */
struct egress_verdict egress_judge(const struct settings *s, enum network network, const char *host,
                                   unsigned port);

/*
 * Judge the address that a host resolved to (or is): it has to be public and not this machine's, or
 * in egress.permit_addresses; and no entry of blocked_domains that is an address may name it.
 */
struct egress_verdict egress_judge_address(const struct settings *s, enum network network,
                                           const struct egress_address *a);

/* Whether a tunnel to @port may carry something other than TLS: Restricted on egress.plain_ports,
 * Full on every port but 443. What is TLS has to name its host wherever it goes. */
bool egress_plain_allowed(const struct settings *s, enum network network, unsigned port);

/* Whether a container of @network is to use the proxy: Restricted always, Full while the policy is
 * enabled and has blocked_domains. */
bool egress_proxied(const struct settings *s, enum network network);

#endif
