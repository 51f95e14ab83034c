/* The command of a request: see command.h. */
#include "backend/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/egress/verdict.h"
#include "backend/guest/protocol.h"
#include "backend/id.h"
#include "backend/placement.h"

enum { ENV_NAME_MAX = 128 };

#define NOT_PROXIED "localhost,127.0.0.1,::1"

/* By what programs find the egress proxy: each reads the names in the case that it likes. */
static const struct {
    const char *name, *value;
} proxy_variables[] = {
    {"HTTP_PROXY", GUEST_RELAY_URL},  {"http_proxy", GUEST_RELAY_URL},
    {"HTTPS_PROXY", GUEST_RELAY_URL}, {"https_proxy", GUEST_RELAY_URL},
    {"ALL_PROXY", GUEST_RELAY_URL},   {"all_proxy", GUEST_RELAY_URL},
    {"NO_PROXY", NOT_PROXIED},        {"no_proxy", NOT_PROXIED},
};

static bool
env_name_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t len = strlen(name);

    return len > 0 && len <= ENV_NAME_MAX && strspn(name, allowed) == len &&
           (name[0] < '0' || name[0] > '9');
}

int
command_check(const struct settings *settings, const struct command *command, struct error *err)
{
    int64_t most = settings->service.max_output_bytes;
    const char *name;
    json_t *value;

    if (command->shell && command->argv.count > 0)
        error_violation(err, "/argv", "may not be given together with command");
    else if (!command->shell && command->argv.count == 0)
        error_violation(err, "/command", "is required, or argv instead");
    else if (command->argv.count > 0 && command->argv.items[0][0] == '\0')
        error_violation(err, "/argv/0", "must name a program");
    if (command->cwd && command->cwd[0] != '/')
        error_violation(err, "/cwd", "must be an absolute path inside the sandbox");
    if (command->max_output_bytes > most)
        error_violation(err, "/max_output_bytes", "may be at most %lld", (long long)most);
    json_object_foreach(command->env, name, value) if (!env_name_valid(name))
    {
        error_violation(err, "/env", "'%.64s' cannot be the name of a variable", name);
        break;
    }
    return err->code == ERR_NONE ? 0 : -EINVAL;
}

char *
command_describe(const struct command *command)
{
    json_auto_t *argv = NULL;

    if (command->shell)
        return strdup(command->shell);
    argv = json_array();
    for (size_t i = 0; i < command->argv.count; i++)
        if (json_array_append_new(argv, json_string(command->argv.items[i])) < 0)
            return NULL;
    return json_dumps(argv, JSON_COMPACT);
}

int64_t
command_output_cap(const struct settings *settings, const struct command *command)
{
    return command->max_output_bytes ? command->max_output_bytes
                                     : settings->service.max_output_bytes;
}

/* The request's variables, and those of the proxy that it does not set itself; NULL on ENOMEM. */
static json_t *
env_proxied(json_t *env)
{
    json_auto_t *all = json_object();

    for (size_t i = 0; i < ARRAY_LEN(proxy_variables); i++)
        if (json_object_set_new(all, proxy_variables[i].name,
                                json_string(proxy_variables[i].value)) < 0)
            return NULL;
    return env && json_object_update(all, env) < 0 ? NULL : TAKE(all);
}

/* "NAME=value" strings and the array that points at them, in one allocation. */
static const char **
env_strings(json_t *env)
{
    size_t count = json_object_size(env), bytes = 0, i = 0;
    const char *name;
    json_t *value;
    const char **list;
    char *p;

    json_object_foreach(env, name, value) bytes += strlen(name) + json_string_length(value) + 2;
    list = malloc((count + 1) * sizeof(*list) + bytes);
    if (!list)
        return NULL;
    p = (char *)(list + count + 1);
    json_object_foreach(env, name, value)
    {
        list[i++] = p;
        p += sprintf(p, "%s=%s", name, json_string_value(value)) + 1;
    }
    list[i] = NULL;
    return list;
}

/* The NULL-terminated argv that runs @command. The strings stay borrowed. */
static const char **
argv_strings(const struct command *command)
{
    size_t count = command->shell ? 3 : command->argv.count;
    const char **list = calloc(count + 1, sizeof(*list));

    if (!list)
        return NULL;
    if (command->shell) {
        list[0] = "/bin/sh";
        list[1] = "-c";
        list[2] = command->shell;
    } else {
        memcpy(list, command->argv.items, count * sizeof(*list));
    }
    return list;
}

int
command_call_init(struct command_call *ret, const struct settings *settings,
                  const struct command *command, const struct container *c,
                  const struct audit_entry *entry, struct error *err)
{
    bool proxied = egress_proxied(settings, placement_network(settings, c));
    json_auto_t *env = proxied ? env_proxied(command->env) : json_incref(command->env);
    int64_t seconds =
        command->timeout_seconds ? command->timeout_seconds : c->limits.timeout_seconds;

    ret->argv = argv_strings(command);
    ret->env = proxied && !env ? NULL : env_strings(env);
    if (!ret->argv || !ret->env)
        return error_errno(err, ENOMEM, "command");
    ret->guest = (struct guest_command){
        .id = id_audit_number(entry->id),
        .argv = ret->argv,
        .env = ret->env,
        .cwd = command->cwd ? command->cwd : "/workspace",
        .timeout_ms = seconds * 1000,
        .input = command->input,
        .input_len = command->input ? strlen(command->input) : 0,
        .sink = command->observer ? &command->observer->sink : NULL,
        .cancel_fd = command->peer_fd,
    };
    return 0;
}

void
command_call_done(struct command_call *call)
{
    free(call->argv);
    free(call->env);
    *call = (struct command_call){0};
}
