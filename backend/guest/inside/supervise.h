/* Executions, one after the other, each from accept() to its end. */
#ifndef BACKEND_GUEST_INSIDE_SUPERVISE_H
#define BACKEND_GUEST_INSIDE_SUPERVISE_H

#include <stddef.h>

#include "backend/guest/inside/inside.h"

/*
 * Be the supervisor of @slot, which is idle at first: wait for a connection, serve it, and so on
 * while one is needed. The exit status is 0 unless something is left behind.
 */
_Noreturn void supervise(const struct guest *g, size_t slot);

#endif
