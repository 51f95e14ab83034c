/* Kinds of rules: see tally.h. */
#include "backend/egress/tally.h"

#include <string.h>

#include "backend/cleanup.h"

enum metrics_rule
tally_kind(const char *rule)
{
    /* What may quote a client is known by how it begins; the last one begins with an address. */
    static const struct {
        const char *text;
        bool anywhere;
        enum metrics_rule kind;
    } kinds[] = {
        {"network_policy.allowed_domains", false, METRICS_RULE_ALLOWED_DOMAINS},
        {"network_policy.blocked_domains", false, METRICS_RULE_BLOCKED_DOMAINS},
        {"network_policy.enabled", false, METRICS_RULE_ENABLED},
        {"network ", false, METRICS_RULE_NETWORK},
        {"the container's network", false, METRICS_RULE_NETWORK},
        {"egress.ports", false, METRICS_RULE_PORTS},
        {"egress.plain_ports", false, METRICS_RULE_PORTS},
        {"egress.connections_max", false, METRICS_RULE_LIMIT},
        {"egress.mb_per_hour", false, METRICS_RULE_LIMIT},
        {"tls", false, METRICS_RULE_TLS},
        {"bad request: ", false, METRICS_RULE_REQUEST},
        {"not a host's name", false, METRICS_RULE_REQUEST},
        {"upstream: ", false, METRICS_RULE_UPSTREAM},
        {"egress.permit_addresses", true, METRICS_RULE_ADDRESS},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].anywhere ? strstr(rule, kinds[i].text) != NULL
                              : strncmp(rule, kinds[i].text, strlen(kinds[i].text)) == 0)
            return kinds[i].kind;
    return METRICS_RULE_OTHER;
}

void
tally(bool allowed, const char *rule)
{
    metrics_egress(allowed, tally_kind(rule));
}
