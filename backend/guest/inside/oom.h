/* The kernel's out-of-memory killer: whom it should take, and whether it struck. */
#ifndef BACKEND_GUEST_INSIDE_OOM_H
#define BACKEND_GUEST_INSIDE_OOM_H

#include <stdint.h>

/* Open the container's own memory cgroup's counter, of cgroup v1 or v2. Returns -1 if there is
 * none. */
int oom_counter_open(void);

/* How many processes the kernel has killed in it; 0 for -1. */
uint64_t oom_counter_read(int fd);

/*
 * Make the calling process, and what it will fork, the killer's first choice. A process made by
 * vfork(2) does not change its parent's score with its own.
 */
void oom_score_raise(void);

#endif
