/* The field tables of the YAML files and of the policy: see tables.h. */
#include "backend/config/tables.h"

#include <stddef.h>

#include "backend/config/names.h"
#include "backend/config/settings.h"
#include "backend/log.h"

const char *const mode_names[] = {"off", "selective", "all", NULL};
const char *const scope_names[] = {"session", "agent", "shared", NULL};
const char *const access_names[] = {"none", "ro", "rw", NULL};
const char *const network_names[] = {"None", "Restricted", "Full", NULL};
const char *const role_names[] = {"viewer", "user", "admin", NULL};
const char *const quota_names[QUOTA_COUNT] = {
    [QUOTA_CONTAINERS] = "containers",
    [QUOTA_CONCURRENT_EXECUTIONS] = "concurrent_executions",
    [QUOTA_EXECUTIONS_PER_MINUTE] = "executions_per_minute",
    [QUOTA_EXECUTIONS_PER_DAY] = "executions_per_day",
    [QUOTA_CPU_SECONDS_PER_DAY] = "cpu_seconds_per_day",
    [QUOTA_DISK_MB] = "disk_mb",
    [QUOTA_SNAPSHOTS] = "snapshots",
};

/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): types and paths of members take no parentheses */

/* The members of a `struct limits` that is (or is embedded as `path` in) the struct `in`. */
#define LIMIT_FIELDS(in, path, needed)                                                            \
    {.name = "cpu_cores", .type = FIELD_NUMBER, .offset = offsetof(in, path cpu_cores),           \
     .required = needed, .above_min = true, .max = 1024,                                          \
     .doc = "CPU time, in cores."},                                                               \
    {.name = "memory_mb", .type = FIELD_INT, .offset = offsetof(in, path memory_mb),              \
     .required = needed, .min = 16, .max = 1048576,                                               \
     .doc = "Memory, in MiB."},                                                                   \
    {.name = "disk_mb", .type = FIELD_INT, .offset = offsetof(in, path disk_mb),                  \
     .required = needed, .min = 1, .max = 67108864,                                               \
     .doc = "Disk space of the container's own files, in MiB."},                                  \
    {.name = "max_processes", .type = FIELD_INT, .offset = offsetof(in, path max_processes),      \
     .required = needed, .min = 1, .max = 100000,                                                 \
     .doc = "Processes and threads of commands at one time."},                                    \
    {.name = "timeout_seconds", .type = FIELD_INT, .offset = offsetof(in, path timeout_seconds),  \
     .required = needed, .min = 1, .max = 86400,                                                  \
     .doc = "The longest that one execution may take."}

static const struct field limit_fields[] = {
    LIMIT_FIELDS(struct limits, , false),
    {0},
};

static const struct field network_fields[] = {
    {.name = "enabled", .type = FIELD_BOOL, .offset = offsetof(struct network_policy, enabled),
     .doc = "Whether restricted containers reach the allowed domains, or nothing."},
    {.name = "allowed_domains", .type = FIELD_STRINGS, .max = 1000,
     .offset = offsetof(struct network_policy, allowed_domains),
     .doc = "Host names, *.example.org for all names below example.org, or addresses."},
    {.name = "blocked_domains", .type = FIELD_STRINGS, .max = 1000,
     .offset = offsetof(struct network_policy, blocked_domains),
     .doc = "As allowed_domains; blocked wins over allowed."},
    {0},
};

/* The members of a `struct policy` that is (or is embedded as `path` in) the struct `in`. */
#define POLICY_FIELDS(in, path)                                                                   \
    {.name = "mode", .type = FIELD_ENUM, .offset = offsetof(in, path mode),                       \
     .values = mode_names,                                                                        \
     .doc = "Which executions run: none, those selected, or all."},                               \
    {.name = "scope_mode", .type = FIELD_ENUM, .offset = offsetof(in, path scope_mode),           \
     .values = scope_names,                                                                       \
     .doc = "What shares a container where a request does not say."},                             \
    {.name = "workspace_access", .type = FIELD_ENUM,                                              \
     .offset = offsetof(in, path workspace_access), .values = access_names,                       \
     .doc = "The most access to the agent's workspace that a request gets."},                     \
    {.name = "resource_limits", .type = FIELD_OBJECT,                                             \
     .offset = offsetof(in, path resource_limits), .fields = limit_fields,                        \
     .doc = "Limits of executions without a tier."},                                              \
    {.name = "network_policy", .type = FIELD_OBJECT,                                              \
     .offset = offsetof(in, path network_policy), .fields = network_fields,                       \
     .doc = "Which domains containers of restricted tiers reach."}

