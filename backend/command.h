/*
 * The command of a request: checked against itself and the settings, described for the audit, and
 * put as the guest takes it.
 */
#ifndef BACKEND_COMMAND_H
#define BACKEND_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/config/settings.h"
#include "backend/error.h"
#include "backend/guest/guest.h"
#include "backend/schema.h"
#include "backend/store/records.h"

/* Who hears of an execution as it goes. */
struct command_observer {
    struct guest_sink sink;
    /* It has its audit row, and is about to be started; @entry lives as long as it runs. */
    void (*announced)(void *arg, const struct audit_entry *entry); /* @arg is the sink's */
    /* It has ended, and its row says so. */
    void (*ended)(void *arg, const struct audit_entry *entry, const struct audit_output *output);
};

/* Everything is borrowed. */
struct command {
    const char *shell; /* sh text; or NULL, and argv is set */
    struct strings argv;
    json_t *env;              /* object of strings, or NULL */
    const char *cwd;          /* absolute, or NULL: the workspace */
    const char *input;        /* for stdin; NULL: none */
    int64_t timeout_seconds;  /* 0: the container's limit */
    int64_t max_output_bytes; /* a stream; 0: the service's */
    bool background;          /* it goes on by itself: observer and peer_fd are not used */
    const char *agent_id;     /* who asked, for the audit; NULL: the container's */
    const char *session_id;
    const char *request_id;
    const char *nonce; /* of a keyed request: its id is derived from it; NULL: any id */
    const struct command_observer *observer; /* NULL: nobody listens */
    int peer_fd; /* a client's going away here ends the command; -1: none */
};

/*
 * Check what the command's fields say about each other and the settings: exactly one of command and
 * argv, names of env, an absolute cwd, the output's cap. Errors: ERR_VALIDATION.
 */
int command_check(const struct settings *settings, const struct command *command,
                  struct error *err);

/* The command as the audit shows it: the shell text, or the argv as a JSON array. Owned by the
 * caller; NULL on ENOMEM. */
char *command_describe(const struct command *command);

/* How much of each stream is kept, in bytes. */
int64_t command_output_cap(const struct settings *settings, const struct command *command);

/* A command as the guest takes it. Initialise with {0}; command_call_done() frees what it owns. */
struct command_call {
    struct guest_command guest;
    const char **argv; /* owned; the strings are not, or lie in the same allocation */
    const char **env;  /* likewise */
};

/*
 * Put @command, run in @c as the execution @entry, into @ret. Where @c reaches the network through
 * the egress proxy as @settings are now, HTTP_PROXY and its like say so, unless the command sets
 * them itself. Errors: ERR_INTERNAL on ENOMEM.
 */
int command_call_init(struct command_call *ret, const struct settings *settings,
                      const struct command *command, const struct container *c,
                      const struct audit_entry *entry, struct error *err);

void command_call_done(struct command_call *call);

#endif
