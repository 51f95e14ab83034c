/*
 * The network of tier Full: a bridge of the engine's that is this instance's, with the packet
 * filter of firewall.h around it. A thread keeps the filter as the settings say, also where
 * somebody else took it away; it stays when the service ends, for containers outlive the service.
 *
 * Everything fails closed: a container that is made while there is no filter, or no bridge, gets no
 * network at all, and a bridge whose filter cannot be renewed is taken down.
 */
#ifndef BACKEND_BROKER_FULL_H
#define BACKEND_BROKER_FULL_H

#include "backend/backend.h"
#include "backend/broker/nameservers.h"
#include "backend/docker/docker.h"
#include "backend/engine.h"

enum { FULL_PATH_SIZE = 4096, FULL_TROUBLE_SIZE = ENGINE_TROUBLE_SIZE };

struct full;

/* What it gives its containers; the names are engine_info's. */
enum full_state {
    FULL_NONE,  /* "none": no network */
    FULL_PROXY, /* "proxy": the bridge, which lets nothing through while names are blocked */
    FULL_BRIDGE /* "bridge": the internet */
};

extern const char *const full_state_names[]; /* by enum full_state */

/* Where a container of tier Full is to be. */
struct full_place {
    char network[64]; /* of the engine; "": none */
    char addresses[NAMESERVERS_MAX][INET_ADDRSTRLEN];
    const char *dns[NAMESERVERS_MAX + 1]; /* into addresses; NULL-terminated, not empty */
    char resolv_conf[FULL_PATH_SIZE];     /* the file to be its /etc/resolv.conf */
};

/* One that is not started: FULL_NONE. @ctx is borrowed. NULL on ENOMEM. */
struct full *full_new(const struct service_context *ctx);

/*
 * Put the filter in place and keep it there from now on, by a thread. Needs root. A filter that
 * cannot be had is no error. Errors: ERR_INTERNAL (no thread).
 */
int full_start(struct full *f, struct error *err);

/* What it gives now; *ret_trouble is a sentence that says why, if that is none, fit for everybody's
 * eyes, else "". */
enum full_state full_state(struct full *f, char ret_trouble[FULL_TROUBLE_SIZE]);

/*
 * Find the network in the engine, or make it. *ret names none where there is none to be had; the
 * log says why. Errors: ERR_DOCKER_DOWN.
 */
int full_offer(struct full *f, struct docker *d, struct full_place *ret, struct error *err);

/*
 * Make sure of a container of tier Full that was just started, before any command runs in it: the
 * filter is in place; its port is isolated from the others' on the bridge, on the link layer,
 * whatever packet filters say; and the engine does not tell it of others. One without a bridge
 * needs none of it. @pid is its PID 1's. Errors: ERR_DOCKER (no filter at the moment),
 * ERR_INTERNAL.
 */
int full_secure(struct full *f, int pid, struct error *err);

#endif
