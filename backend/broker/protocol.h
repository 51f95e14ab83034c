/*
 * What workers and the broker say to each other: one request and one reply a connection, a header
 * and a payload of plain structs. Both ends are the same binary on the same machine; the broker
 * nevertheless believes nothing: sizes must be exact, strings terminated, values in range.
 */
#ifndef BACKEND_BROKER_PROTOCOL_H
#define BACKEND_BROKER_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/engine.h"

enum broker_operation {
    BROKER_INFO = 1,        /* -                     -> struct engine_info */
    BROKER_CREATE,          /* struct engine_spec    -> - */
    BROKER_START,           /* struct engine_spec    -> - */
    BROKER_STOP,            /* char id[]             -> - */
    BROKER_REMOVE,          /* char id[]             -> - */
    BROKER_INSPECT,         /* char id[]             -> struct engine_container */
    BROKER_LIST,            /* bool disk             -> struct engine_container[] */
    BROKER_STATS,           /* char id[][]           -> struct engine_stats[] */
    BROKER_IMAGES,          /* char reference[][]    -> struct engine_image[] */
    BROKER_IMAGE_ADOPT,     /* struct engine_template -> - */
    BROKER_PULL,            /* struct engine_template -> pieces of its log, - */
    BROKER_BUILD,           /* struct engine_template, a descriptor -> pieces of its log, - */
    BROKER_DISCARD,         /* struct engine_template -> - */
    BROKER_ROLLBACK,        /* struct broker_rollback_request -> - */
    BROKER_SNAPSHOT_CREATE, /* struct broker_snapshot_request -> int64_t size in bytes */
    BROKER_SNAPSHOT_REMOVE, /* char snapshot id[] -> - */
    BROKER_WARM,            /* struct engine_spec -> - */
    BROKER_ADOPT,           /* struct engine_spec -> - */
    BROKER_IMAGE_ID,        /* char image[]       -> char image id[] */
    BROKER_SNAPSHOT_LIST,   /* -              -> char snapshot id[][] */
    BROKER_REFIT,           /* struct broker_refit_request -> struct engine_fit */
    BROKER_DISK             /* struct broker_disk_request -> struct engine_disk */
};

struct broker_disk_request {
    char id[CONTAINER_ID_SIZE];
    int64_t limit_mb;
};

struct broker_refit_request {
    char id[CONTAINER_ID_SIZE];
    char tier[NAME_SIZE];
};

struct broker_rollback_request {
    struct engine_spec spec;
    char snapshot_id[SNAPSHOT_ID_SIZE];
};

struct broker_snapshot_request {
    char id[CONTAINER_ID_SIZE];
    char snapshot_id[SNAPSHOT_ID_SIZE];
};

enum {
    BROKER_REQUEST_MAX = ENGINE_STATS_MAX * CONTAINER_ID_SIZE, /* bytes of payload */
    BROKER_REPLY_MAX = 4 << 20,
    BROKER_PIECE_MAX = 4096 /* bytes of a log's piece */
};

struct broker_request {
    uint32_t operation; /* enum broker_operation */
    uint32_t length;    /* bytes of payload that follow */
};

struct broker_reply {
    struct error error; /* code ERR_NONE: it worked */
    uint32_t length;    /* bytes of payload that follow */
};

/*
 * What BROKER_PULL and BROKER_BUILD answer before their reply: pieces of a log, as they come, the
 * last of them empty.
 */
struct broker_piece {
    uint32_t length; /* bytes that follow; 0: the reply is next */
};

/*
 * Read exactly @len bytes from @fd. Returns 0, -ECONNRESET on an early end, -ETIMEDOUT by the
 * socket's receive timeout, or another negative errno.
 */
int broker_read(int fd, void *data, size_t len);

/* Write exactly @len bytes to @fd. Returns 0 or a negative errno. */
int broker_write(int fd, const void *data, size_t len);

/* As broker_read(), and take the descriptor that came with the first byte: *ret_fd, the caller's,
 * or -1 if none did. */
int broker_read_with_fd(int fd, void *data, size_t len, int *ret_fd);

/* As broker_write(), and send @passed_fd (-1: none) along. */
int broker_write_with_fd(int fd, const void *data, size_t len, int passed_fd);

#endif
