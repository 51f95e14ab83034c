/*
 * The egress proxy, a process of its own with no power: one unix socket for each container, at
 * egress/ID/proxy below the state directory, so that the socket a client comes by says who it is.
 * It speaks HTTP/1.1 as a proxy: CONNECT, and absolute-form requests over plain HTTP. One thread
 * with one event loop (libevent) has all connections, another one writes the audit log; there is no
 * allocation that a client can make grow.
 *
 * The broker makes and removes the directories egress/ID; this process finds them by inotify and
 * keeps a socket in each. A restart binds them anew, and a guest connects with each of its clients.
 * Settings are looked at before each decision, and again for every open connection when their
 * generation changes.
 */
#ifndef BACKEND_EGRESS_EGRESS_H
#define BACKEND_EGRESS_EGRESS_H

#include "backend/backend.h"

#define EGRESS_DIRECTORY "egress" /* in the state directory */
#define EGRESS_SOCKET "proxy"     /* in egress/ID */

/* Be the egress role until SIGTERM. Returns the exit status. */
int egress_main(const struct service_context *ctx);

#endif
