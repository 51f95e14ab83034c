/*
 * What is between a request's bytes and the operation that they ask for: every size is exact, every
 * string ends, every id is spelled as one, or the request is refused.
 */
#ifndef BACKEND_BROKER_SERVE_H
#define BACKEND_BROKER_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "backend/broker/operations.h"
#include "backend/broker/protocol.h"

/* Lifetime: thread. */
struct server {
    struct broker *broker;
    int listen_fd;
    struct docker *docker; /* opened on first use */
    int peer;              /* the connection of the request in hand */
    int passed;            /* the descriptor that came with it, -1 if none */
};

/* A request's payload: as many bytes as the operation's struct has. */
union payload {
    struct engine_spec spec;
    char id[CONTAINER_ID_SIZE];
    char image[IMAGE_SIZE];
    bool disk;
    char ids[ENGINE_STATS_MAX][CONTAINER_ID_SIZE];
    char references[ENGINE_IMAGES_MAX][IMAGE_SIZE];
    struct engine_template template;
    struct broker_rollback_request rollback;
    struct broker_snapshot_request snapshot;
    struct broker_disk_request limit;
    struct broker_refit_request refit;
    char snapshot_id[SNAPSHOT_ID_SIZE];
};

/* What goes back: owned bytes, or none. */
struct answer {
    void *data;
    size_t length;
};

/*
 * Carry out @operation (enum broker_operation) on the @length bytes that were received into @p;
 * what it says on the way (pieces of a log) goes to s->peer. @a is what goes back, to be freed by
 * the caller. Errors: ERR_VALIDATION for a request that is not as it should be, those of engine.h.
 */
int broker_serve(struct server *s, uint32_t operation, const union payload *p, size_t length,
                 struct answer *a, struct error *err);

#endif
