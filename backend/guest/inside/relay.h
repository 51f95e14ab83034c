/*
 * The relay: the egress proxy, as commands find it at 127.0.0.1. For each of its clients it
 * connects to the proxy's unix socket, which is this container's alone, and carries bytes both
 * ways. It looks at none of them.
 */
#ifndef BACKEND_GUEST_INSIDE_RELAY_H
#define BACKEND_GUEST_INSIDE_RELAY_H

/* Listen on GUEST_RELAY_PORT of 127.0.0.1. Returns a descriptor that does not block; -1 with errno.
 */
int relay_listen(void);

/*
 * Be the relay between the clients of @listener and the unix socket @path. It needs no power and
 * keeps none. A client is closed at once when nobody listens at @path; when as many are served as
 * there is room for, the others wait.
 */
_Noreturn void relay_run(int listener, const char *path);

#endif