/* NOLINTEND(bugprone-macro-parentheses) */

const struct field policy_fields[] = {
    POLICY_FIELDS(struct policy, ),
    {0},
};

static const struct field selective_fields[] = {
    {.name = "untiered", .type = FIELD_BOOL, .offset = offsetof(struct selective, untiered)},
    {.name = "tiers", .type = FIELD_STRINGS, .offset = offsetof(struct selective, tiers),
     .max = 64},
    {.name = "agents", .type = FIELD_STRINGS, .offset = offsetof(struct selective, agents),
     .max = 1000},
    {0},
};

static const struct field service_fields[] = {
    {.name = "user", .type = FIELD_STRING, .offset = offsetof(struct service, user),
     .min = 1, .max = 32},
    {.name = "allowed_peers", .type = FIELD_STRINGS,
     .offset = offsetof(struct service, allowed_peers),
     .min = 1, .max = 16},
    {.name = "workers", .type = FIELD_INT, .offset = offsetof(struct service, workers),
     .min = 1, .max = 64},
    {.name = "control_threads", .type = FIELD_INT,
     .offset = offsetof(struct service, control_threads),
     .min = 1, .max = 4096},
    {.name = "execution_threads", .type = FIELD_INT,
     .offset = offsetof(struct service, execution_threads),
     .min = 1, .max = 4096},
    {.name = "authentication_threads", .type = FIELD_INT,
     .offset = offsetof(struct service, auth_threads),
     .min = 1, .max = 256},
    {.name = "drain_seconds", .type = FIELD_INT, .offset = offsetof(struct service, drain_seconds),
     .max = 3600},
    {.name = "uid_first", .type = FIELD_INT, .offset = offsetof(struct service, uid_first),
     .min = 10000, .max = 2147483647},
    {.name = "uid_last", .type = FIELD_INT, .offset = offsetof(struct service, uid_last),
     .min = 10000, .max = 2147483647},
    {.name = "max_output_bytes", .type = FIELD_INT,
     .offset = offsetof(struct service, max_output_bytes),
     .min = 2, .max = 16777216},
    {.name = "docker_runtime", .type = FIELD_IDENT,
     .offset = offsetof(struct service, docker_runtime),
     .min = 1, .max = 64},
    {.name = "log_format", .type = FIELD_ENUM, .offset = offsetof(struct service, log_format),
     .values = log_format_names},
    {.name = "metrics_socket", .type = FIELD_BOOL,
     .offset = offsetof(struct service, metrics_socket)},
    {0},
};

static const struct field container_fields[] = {
    {.name = "idle_stop_seconds", .type = FIELD_INT,
     .offset = offsetof(struct container_policy, idle_stop_seconds), .max = 31536000},
    {.name = "idle_remove_seconds", .type = FIELD_INT,
     .offset = offsetof(struct container_policy, idle_remove_seconds), .max = 31536000},
    {.name = "snapshots_max", .type = FIELD_INT,
     .offset = offsetof(struct container_policy, snapshots_max), .max = 1000},
    {0},
};

static const struct field build_fields[] = {
    {.name = "timeout_seconds", .type = FIELD_INT,
     .offset = offsetof(struct builds, timeout_seconds), .min = 1, .max = 86400},
    {.name = "memory_mb", .type = FIELD_INT, .offset = offsetof(struct builds, memory_mb),
     .min = 16, .max = 1048576},
    {.name = "context_mb", .type = FIELD_INT, .offset = offsetof(struct builds, context_mb),
     .min = 1, .max = 64},
    {.name = "concurrency", .type = FIELD_INT, .offset = offsetof(struct builds, concurrency),
     .min = 1, .max = 16},
    {.name = "network", .type = FIELD_BOOL, .offset = offsetof(struct builds, network)},
    {.name = "credentials", .type = FIELD_STRING, .offset = offsetof(struct builds, credentials),
     .max = 4095},
    {0},
};

