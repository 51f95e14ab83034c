/* Addresses: see address.h. */
#include "backend/egress/address.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "backend/cleanup.h"

enum { LITERAL_MAX = 64, MAPPED_BITS = 96, ADDRESS_BITS = 128, DISCARD_PORT = 9 };

/* @prefix, and how many of its leading bits count. */
struct range {
    struct in6_addr prefix;
    unsigned bits;
};

/* clang-format off */
/* IPv4, of which everything else is the internet: what the IANA IPv4 Special-Purpose Address
 * Registry does not call globally reachable, and multicast. */
static const struct { uint8_t prefix[4]; unsigned bits; } special_ipv4[] = {
    {{0}, 8},                   /* this network (RFC 791) */
    {{10}, 8},                  /* private (RFC 1918) */
    {{100, 64}, 10},            /* shared, of carriers' NATs (RFC 6598) */
    {{127}, 8},                 /* loopback (RFC 1122) */
    {{168, 63, 129, 16}, 32},   /* Azure's metadata and DNS, by every virtual machine's own host */
    {{169, 254}, 16},           /* link-local (RFC 3927), and most clouds' metadata */
    {{172, 16}, 12},            /* private */
    {{192, 0, 0}, 24},          /* protocol assignments (RFC 6890), and Oracle's metadata */
    {{192, 0, 2}, 24},          /* documentation (RFC 5737) */
    {{192, 88, 99}, 24},        /* 6to4 relays, given up (RFC 7526) */
    {{192, 168}, 16},           /* private */
    {{198, 18}, 15},            /* benchmarks (RFC 2544) */
    {{198, 51, 100}, 24},       /* documentation */
    {{203, 0, 113}, 24},        /* documentation */
    {{224}, 4},                 /* multicast (RFC 5771) */
    {{240}, 4},                 /* reserved (RFC 1112), and broadcast */
};

/* IPv6, in which only 2000::/3 is given out, so that the rest (loopback, IPv4-compatible, local
 * NAT64, discard, SRv6's SIDs, unique local, link-local, site-local, multicast) needs no line. */
static const struct range unicast_ipv6 = {{{{0x20}}}, 3};

static const struct range special_ipv6[] = {
    {{{{0x20, 0x01}}}, 23},             /* protocol assignments (RFC 2928): Teredo, ORCHID, ... */
    {{{{0x20, 0x01, 0x0d, 0xb8}}}, 32}, /* documentation (RFC 3849) */
    {{{{0x20, 0x02}}}, 16},             /* 6to4 (RFC 3056): a tunnel to any IPv4 address */
    {{{{0x3f, 0xff}}}, 20},             /* documentation (RFC 9637) */
};

/* The well-known prefix of NAT64 (RFC 6052), with an IPv4 address in its last four bytes. */
static const struct range nat64 = {{{{0x00, 0x64, 0xff, 0x9b}}}, 96};
/* clang-format on */

/* Whether the first @bits of @a and @b are the same. */
static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned mask = 0xffU << (8 - rest) & 0xffU;

    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

static bool
holds(const struct range *range, const struct egress_address *a)
{
    return same_bits(range->prefix.s6_addr, a->bytes.s6_addr, range->bits);
}

static bool
is_ipv4(const struct egress_address *a)
{
    return IN6_IS_ADDR_V4MAPPED(&a->bytes);
}

static struct egress_address
map_ipv4(const void *four_bytes)
{
    struct egress_address a = {.bytes.s6_addr = {[10] = 0xff, [11] = 0xff}};

    memcpy(&a.bytes.s6_addr[12], four_bytes, 4);
    return a;
}

int
egress_address_parse(const char *text, struct egress_address *ret)
{
    char literal[LITERAL_MAX];
    size_t len = strlen(text);
    bool brackets = text[0] == '[';
    struct egress_address ipv6;
    struct in_addr ipv4;

    if (len >= sizeof(literal) || (brackets && text[len - 1] != ']'))
        return -EINVAL;
    if (brackets)
        len -= 2;
    memcpy(literal, brackets ? text + 1 : text, len);
    literal[len] = '\0';
    if (inet_pton(AF_INET6, literal, &ipv6.bytes) == 1) {
        *ret = ipv6;
        return 0;
    }
    /* glibc's inet_aton() overlooks what follows white space. */
    if (brackets || literal[strspn(literal, "0123456789abcdefABCDEFxX.")] != '\0' ||
        inet_aton(literal, &ipv4) == 0)
        return -EINVAL;
    *ret = map_ipv4(&ipv4);
    return 0;
}

void
egress_address_text(const struct egress_address *a, char out[EGRESS_ADDRESS_SIZE])
{
    if (is_ipv4(a))
        inet_ntop(AF_INET, &a->bytes.s6_addr[12], out, EGRESS_ADDRESS_SIZE);
    else
        inet_ntop(AF_INET6, &a->bytes, out, EGRESS_ADDRESS_SIZE);
}

bool
egress_address_carried(const struct egress_address *a, struct egress_address *ret)
{
    if (!holds(&nat64, a))
        return false;
    *ret = map_ipv4(&a->bytes.s6_addr[12]);
    return true;
}

