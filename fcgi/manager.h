/*
 * The manager: the process that an admin starts. It forks every role, starts again what dies,
 * passes reloads on, and ends all in order. It has no threads, no database and no network, so that
 * a fork is simple and there is little in it that could fail.
 *
 *     manager ── broker    root: Docker and mounts
 *             ├─ workers   the service's account: FastCGI, handlers
 *             ├─ janitor   the service's account: background work
 *             ├─ builder   the service's account: builds and pulls of templates
 *             └─ egress    the service's account: the proxy of what runs in containers
 *
 * TERM and INT end the service (workers first, so that their requests still find the broker), HUP
 * and an edit of the YAML reload it everywhere, or nowhere if it is not good. A role that dies is
 * started again at once, or after 1, 2, 4 … 30 s while it lives less than 10 s each time.
 */
#ifndef FCGI_MANAGER_H
#define FCGI_MANAGER_H

#include "backend/backend.h"

/*
 * Run the service on ctx->state_dir until TERM or INT; the rest of @ctx beyond docker_host and
 * guest_binary is filled in here. Returns the process's exit status.
 */
int manager_run(struct service_context *ctx);

#endif
