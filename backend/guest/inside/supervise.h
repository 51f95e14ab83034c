/* Executions, one after the other, each from accept() to its end. */
#ifndef BACKEND_GUEST_INSIDE_SUPERVISE_H
#define BACKEND_GUEST_INSIDE_SUPERVISE_H

#include <stdatomic.h>

#include "backend/guest/inside/inside.h"

/*
 * Be a supervisor: wait for a connection, serve it, and so on while one is needed. @idle, true at
 * first, says whether it waits. The exit status is 0 unless something is left behind.
 */
_Noreturn void supervise(const struct guest *g, atomic_bool *idle);

#endif
