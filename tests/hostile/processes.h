/* The processes that commands in this server's sandboxes are, seen from the host. */
#ifndef TESTS_HOSTILE_PROCESSES_H
#define TESTS_HOSTILE_PROCESSES_H

#include <stddef.h>
#include <sys/types.h>

/* How many there are, dead but unreaped ones too; *ret_pid is one of them, if there is any. */
size_t processes_count(pid_t *ret_pid);

/* Fail the test unless there is none, at the latest after @seconds. */
void processes_assert_gone(int seconds);

#endif
