/* Guests gone bad: what stands in a container's socket directory instead of what was there. */
#ifndef TESTS_HOSTILE_BADGUEST_H
#define TESTS_HOSTILE_BADGUEST_H

#include <sys/types.h>

/* What a bad guest does with an execution, once it has read its request. */
enum badguest_manner {
    BADGUEST_SILENT,      /* nothing */
    BADGUEST_GARBAGE,     /* noise without end */
    BADGUEST_FLOOD,       /* output without end */
    BADGUEST_TRICKLE,     /* a byte of output now and then, without end */
    BADGUEST_TWO_ENDS,    /* two ends */
    BADGUEST_DESCRIPTORS, /* output that brings descriptors, without end */
    BADGUEST_LENGTHS      /* frames that are longer than they may be */
};

/* Be the guest of the container @id, in a process of its own, until it is stopped. */
pid_t badguest_start(const char *id, enum badguest_manner manner);

/* Stop it. */
void badguest_stop(pid_t pid);

#endif