static const struct field audit_fields[] = {
    {.name = "retention_days", .type = FIELD_INT,
     .offset = offsetof(struct audit_policy, retention_days), .max = 36500},
    {.name = "max_mb", .type = FIELD_INT, .offset = offsetof(struct audit_policy, max_mb),
     .max = 67108864},
    {0},
};

static const struct field target_fields[] = {
    {.name = "template", .type = FIELD_STRING, .required = true,
     .offset = offsetof(struct pool_target, template_name), .min = 1, .max = 63},
    {.name = "tier", .type = FIELD_IDENT, .required = true,
     .offset = offsetof(struct pool_target, tier), .min = 1, .max = 64},
    {.name = "count", .type = FIELD_INT, .required = true,
     .offset = offsetof(struct pool_target, count), .min = 0, .max = 1000},
    {0},
};

static const struct field pool_fields[] = {
    {.name = "enabled", .type = FIELD_BOOL, .offset = offsetof(struct pool_policy, enabled)},
    {.name = "targets", .type = FIELD_LIST, .offset = offsetof(struct pool_policy, targets),
     .max = 256, .fields = target_fields, .size = sizeof(struct pool_target)},
    {0},
};

static const struct field gpu_fields[] = {
    {.name = "library", .type = FIELD_STRING, .offset = offsetof(struct gpu_policy, library),
     .min = 1, .max = 4095},
    {0},
};

static const struct field egress_fields[] = {
    {.name = "ports", .type = FIELD_INTS, .offset = offsetof(struct egress_policy, ports),
     .max = 64, .item_max = 65535},
    {.name = "plain_ports", .type = FIELD_INTS,
     .offset = offsetof(struct egress_policy, plain_ports), .max = 64, .item_max = 65535},
    {.name = "permit_addresses", .type = FIELD_STRINGS,
     .offset = offsetof(struct egress_policy, permit_addresses), .max = 64, .item_max = 64},
    {.name = "nameservers", .type = FIELD_STRINGS,
     .offset = offsetof(struct egress_policy, nameservers), .max = 3, .item_max = 64},
    {.name = "connections_max", .type = FIELD_INT,
     .offset = offsetof(struct egress_policy, connections_max), .min = 1, .max = 4096},
    {.name = "mb_per_hour", .type = FIELD_INT,
     .offset = offsetof(struct egress_policy, mb_per_hour), .max = 67108864},
    {.name = "connect_timeout_seconds", .type = FIELD_INT,
     .offset = offsetof(struct egress_policy, connect_timeout_seconds), .min = 1, .max = 300},
    {.name = "idle_timeout_seconds", .type = FIELD_INT,
     .offset = offsetof(struct egress_policy, idle_timeout_seconds), .min = 1, .max = 86400},
    {0},
};

const struct field sandbox_fields[] = {
    POLICY_FIELDS(struct settings, policy.),
    {.name = "selective", .type = FIELD_OBJECT, .offset = offsetof(struct settings, selective),
     .fields = selective_fields},
    {.name = "service", .type = FIELD_OBJECT, .offset = offsetof(struct settings, service),
     .fields = service_fields},
    {.name = "containers", .type = FIELD_OBJECT, .offset = offsetof(struct settings, containers),
     .fields = container_fields},
    {.name = "builds", .type = FIELD_OBJECT, .offset = offsetof(struct settings, builds),
     .fields = build_fields},
    {.name = "audit", .type = FIELD_OBJECT, .offset = offsetof(struct settings, audit),
     .fields = audit_fields},
    {.name = "pool", .type = FIELD_OBJECT, .offset = offsetof(struct settings, pool),
     .fields = pool_fields},
    {.name = "gpu", .type = FIELD_OBJECT, .offset = offsetof(struct settings, gpu),
     .fields = gpu_fields},
    {.name = "egress", .type = FIELD_OBJECT, .offset = offsetof(struct settings, egress),
     .fields = egress_fields},
    {0},
};

