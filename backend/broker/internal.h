/* What the files of the broker's operations share. */
#ifndef BACKEND_BROKER_INTERNAL_H
#define BACKEND_BROKER_INTERNAL_H

#include "backend/broker/operations.h"

/* Labels of what we make in the engine. */
#define BROKER_LABEL_INSTANCE "sandbox.instance"
#define BROKER_LABEL_ID "sandbox.id"
#define BROKER_LABEL_OWNER "sandbox.owner" /* "" or none: born in the pool */
#define BROKER_LABEL_SNAPSHOT "sandbox.snapshot"
#define BROKER_LABEL_EGRESS "sandbox.egress" /* "1": it has a relay to the egress proxy */

enum { BROKER_NAME_SIZE = 64 };

/*
 * The containers of the engine that one of ours can consist of. A rollback makes NEXT, renames MAIN
 * to OLD and NEXT to MAIN, and removes OLD when the new one runs; nothing is removed before. So
 * whatever a crash interrupts, also a request that the engine carries out after its sender died,
 * broker_settle() finds one of both whole.
 */
enum broker_part { PART_MAIN, PART_NEXT, PART_OLD };

/* The engine's name of a part of container @id. */
void broker_name(const struct broker *b, const char *id, enum broker_part part,
                 char out[BROKER_NAME_SIZE]);

/*
 * Ask Docker for a part of the container @spec, from @image instead of the spec's: the guest is its
 * PID 1, its socket directory, its workspace's slot and the egress proxy's directory are bound.
 */
int broker_make(struct broker *b, struct docker *d, const struct engine_spec *spec,
                enum broker_part part, const char *image, struct error *err);

/* Make the directory of the guest's sockets anew. */
int broker_offer_guest(struct broker *b, struct docker *d, const char *id, struct error *err);

/* Make sure that the directory of the egress proxy's socket is there, for a container with a relay.
 */
int broker_offer_egress(struct broker *b, const struct engine_spec *spec, struct error *err);

/* Attach the workspace, start the main part, and wait for its guest. */
int broker_run(struct broker *b, struct docker *d, const struct engine_spec *spec,
               struct error *err);

/* Start the main part, and wait for its guest. One of network Full is killed unless it is secured.
 */
int broker_boot(struct broker *b, struct docker *d, const struct engine_spec *spec,
                struct error *err);

/* Whether the container was born in the pool. */
bool broker_is_pooled(const struct docker_container *c);

/* Tell the guest of a container that was born in the pool whose it is. */
int broker_give(struct broker *b, struct docker *d, const struct engine_spec *spec,
                struct error *err);

/* Inspect the main part, settled first if it is not there. The caller has the container's turn. */
int broker_look(struct broker *b, struct docker *d, const char *id, bool size,
                struct docker_container *ret, struct error *err);

/* Make one of the parts that a cut off rollback has left; a lost container stays lost. The caller
 * has the container's turn. */
int broker_settle(struct broker *b, struct docker *d, const char *id, struct error *err);

/* Whether the stopped container takes no more disk than @spec allows. Errors: ERR_QUOTA_EXCEEDED.
 */
int broker_fits_disk(struct broker *b, struct docker *d, const struct engine_spec *spec,
                     struct error *err);

/* Remove a part from the engine, however deep its directories are. Missing is fine. */
int broker_remove_part(struct broker *b, struct docker *d, const char *id, enum broker_part part,
                       struct error *err);

/* Errors of Docker about one of our containers, in the domain's words. */
int broker_missing(int r, struct error *err);

#endif
