/* Connecting to the sockets of a container's guest. */
#ifndef BACKEND_GUEST_CONNECT_H
#define BACKEND_GUEST_CONNECT_H

#include "backend/error.h"

/*
 * Connect to the socket @name of @type (SOCK_STREAM, SOCK_SEQPACKET) in the socket directory
 * @directory. Returns as guest_connect(), which says how.
 */
int guest_connect_to(const char *directory, const char *name, int type, int *ret_fd,
                     struct error *err);

#endif
