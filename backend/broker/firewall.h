/*
 * The packet filter of a bridge on which containers have the internet and nothing else: a table of
 * nftables' of our own, so that it does not matter what others (Docker, a firewall of the host's)
 * have in theirs. What ours refuses stays refused; what it lets through, others may still refuse.
 */
#ifndef BACKEND_BROKER_FIREWALL_H
#define BACKEND_BROKER_FIREWALL_H

#include <stdbool.h>
#include <net/if.h>

#include "backend/broker/nameservers.h"
#include "backend/buf.h"
#include "backend/error.h"

enum { FIREWALL_TABLE_SIZE = 32, FIREWALL_TEXT_MAX = 256 << 10 };

struct firewall {
    char table[FIREWALL_TABLE_SIZE];
    char bridge[IFNAMSIZ]; /* need not exist yet */
    bool closed;           /* nothing is let through, connections that are open included */
    const struct strings *permitted; /* CIDRs that are reached though they are not the internet */
    struct nameservers nameservers;  /* likewise, on port 53 alone */
};

/*
 * Append the table in nft(8)'s language, to be put in the place of one that may be there, to @out.
 * Errors: ERR_VALIDATION if @permitted holds what is no CIDR, ERR_INTERNAL.
 */
int firewall_text(const struct firewall *f, struct buf *out, struct error *err);

/*
 * Put the table into the kernel, whole or not at all. *ret is what firewall_list() answers while
 * nobody changes it; the caller's. Errors: ERR_INTERNAL (no right to, no nftables), and those of
 * firewall_text().
 */
int firewall_apply(const struct firewall *f, char **ret, struct error *err);

/* The table as the kernel has it, the caller's. Errors: ERR_NOT_FOUND, ERR_INTERNAL. */
int firewall_list(const struct firewall *f, char **ret, struct error *err);

/*
 * Refuse 127.0.0.11 in the network namespace of process @pid, PID 1 of a container: the engine's
 * own nameserver is there, and tells any container on a network the names of all others on it.
 * Errors: ERR_INTERNAL (also if the process is gone, or has the namespace of this machine).
 */
int firewall_silence(int pid, struct error *err);

#endif