static const struct field tier_fields[] = {
    LIMIT_FIELDS(struct tier, limits., true),
    {.name = "network", .type = FIELD_ENUM, .offset = offsetof(struct tier, network),
     .required = true, .values = network_names},
    {.name = "runtime", .type = FIELD_IDENT, .offset = offsetof(struct tier, runtime),
     .min = 1, .max = 64},
    {.name = "gpus", .type = FIELD_INT, .offset = offsetof(struct tier, gpus), .max = 64},
    {0},
};

const struct field tiers_fields[] = {
    {.name = "tiers", .type = FIELD_DICT, .offset = offsetof(struct settings, tiers),
     .required = true, .min = 1, .max = 64,
     .fields = tier_fields, .size = sizeof(struct tier)},
    {0},
};

static const struct field template_fields[] = {
    {.name = "image", .type = FIELD_STRING, .offset = offsetof(struct template_entry, image),
     .min = 1, .max = 255},
    {.name = "dockerfile", .type = FIELD_STRING,
     .offset = offsetof(struct template_entry, dockerfile), .min = 1},
    {.name = "files", .type = FIELD_MAP, .offset = offsetof(struct template_entry, files),
     .max = CONTEXT_FILES_MAX},
    {.name = "default", .type = FIELD_BOOL, .offset = offsetof(struct template_entry, is_default)},
    {.name = "gpus", .type = FIELD_INT, .offset = offsetof(struct template_entry, gpus),
     .max = 64},
    {0},
};

const struct field templates_fields[] = {
    {.name = "templates", .type = FIELD_DICT, .offset = offsetof(struct settings, templates),
     .required = true, .max = 256,
     .fields = template_fields, .size = sizeof(struct template_entry)},
    {0},
};

/* One of `quotas`; 0 is no limit, which a user may have where others of the group have one. */
#define QUOTA_FIELD(key, which, limit)                                                            \
    {.name = key, .type = FIELD_INT, .offset = offsetof(struct quotas, most[which]),           \
     .max = limit}

static const struct field quota_fields[] = {
    QUOTA_FIELD("containers", QUOTA_CONTAINERS, 100000),
    QUOTA_FIELD("concurrent_executions", QUOTA_CONCURRENT_EXECUTIONS, 100000),
    QUOTA_FIELD("executions_per_minute", QUOTA_EXECUTIONS_PER_MINUTE, 100000),
    QUOTA_FIELD("executions_per_day", QUOTA_EXECUTIONS_PER_DAY, 1000000000),
    QUOTA_FIELD("cpu_seconds_per_day", QUOTA_CPU_SECONDS_PER_DAY, 1000000000),
    QUOTA_FIELD("disk_mb", QUOTA_DISK_MB, 67108864),
    QUOTA_FIELD("snapshots", QUOTA_SNAPSHOTS, 1000000),
    {0},
};

static const struct field run_as_fields[] = {
    {.name = "account", .type = FIELD_STRING, .offset = offsetof(struct run_as, account),
     .min = 1, .max = 64},
    {.name = "uid", .type = FIELD_INT, .offset = offsetof(struct run_as, uid),
     .min = 1000, .max = 2147483647},
    {.name = "gid", .type = FIELD_INT, .offset = offsetof(struct run_as, gid),
     .min = 1000, .max = 2147483647},
    {0},
};

