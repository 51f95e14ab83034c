/* Starting the command. */
#ifndef BACKEND_GUEST_INSIDE_SPAWN_H
#define BACKEND_GUEST_INSIDE_SPAWN_H

#include "backend/guest/inside/inside.h"
#include "backend/guest/inside/request.h"

/* Lifetime: one execution. */
struct spawn {
    const struct guest *g;
    const struct request *request;
    int in; /* the command's ends of its standard streams */
    int out;
    int err;
    struct guest_failure failure; /* what went wrong; filled in by the child too */
};

/*
 * Make a child that is the command: its own session, the request's user without groups or
 * capabilities, no signal blocked or ignored, descriptors 0 to 2 alone, first to be killed when
 * memory runs out. Returns its pid; or -1 with failure filled in, and then there is no child to
 * wait for.
 */
pid_t spawn_command(struct spawn *s);

#endif
