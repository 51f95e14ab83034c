/* Keeping a detached execution's output and result: the file is described in protocol.h. */
#ifndef BACKEND_GUEST_INSIDE_SPOOL_H
#define BACKEND_GUEST_INSIDE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/guest/protocol.h"

/* Lifetime: one execution. */
struct spool {
    int fd;      /* -1: the execution is not a detached one */
    bool broken; /* the disk is full: what comes from now on is thrown away, and not counted */
    struct guest_spool_head head;
};

/* Make the spool of the execution @id in @dir, readable for the directory's group. Returns 0 or an
 * errno; EEXIST if there is one. */
int spool_open(struct spool *s, const char *dir, uint64_t id, uint64_t cap);

/* Read from @pipe once, and keep it as the stream 0 or 1's next bytes. Returns as read(2). */
long spool_read(struct spool *s, int stream, int pipe);

/* Note the end. */
void spool_end(struct spool *s, const struct guest_exit *e);

/* Close it, if it is open. */
void spool_close(struct spool *s);

/* Remove the file. One that is missing is fine. Returns 0 or an errno. */
int spool_remove(const char *dir, uint64_t id);

#endif
