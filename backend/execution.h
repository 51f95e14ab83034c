/*
 * Executions: one command in one container, from the audit row that announces it to the one that
 * tells its end.
 */
#ifndef BACKEND_EXECUTION_H
#define BACKEND_EXECUTION_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/backend.h"
#include "backend/container.h"
#include "backend/error.h"
#include "backend/placement.h"
#include "backend/store/records.h"

/* The command of a request. Everything is borrowed. */
struct command {
    const char *shell; /* sh text; or NULL, and argv is set */
    struct strings argv;
    json_t *env;              /* object of strings, or NULL */
    const char *cwd;          /* absolute, or NULL: the workspace */
    const char *input;        /* for stdin; NULL: none */
    int64_t timeout_seconds;  /* 0: the container's limit */
    int64_t max_output_bytes; /* a stream; 0: the service's */
    const char *agent_id;     /* who asked, for the audit; NULL: the container's */
    const char *session_id;
    const char *request_id;
    const char *nonce; /* of a keyed request: its id is derived from it; NULL: any id */
    int peer_fd; /* a client's going away here ends the command; -1: none */
};

/* How it went. Initialise with {0}; execution_done() frees what it owns. */
struct execution {
    struct audit_entry entry;
    struct audit_output output;
};

void execution_done(struct execution *x);

/*
 * Check what the command's fields say about each other and the settings: exactly one of command and
 * argv, names of env, an absolute cwd, the output's cap. Errors: ERR_VALIDATION.
 */
int command_check(const struct settings *settings, const struct command *command,
                  struct error *err);

/*
 * Run @command in the container of @where's scope, which is found, made or started; a one-shot's is
 * removed afterwards. A refusal by policy leaves an audit entry, too. A command that fails, times
 * out or is killed is a success of this call. Errors: those of placement_plan(),
 * container_acquire() and execution_run_in().
 */
int execution_run(struct backend *b, const struct placement *where, const struct command *command,
                  struct execution *ret, struct error *err);

/*
 * Run @command in the container @id. Errors: ERR_NOT_FOUND, ERR_CONTAINER_NOT_RUNNING,
 * ERR_SANDBOXING_OFF, ERR_NOT_SELECTED, ERR_VALIDATION (a timeout above the container's),
 * ERR_PROCESS_LIMIT.
 */
int execution_run_in(struct backend *b, const struct caller *caller, const char *id,
                     const struct command *command, struct execution *ret, struct error *err);

#endif
