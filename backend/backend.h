/*
 * The backend as handlers see it: one `struct backend` a thread, holding the thread's SQLite
 * connection and its line to the broker, both opened on first use, and the settings of the request
 * in hand. Nothing in it is locked, because nothing in it is shared.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/cleanup.h"
#include "backend/config/current.h"
#include "backend/config/settings.h"
#include "backend/engine.h"
#include "backend/error.h"
#include "backend/shared.h"

struct store;

enum { INSTANCE_SIZE = 17, TOKEN_KEY_BYTES = 32, BACKEND_CURSOR_KEY_SIZE = 32 };

/* Lifetime: process. Filled in by main before the manager forks, read-only afterwards. */
struct service_context {
    const char *state_dir;    /* absolute: sandbox.db, yaml/, workspaces/, guests/, slots/, run/ */
    const char *docker_host;  /* unix:///path or tcp://host:port; only the broker uses it */
    const char *guest_binary; /* absolute path of sandbox-guest on the host */
    char instance[INSTANCE_SIZE];      /* hex; marks what is this installation's in the engine */
    unsigned char cursor_key[BACKEND_CURSOR_KEY_SIZE]; /* of backend/cursor.h; by secret_take() */
    char posture[ENGINE_POSTURE_SIZE]; /* engine_posture()'s, which takes a while to work out */
    struct shared *shared;
    struct current *current; /* this process's settings; made before the fork, so that a role that
                                 comes back while the YAML is broken has the last good ones */
    uint64_t worker_id;      /* this worker's id in shared->workers; 0 in other processes */
    uid_t uid;               /* the account of the unprivileged roles; ours where we are not root */
    gid_t gid;
    bool privileged; /* started as root: roles drop to uid, mounts are possible */
};

/* Lifetime: thread. */
struct backend {
    const struct service_context *context;
    struct store *store;       /* owned; NULL until backend_store() */
    struct engine *engine;     /* owned */
    struct settings *settings; /* the reference of the request in hand; NULL between requests */
    unsigned char token_key[TOKEN_KEY_BYTES]; /* once token_key_read() has read it */
    bool has_token_key;
};

/*
 * Read the instance's id, which lives in a file of root's in ctx->state_dir so that containers are
 * found again after a restart, into ctx->instance; it is made where there is none. Errors:
 * ERR_INTERNAL.
 */
int backend_instance(struct service_context *ctx, struct error *err);

/* A backend for the calling thread, with its line to the broker not yet opened. NULL on ENOMEM. */
struct backend *backend_new(const struct service_context *context);

/* Close what it holds. */
void backend_free(struct backend *b);
CLEANUP_FN(struct backend *, backend_free)

/*
 * Start a request: take the settings in force, reloading the overrides first if another process
 * changed them. Errors: ERR_INTERNAL if the store cannot be read.
 */
int backend_begin(struct backend *b, struct error *err);

/* End the request: give the settings back. */
void backend_end(struct backend *b);

/* The thread's store, opened on first use. Errors: ERR_INTERNAL. */
int backend_store(struct backend *b, struct store **ret, struct error *err);

#endif
