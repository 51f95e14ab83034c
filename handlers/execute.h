/* What POST execute shares with POST containers (which sandbox) and POST containers/{id}/exec
 * (which command). */
#ifndef HANDLERS_EXECUTE_H
#define HANDLERS_EXECUTE_H

#include "backend/execution.h"
#include "handlers/events.h"
#include "handlers/handler.h"

/* The command's part of a body. */
struct command_body {
    const char *shell;
    struct strings argv;
    json_t *env;
    const char *cwd;
    const char *input;
    int64_t timeout_seconds;
    int64_t max_output_bytes;
    bool background;
};

enum {
    COMMAND_STRING_MAX = (128 << 10) - 1, /* bytes: what execve(2) takes in one string */
    COMMAND_INPUT_MAX = 1 << 20,          /* bytes; no body is larger */
    COMMAND_ARGV_MAX = 4096,
    COMMAND_ENV_MAX = 256,
    COMMAND_OUTPUT_MAX = 16 << 20
};

/* clang-format off */
#define COMMAND_FIELDS(body, member)                                                               \
    {.name = "command", .type = FIELD_STRING, .offset = offsetof(body, member.shell), .min = 1,    \
     .max = COMMAND_STRING_MAX, .doc = "sh text to run; or give argv"},                             \
    {.name = "argv", .type = FIELD_STRINGS, .offset = offsetof(body, member.argv), .min = 1,       \
     .max = COMMAND_ARGV_MAX, .item_empty = true, .item_max = COMMAND_STRING_MAX,          \
     .doc = "program and arguments to run; or give command"},                                      \
    {.name = "env", .type = FIELD_MAP, .offset = offsetof(body, member.env),                       \
     .max = COMMAND_ENV_MAX, .doc = "environment variables, over the image's"},                    \
    {.name = "cwd", .type = FIELD_STRING, .offset = offsetof(body, member.cwd), .min = 1,          \
     .max = 4095, .doc = "absolute working directory; default /workspace"},                        \
    {.name = "stdin", .type = FIELD_STRING, .offset = offsetof(body, member.input),                \
     .max = COMMAND_INPUT_MAX, .doc = "bytes for the command's standard input"},                   \
    {.name = "timeout_seconds", .type = FIELD_INT, .offset = offsetof(body, member.timeout_seconds), \
     .min = 1, .max = 86400, .doc = "deadline; at most the limit that applies"},                   \
    {.name = "max_output_bytes", .type = FIELD_INT,                                                \
     .offset = offsetof(body, member.max_output_bytes), .min = 2, .max = COMMAND_OUTPUT_MAX,       \
     .doc = "how much of each stream is kept, head and tail"},                                     \
    {.name = "background", .type = FIELD_BOOL, .offset = offsetof(body, member.background),        \
     .doc = "answer when it has started; it goes on by itself"}
/* clang-format on */

/* The part of a body that says which sandbox. */
struct placement_body {
    const char *agent_id;
    const char *session_id;
    int scope;
    const char *tier;
    const char *template_name;
    int workspace_access;
};

/* clang-format off */
#define PLACEMENT_FIELDS(body, member)                                                             \
    {.name = "agent_id", .type = FIELD_IDENT, .offset = offsetof(body, member.agent_id), .min = 1, \
     .max = 64, .doc = "whose workspace and container; default \"default\""},                      \
    {.name = "session_id", .type = FIELD_IDENT, .offset = offsetof(body, member.session_id),       \
     .min = 1, .max = 64, .doc = "in scope session: who shares the container"},                    \
    {.name = "scope", .type = FIELD_ENUM, .offset = offsetof(body, member.scope),                  \
     .values = scope_names, .doc = "who shares the container; default: the config's scope_mode"},  \
    {.name = "tier", .type = FIELD_STRING, .offset = offsetof(body, member.tier), .min = 1,        \
     .max = 64, .doc = "permission tier, without regard to case"},                                 \
    {.name = "template", .type = FIELD_STRING, .offset = offsetof(body, member.template_name),     \
     .min = 1, .max = 64, .doc = "image template; default: the one marked so"},                    \
    {.name = "workspace_access", .type = FIELD_ENUM,                                               \
     .offset = offsetof(body, member.workspace_access), .values = access_names,                    \
     .doc = "at most the config's"}
/* clang-format on */

/* The placement that @body asks for, for the caller of @req. */
struct placement placement_from_body(const struct request *req, const struct placement_body *body);

/* The command that @body asks for, checked; @events hear of it. Errors: ERR_VALIDATION. */
int command_from_body(const struct request *req, const struct command_body *body,
                      const struct events *events, struct command *ret, struct error *err);

/*
 * Answer how @x went, which is what running it returned as @r: 200 with all of it, 202 for one that
 * goes on in the background, nothing where @events have told all. Returns @r, or the failure to
 * answer.
 */
int execution_answer(const struct execution *x, int r, struct events *events, struct response *res,
                     struct error *err);

/* A route's replay: the answer of an execution that its first attempt has begun. */
int execution_replay(const struct request *req, struct response *res, struct error *err);

#endif
