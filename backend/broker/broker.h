/*
 * The broker: the one process that holds the Docker socket and may mount. It answers typed requests
 * (protocol.h) on a unix socket, one a connection, checks each again, and touches only objects that
 * carry this instance's label.
 */
#ifndef BACKEND_BROKER_BROKER_H
#define BACKEND_BROKER_BROKER_H

#include "backend/backend.h"

/*
 * Serve on the listening socket @listen_fd until TERM. Runs as the process's main; returns its exit
 * status.
 */
int broker_main(struct service_context *ctx, int listen_fd);

#endif
