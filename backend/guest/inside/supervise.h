/* Executions, one after the other, each from accept() to its end. */
#ifndef BACKEND_GUEST_INSIDE_SUPERVISE_H
#define BACKEND_GUEST_INSIDE_SUPERVISE_H

#include <stddef.h>

#include "backend/guest/inside/inside.h"

/*
 * Be the supervisor of @slot, which is idle at first: wait for a connection, serve it, and so on
 * while one is needed. The exit status is 0 unless something is left behind.
 *
 * Where the kernel has no subreapers (gVisor), a process whose parent died becomes PID 1's at once.
 * So a supervisor serves one execution there and ends with SUPERVISOR_LEAVES_OTHERS, upon which PID
 * 1 kills what it has got; also what it has got of executions that still run.
 */
enum { SUPERVISOR_LEAVES_OTHERS = 3 };
_Noreturn void supervise(const struct guest *g, size_t slot);

#endif