bool
egress_address_public(const struct egress_address *a)
{
    struct egress_address carried = *a;

    if (is_ipv4(a) || egress_address_carried(a, &carried)) {
        for (size_t i = 0; i < ARRAY_LEN(special_ipv4); i++)
            if (same_bits(special_ipv4[i].prefix, &carried.bytes.s6_addr[12], special_ipv4[i].bits))
                return false;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(special_ipv6); i++)
        if (holds(&special_ipv6[i], a))
            return false;
    return holds(&unicast_ipv6, a);
}

socklen_t
egress_address_socket(const struct egress_address *a, unsigned port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    if (is_ipv4(a)) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;

        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, &a->bytes.s6_addr[12], sizeof(in->sin_addr));
        return sizeof(*in);
    }
    *(struct sockaddr_in6 *)ret = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = a->bytes};
    return sizeof(struct sockaddr_in6);
}

/* A datagram socket that is connected to such an address, which sends nothing, then has it as its
 * own, too. */
bool
egress_address_ours(const struct egress_address *a)
{
    struct sockaddr_storage to, from = {0};
    socklen_t len = egress_address_socket(a, DISCARD_PORT, &to), from_len = sizeof(from);
    _cleanup_(closep) int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    size_t at, size; /* of the address in them */

    if (fd < 0)
        return true;
    if (connect(fd, (struct sockaddr *)&to, len) < 0)
        return false; /* no way there */
    if (getsockname(fd, (struct sockaddr *)&from, &from_len) < 0)
        return true;
    at = to.ss_family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
                                 : offsetof(struct sockaddr_in6, sin6_addr);
    size = to.ss_family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    return memcmp((const char *)&from + at, (const char *)&to + at, size) == 0;
}

bool
egress_special_ipv4(size_t index, char out[EGRESS_CIDR_SIZE])
{
    char text[INET_ADDRSTRLEN];

    if (index >= ARRAY_LEN(special_ipv4))
        return false;
    inet_ntop(AF_INET, special_ipv4[index].prefix, text, sizeof(text));
    snprintf(out, EGRESS_CIDR_SIZE, "%s/%u", text, special_ipv4[index].bits);
    return true;
}

/* The address @text of exactly one spelling, as people write it down. */
static int
parse_strictly(const char *text, struct egress_address *ret)
{
    struct in_addr ipv4;

    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        *ret = map_ipv4(&ipv4);
        return 0;
    }
    return inet_pton(AF_INET6, text, &ret->bytes) == 1 ? 0 : -EINVAL;
}

/* The number @text of @max_digits at most, without zeros before it; -EINVAL if it is none. */
static int
parse_number(const char *text, size_t max_digits)
{
    size_t len = strspn(text, "0123456789");
    int number = 0;

    if (len == 0 || len > max_digits || text[len] != '\0' || (text[0] == '0' && len > 1))
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        number = number * 10 + (text[i] - '0');
    return number;
}

static int
parse_cidr(const char *text, struct range *ret)
{
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    char literal[LITERAL_MAX];
    struct egress_address a;
    int shift, bits = 0;

    if (len >= sizeof(literal))
        return -EINVAL;
    memcpy(literal, text, len);
    literal[len] = '\0';
    if (parse_strictly(literal, &a) < 0)
        return -EINVAL;
    shift = strchr(literal, ':') ? 0 : MAPPED_BITS;
    bits = slash ? parse_number(slash + 1, 3) : ADDRESS_BITS - shift;
    if (bits < 0 || bits + shift > ADDRESS_BITS)
        return -EINVAL;
    *ret = (struct range){.prefix = a.bytes, .bits = (unsigned)(bits + shift)};
    for (unsigned bit = ret->bits; bit < ADDRESS_BITS; bit++)
        if (ret->prefix.s6_addr[bit / 8] & (0x80U >> bit % 8))
            return -EINVAL;
    return 0;
}

bool
egress_cidr_valid(const char *text)
{
    struct range range;

    return parse_cidr(text, &range) == 0;
}

const char *
egress_cidrs_find(const struct strings *list, const struct egress_address *a)
{
    struct range range;

    for (size_t i = 0; i < list->count; i++)
        if (parse_cidr(list->items[i], &range) == 0 && holds(&range, a) &&
            (!is_ipv4(a) || range.bits >= MAPPED_BITS)) /* "::/0" is not about IPv4 */
            return list->items[i];
    return NULL;
}

bool
egress_nameserver_valid(const char *text)
{
    const char *close = strchr(text, ']'), *colon = strrchr(text, ':'), *port = NULL;
    size_t len = strlen(text), skip = 0;
    char literal[LITERAL_MAX];
    struct egress_address a;
    int number;

    if (text[0] == '[') {
        if (!close || (close[1] != '\0' && close[1] != ':'))
            return false;
        port = close[1] == ':' ? close + 2 : NULL;
        len = (size_t)(close - text) - 1;
        skip = 1;
    } else if (colon && strchr(text, ':') == colon) {
        port = colon + 1;
        len = (size_t)(colon - text);
    }
    if (len >= sizeof(literal))
        return false;
    memcpy(literal, text + skip, len);
    literal[len] = '\0';
    if (port) {
        number = parse_number(port, 5);
        if (number < 1 || number > 65535)
            return false;
    }
    /* Brackets are for IPv6. */
    return parse_strictly(literal, &a) == 0 && (skip == 0 || strchr(literal, ':'));
}
