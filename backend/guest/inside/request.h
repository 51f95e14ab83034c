/* Reading what the host wants run. */
#ifndef BACKEND_GUEST_INSIDE_REQUEST_H
#define BACKEND_GUEST_INSIDE_REQUEST_H

#include <stddef.h>

#include "backend/guest/protocol.h"

/* Lifetime: one execution. Its strings live until request_done(). */
struct request {
    struct guest_request head;
    const char *cwd;   /* "" for the default */
    char **argv;       /* NULL-terminated; argv[-1] is a free slot, for a script's interpreter */
    char **env;        /* NULL-terminated; the guest's, with the request's over it */
    const char *path;  /* PATH of env, or a default */
    const char *input; /* of the bytes for stdin, those that have been read but not yet written */
    size_t input_len;
    uint64_t input_left; /* bytes for stdin still to be read from the socket */
    void *body_map;      /* of a large request; NULL: the static buffers do */
    void *input_map;     /* of a detached one: all of its input */
    void *slots_map;
    size_t slots_size;
};

/*
 * Read a request from the connection @fd, and with it all input of a detached one, whose host will
 * not wait for a slow reader; @env is what its environment is put over.
 * Returns 0, an errno that the host is told, or -1 if the host went away.
 */
int request_read(struct request *q, int fd, char **env);

/* Free what a request needed. */
void request_done(struct request *q);

/*
 * Read more bytes for stdin; only when input_len is 0 and input_left is not. Does not wait.
 * Returns 0, or -1 if the host went away.
 */
int request_input(struct request *q, int fd);

#endif
