/*
 * Addresses: every spelling of one is one address, and most are not the internet.
 */
#ifndef BACKEND_EGRESS_ADDRESS_H
#define BACKEND_EGRESS_ADDRESS_H

#include <stdbool.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "backend/schema.h"

enum { EGRESS_ADDRESS_SIZE = INET6_ADDRSTRLEN, EGRESS_CIDR_SIZE = INET6_ADDRSTRLEN + 4 };

/* IPv4 as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that there is one form. */
struct egress_address {
    struct in6_addr bytes;
};

/*
 * Read the literal @text: dotted IPv4, what else inet_aton(3) takes ("127.1", "0x7f000001",
 * "2130706433"), IPv6 with or without brackets, without a zone. An IPv6 address that carries an
 * IPv4 one (compatible, 6to4, NAT64, Teredo) is kept as it is. Returns 0, or -EINVAL if it is no
 * literal.
 */
int egress_address_parse(const char *text, struct egress_address *ret);

/* The one spelling: dotted IPv4, or RFC 5952's of IPv6, without brackets. */
void egress_address_text(const struct egress_address *a, char out[EGRESS_ADDRESS_SIZE]);

/* Whether @a is an IPv4 address in NAT64's well-known prefix (RFC 6052), and then which. */
bool egress_address_carried(const struct egress_address *a, struct egress_address *ret);

/*
 * Whether @a is on the internet: globally reachable by the IANA special-purpose address registries
 * (RFC 6890), not multicast, not reserved, not this network, not a cloud's metadata. With NAT64,
 * the IPv4 address that it carries has to be. Tunnels that carry one (6to4, Teredo) are not, and
 * neither are IPv4-compatible addresses.
 */
bool egress_address_public(const struct egress_address *a);

/* Its socket address with @port, of the family that it is of. Returns the length. */
socklen_t egress_address_socket(const struct egress_address *a, unsigned port,
                                struct sockaddr_storage *ret);

/* Whether @a is one of this machine's own, whose services take who comes from here for a neighbour;
 * true as well where that cannot be found out. */
bool egress_address_ours(const struct egress_address *a);

/*
 * Write the @index-th range of IPv4 addresses that are not the internet, as a CIDR. Returns false
 * beyond the last.
 */
bool egress_special_ipv4(size_t index, char out[EGRESS_CIDR_SIZE]);

/* Whether @text is a CIDR ("10.1.0.0/16", "fd00::/8", or an address alone) without host bits; only
 * of the usual spelling, not of what else inet_aton(3) takes. */
bool egress_cidr_valid(const char *text);

/* The first of the CIDRs @list that holds @a, borrowed; NULL: none does. One of IPv6 holds no IPv4
 * address, unless it is of mapped ones. */
const char *egress_cidrs_find(const struct strings *list, const struct egress_address *a);

/* Whether @text names a DNS server: "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53".
 */
bool egress_nameserver_valid(const char *text);

#endif
