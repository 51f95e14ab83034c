/* Taking from PID 1, before anything else runs, what neither it nor its children will need. */
#ifndef BACKEND_GUEST_INSIDE_CONFINE_H
#define BACKEND_GUEST_INSIDE_CONFINE_H

/*
 * Close all descriptors above 2; restore signal dispositions and block all signals; forbid core
 * dumps, tracing and new privileges; empty the bounding, ambient and inheritable sets; and keep of
 * the capabilities only SETUID, SETGID and KILL. Returns 0 or an errno.
 */
int confine(void);

/* Give those up too, and all groups: for a process that needs no power. Returns 0 or an errno. */
int confine_fully(void);

#endif
