/*
 * The state directory: what the manager makes in it and holds open for the service's life. Its
 * parts:
 *
 *     sandbox.db          the service account's
 *     token-key           likewise: what tokens are hashed with
 *     instance secret     root's (backend.h, secret.h)
 *     yaml/               the admin's; not made here
 *     run/                sandboxd.pid, lock, shared, tool.lock, and the sockets: control, exec
 *                         and auth of nginx's group, broker and metrics of the service's
 *     guests/ slots/ workspaces/   root's; the broker makes what is below
 *     log/
 */
#ifndef FCGI_STATE_H
#define FCGI_STATE_H

#include "backend/backend.h"
#include "backend/error.h"

/* Lifetime: process. Initialise with STATE_NONE. */
struct state {
    const char *dir; /* absolute, borrowed */
    int pid_fd;      /* locked by the manager */
    int lock_fd;     /* locked by every process of the service: children inherit it */
    int control_fd;  /* listening sockets */
    int exec_fd;
    int auth_fd;
    int broker_fd;
    int metrics_fd; /* -1: service.metrics_socket is false */
};

#define STATE_NONE                                                                                 \
    {                                                                                              \
        NULL, -1, -1, -1, -1, -1, -1, -1                                                           \
    }

/*
 * Make the directories under ctx->state_dir that are missing, with the owners and modes that the
 * roles need, and take the directory for this manager. Where processes of a killed manager still
 * end, it waits for them, at most @wait_seconds: two services on one database would corrupt it.
 * Errors: ERR_CONFLICT if a manager runs there, ERR_INTERNAL with the cause in detail.
 */
int state_take(struct state *s, const struct service_context *ctx, int wait_seconds,
               struct error *err);

/* Open the listening sockets; those of nginx belong to the group @peer_gid. That of the metrics is
 * opened if @metrics says so. Errors: ERR_INTERNAL. */
int state_listen(struct state *s, const struct service_context *ctx, gid_t peer_gid, bool metrics,
                 struct error *err);

/* Remove sockets and pid file, if the directory was taken, and close everything. */
void state_leave(struct state *s);

#endif
