/*
 * What the tests see of the server beside its API, as root on the same machine: its processes, its
 * files and its engine.
 */
#ifndef TESTS_API_HOST_H
#define TESTS_API_HOST_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tests/api/client.h"

enum { HOST_PIDS_MAX = 64 };

struct pids {
    pid_t list[HOST_PIDS_MAX];
    size_t count;
};

/* The path of the state directory's file @name, in @out, which is returned. */
const char *host_path(const char *name, char out[PATH_MAX]);

/* The pid in the state directory's file @name; 0 if it names none that runs. */
pid_t host_pid_file(const char *name);

/* Whether the process runs; a zombie does not. */
bool host_runs(pid_t pid);

/* The manager's running children of a role: "broker", "worker", "janitor", "builder", "egress" or
 * "metrics".
 */
struct pids host_role(const char *role);

/* Wait until there are @count children of a role, none of which is @not (0: any). */
void host_wait_role(const char *role, size_t count, pid_t not );

/* The value of @key (such as "Uid") in /proc/@pid/status; the caller frees. */
char *host_status(pid_t pid, const char *key);

/* Memory of all workers together that is theirs alone, in KiB. */
long host_workers_private_kib(void);

/* Write @text to the state directory's file @name, whole or not at all. */
void host_write(const char *name, const char *text);

/* Run a command of the shell with the server's environment; returns its exit status. */
int host_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ask the server's engine: @path is below the API's version; @body NULL or JSON. Status 0: it does
 * not answer. */
struct reply host_engine(const char *method, const char *path, const char *body);

/* The engine's name of the server's container @id, in @out. */
void host_engine_name(const char *id, char *out, size_t size);

/* Whether the engine has the server's container @id, running or not. */
bool host_engine_has(const char *id);

/* Whether GET status is answered; fit for wait_until(). */
bool host_answers(void *ignored);

/* Kill every process of the service at once, and start the manager again as it was started. */
void host_kill_service(void);

/* Have the janitor make a pass now. */
void host_nudge_janitor(void);

#endif
