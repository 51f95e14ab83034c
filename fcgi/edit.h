/*
 * An edit of the YAML on its way into force. Before any role reads it, a process of its own looks
 * whether it may: it reads the files as the service's account will, and asks the database what
 * containers stand on, which the manager does not open. All roles so take over an edit, or none
 * does.
 */
#ifndef FCGI_EDIT_H
#define FCGI_EDIT_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "backend/error.h"

enum { EDIT_WHY_SIZE = SHARED_REFUSAL_SIZE };

/* Lifetime: process. */
struct edit {
    pid_t pid;  /* of the process that looks; 0: there is none */
    int fd;     /* where it writes why not */
    bool again; /* the files have changed since it began */
};

#define EDIT_NONE ((struct edit){.fd = -1})

/*
 * Begin to look. The child is forked here and never returns; @in_child (with @arg) is called in it
 * first, to close what is not its. Errors: ERR_INTERNAL.
 */
int edit_begin(struct edit *e, const struct service_context *ctx, void (*in_child)(void *arg),
               void *arg, struct error *err);

/* Its process has ended with @status. Returns whether the edit may come into force; why not is in
 * @why. */
bool edit_end(struct edit *e, int status, char why[EDIT_WHY_SIZE]);

#endif
