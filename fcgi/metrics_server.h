/*
 * The metrics on a socket of this machine: a process of its own, without power, that speaks plain
 * HTTP/1.1 (libevent's) and knows one path. Who may ask is a matter of the socket's mode.
 */
#ifndef FCGI_METRICS_SERVER_H
#define FCGI_METRICS_SERVER_H

#include "backend/backend.h"

/* Be the metrics role on the listening socket @fd until SIGTERM. Returns the exit status. */
int metrics_server_main(const struct service_context *ctx, int fd);

#endif
