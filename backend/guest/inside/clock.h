/* Time that no one can set. */
#ifndef BACKEND_GUEST_INSIDE_CLOCK_H
#define BACKEND_GUEST_INSIDE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_ms(void);

#endif