/* The members of an access_rule that is (or is embedded as `path` in) the struct `in`. */
#define RULE_FIELDS(in, path)                                                                     \
    {.name = "role", .type = FIELD_ENUM, .offset = offsetof(in, path role),                       \
     .values = role_names},                                                                       \
    {.name = "tier", .type = FIELD_IDENT, .offset = offsetof(in, path tier),                      \
     .min = 1, .max = 64},                                                                        \
    {.name = "max_tier", .type = FIELD_STRING, .offset = offsetof(in, path max_tier),             \
     .min = 1, .max = 64},                                                                        \
    {.name = "quotas", .type = FIELD_OBJECT, .offset = offsetof(in, path quotas),                 \
     .fields = quota_fields},                                                                     \
    {.name = "templates", .type = FIELD_STRINGS, .offset = offsetof(in, path templates),          \
     .min = 1, .max = 256, .item_max = 63},                                                       \
    {.name = "run_as", .type = FIELD_OBJECT, .offset = offsetof(in, path run_as),                 \
     .fields = run_as_fields},                                                                    \
    {.name = "workspace_root", .type = FIELD_STRING, .offset = offsetof(in, path workspace_root), \
     .min = 1, .max = 1024}

static const struct field rule_fields[] = {
    RULE_FIELDS(struct access_rule, ),
    {0},
};

static const struct field group_fields[] = {
    RULE_FIELDS(struct access_group, rule.),
    {.name = "users", .type = FIELD_STRINGS, .offset = offsetof(struct access_group, users),
     .required = true, .max = 10000, .item_max = 128},
    {0},
};

const struct field access_fields[] = {
    {.name = "users", .type = FIELD_DICT, .offset = offsetof(struct settings, users),
     .required = true, .max = 10000,
     .fields = rule_fields, .size = sizeof(struct access_rule)},
    {.name = "groups", .type = FIELD_DICT, .offset = offsetof(struct settings, groups),
     .max = 1000,
     .fields = group_fields, .size = sizeof(struct access_group)},
    {.name = "default", .type = FIELD_OBJECT, .offset = offsetof(struct settings, default_access),
     .fields = rule_fields},
    {0},
};

/* clang-format on */

/* JSON rather than a struct, so that lists have defaults too; yaml/sandbox.yaml says the same. */
static const char sandbox_default_text[] =
    "{\"mode\": \"selective\", \"scope_mode\": \"session\", \"workspace_access\": \"rw\","
    " \"resource_limits\": {\"cpu_cores\": 1.0, \"memory_mb\": 512, \"disk_mb\": 2048,"
    "                     \"max_processes\": 50, \"timeout_seconds\": 300},"
    " \"network_policy\": {\"enabled\": false, \"allowed_domains\": [], \"blocked_domains\": []},"
    " \"selective\": {\"untiered\": true, \"agents\": [],"
    "               \"tiers\": [\"Sandbox\", \"Restricted\", \"Standard\", \"Elevated\"]},"
    " \"service\": {\"user\": \"sandboxd\", \"allowed_peers\": [\"www-data\"], \"workers\": 2,"
    "             \"control_threads\": 8, \"execution_threads\": 64,"
    "             \"authentication_threads\": 4, \"drain_seconds\": 10,"
    "             \"uid_first\": 200000, \"uid_last\": 265535, \"max_output_bytes\": 1048576,"
    "             \"docker_runtime\": \"runc\", \"log_format\": \"text\", \"metrics_socket\": "
    "true},"
    " \"containers\": {\"idle_stop_seconds\": 1800, \"idle_remove_seconds\": 604800,"
    "                \"snapshots_max\": 10},"
    " \"builds\": {\"timeout_seconds\": 900, \"memory_mb\": 2048, \"context_mb\": 16,"
    "            \"concurrency\": 2, \"network\": false, \"credentials\": \"\"},"
    " \"audit\": {\"retention_days\": 90, \"max_mb\": 4096},"
    " \"pool\": {\"enabled\": false, \"targets\": []},"
    " \"gpu\": {\"library\": \"libnvidia-ml.so.1\"},"
    " \"egress\": {\"ports\": [80, 443], \"plain_ports\": [], \"permit_addresses\": [],"
    "            \"nameservers\": [], \"connections_max\": 64, \"mb_per_hour\": 0,"
    "            \"connect_timeout_seconds\": 10, \"idle_timeout_seconds\": 300}}";

json_t *
sandbox_defaults(void)
{
    return json_loads(sandbox_default_text, JSON_REJECT_DUPLICATES, NULL);
}
