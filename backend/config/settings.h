/*
 * Settings: everything an admin decides, from four YAML files and the overrides that PUT config
 * stored. A settings object never changes; a reload makes a new one and the old one lives until the
 * last request that holds it has ended.
 */
#ifndef BACKEND_CONFIG_SETTINGS_H
#define BACKEND_CONFIG_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/error.h"
#include "backend/schema.h"

enum mode { MODE_UNSET, MODE_OFF, MODE_SELECTIVE, MODE_ALL };
enum scope { SCOPE_UNSET, SCOPE_SESSION, SCOPE_AGENT, SCOPE_SHARED };
enum network { NETWORK_UNSET, NETWORK_NONE, NETWORK_RESTRICTED, NETWORK_FULL };
/* Access to the workspace, in rising order. */
enum access { ACCESS_UNSET, ACCESS_NONE, ACCESS_RO, ACCESS_RW };
/* In rising order; UNSET may do nothing. */
enum role { ROLE_UNSET, ROLE_VIEWER, ROLE_USER, ROLE_ADMIN };
/* What a user may have only so much of. */
enum quota {
    QUOTA_CONTAINERS,            /* that exist */
    QUOTA_CONCURRENT_EXECUTIONS, /* that run */
    QUOTA_EXECUTIONS_PER_MINUTE, /* begun in any 60 seconds */
    QUOTA_EXECUTIONS_PER_DAY,    /* begun since 00:00 UTC */
    QUOTA_CPU_SECONDS_PER_DAY,   /* of executions that ended since 00:00 UTC */
    QUOTA_DISK_MB,               /* 2^20 bytes of containers, as last measured, and snapshots */
    QUOTA_SNAPSHOTS,             /* that exist, of all containers */
    QUOTA_COUNT
};

/* The spellings of the enums above, NULL-terminated; index = value - 1. */
extern const char *const mode_names[];
extern const char *const scope_names[];
extern const char *const access_names[];
extern const char *const network_names[]; /* "None", "Restricted", "Full" */
extern const char *const role_names[];

/* The quotas' keys in access.yaml, by their value. */
extern const char *const quota_names[QUOTA_COUNT];

struct limits {
    double cpu_cores;        /* 1.0 = one core's time */
    int64_t memory_mb;       /* 2^20 bytes */
    int64_t disk_mb;         /* 2^20 bytes of the container's writable layer */
    int64_t max_processes;   /* tasks of commands, threads included */
    int64_t timeout_seconds; /* of one execution */
};

struct network_policy {
    bool enabled;
    struct strings allowed_domains;
    struct strings blocked_domains;
};

/* What GET and PUT config show: the seed's object. */
struct policy {
    int mode;             /* enum mode */
    int scope_mode;       /* enum scope */
    int workspace_access; /* enum access: the most that a request gets */
    struct limits resource_limits;
    struct network_policy network_policy;
};

/* Which executions mode `selective` runs. */
struct selective {
    bool untiered;         /* those that have no tier */
    struct strings tiers;  /* those of these tiers */
    struct strings agents; /* those of these agents */
};

/* How the service runs; read at start only. */
struct service {
    const char *user;             /* the account of workers and janitor */
    struct strings allowed_peers; /* accounts whose processes may speak FastCGI to us: nginx's */
    int64_t workers;              /* processes */
    int64_t control_threads;      /* a worker's most threads for quick requests */
    int64_t execution_threads;    /* a worker's most threads for executions */
    int64_t auth_threads;         /* a worker's most threads for nginx's auth_request */
    int64_t drain_seconds;        /* how long TERM waits for requests in flight */
    int64_t uid_first, uid_last;  /* the uids that owners' commands run as */
    int64_t max_output_bytes;     /* kept of a stream, head and tail; the most a request may ask */
    const char *docker_runtime;   /* of containers whose tier names none */
    int log_format;               /* enum log_format */
    bool metrics_socket;          /* whether run/metrics.sock answers */
};

/* How long containers stay, and what they may keep. */
struct container_policy {
    int64_t idle_stop_seconds;   /* without an execution, then stopped; 0: never */
    int64_t idle_remove_seconds; /* without an execution, then removed; 0: never */
    int64_t snapshots_max;       /* of one container */
};

/* What jobs of the builder may use. */
struct builds {
    int64_t timeout_seconds;
    int64_t memory_mb;       /* 2^20 bytes, of a build's steps */
    int64_t context_mb;      /* 2^20 bytes, of Dockerfile and files together */
    int64_t concurrency;     /* jobs at one time */
    bool network;            /* whether a build's steps reach the network */
    const char *credentials; /* a file as Docker's config.json, for registries; "" if none */
};

/* How long the audit log keeps entries. */
struct audit_policy {
    int64_t retention_days; /* 0: for ever */
    int64_t max_mb;         /* 2^20 bytes of the database; 0: no limit */
};

/* How many containers are kept ready for one kind of request. */
struct pool_target {
    const char *template_name;
    const char *tier;
    int64_t count;
};

struct pool_policy {
    bool enabled;
    struct list targets; /* struct pool_target */
};

struct gpu_policy {
    const char *library; /* NVIDIA's management library, as dlopen(3) takes it */
};

/* What the egress proxy lets through, whatever network_policy says of names. */
struct egress_policy {
    struct ints ports;               /* that may be reached */
    struct ints plain_ports;         /* of those: where a tunnel may carry other than TLS */
    struct strings permit_addresses; /* CIDRs of private and other special addresses to allow */
    struct strings nameservers;      /* "ADDRESS" or "ADDRESS:PORT"; none: /etc/resolv.conf's */
    int64_t connections_max;         /* of one container at one time */
    int64_t mb_per_hour;             /* 2^20 bytes of one container, both ways; 0: no limit */
    int64_t connect_timeout_seconds; /* for resolving and connecting */
    int64_t idle_timeout_seconds;    /* without a byte either way, then closed */
};

struct tier {
    const char *name;
    struct limits limits;
    int network;         /* enum network */
    const char *runtime; /* of Docker: "runc", "runsc", ... */
    int64_t gpus;        /* that its containers get */
};

struct template_entry {
    const char *name;
    const char *image;      /* reference as Docker takes it; NULL: built from the Dockerfile */
    const char *dockerfile; /* its text; NULL: it has an image */
    json_t *files;          /* of the build's context: an object, path to text; NULL: none */
    bool is_default;        /* of requests that name no template; at most one */
    int64_t gpus;           /* that its containers get, at least */
};

/* The most of each quota; 0: no limit. */
struct quotas {
    int64_t most[QUOTA_COUNT];
};

/* Whom a user's commands run as. All empty: a uid of the user's own, out of the service's range. */
struct run_as {
    const char *account; /* of the host; RUN_AS_USER in it stands for the user's name */
    int64_t uid, gid;    /* instead of an account; gid 0: the same number as the uid */
};

#define RUN_AS_USER "{user}"
#define ACCESS_ALL "*" /* as max_tier, or among templates: every one */

/* The keys of a rule, as far as one can be said by a group or by default instead. */
enum access_key {
    ACCESS_KEY_ROLE,
    ACCESS_KEY_TIER,
    ACCESS_KEY_MAX_TIER,
    ACCESS_KEY_TEMPLATES,
    ACCESS_KEY_RUN_AS,
    ACCESS_KEY_WORKSPACE_ROOT,
    ACCESS_KEY_QUOTAS, /* and the value of an enum quota */
    ACCESS_KEY_COUNT = ACCESS_KEY_QUOTAS + QUOTA_COUNT
};

/* Where a key's value is from. */
enum access_origin { ACCESS_BY_NOBODY, ACCESS_BY_DEFAULT, ACCESS_BY_GROUP, ACCESS_BY_USER };

/*
 * What access.yaml says of one user, or of everybody else (name NULL). In settings it is complete:
 * what a user's own keys leave open is their group's, and what that leaves open is the default's.
 */
struct access_rule {
    const char *name;
    int role;             /* enum role */
    const char *tier;     /* NULL: the config's resource_limits */
    const char *max_tier; /* NULL: every tier */
    struct quotas quotas;
    struct strings templates; /* that may be used; none: every one */
    struct run_as run_as;
    const char *workspace_root; /* path with placeholders; NULL: below the state directory */
    const char *group;          /* NULL: in none */
    const json_t *lines;        /* borrowed from the settings: where access.yaml says what */
    unsigned char origin[ACCESS_KEY_COUNT]; /* enum access_origin, by key */
};

/* A group of users in access.yaml. */
struct access_group {
    const char *name;
    struct strings users;
    struct access_rule rule; /* its own keys alone */
};

/* The files of settings. */
enum settings_document {
    SETTINGS_SANDBOX,
    SETTINGS_TIERS,
    SETTINGS_TEMPLATES,
    SETTINGS_ACCESS,
    SETTINGS_DOCUMENT_COUNT
};

extern const char *const settings_file_names[SETTINGS_DOCUMENT_COUNT];

/* Lifetime: reference-counted, see settings_ref(). Read-only to all but its maker. */
struct settings {
    atomic_int references;
    int64_t loaded_at_ms; /* since the epoch */
    struct policy policy; /* YAML and overrides together */
    struct selective selective;
    struct service service;
    struct container_policy containers;
    struct builds builds;
    struct audit_policy audit;
    struct pool_policy pool;
    struct gpu_policy gpu;
    struct egress_policy egress;
    struct list tiers;                 /* struct tier, lowest first */
    struct list templates;             /* struct template_entry */
    struct list groups;                /* struct access_group */
    struct list users;                 /* struct access_rule by name: also those of groups */
    struct access_rule default_access; /* role ROLE_UNSET: users not named get no service */
    json_t *policy_json;               /* owned: `policy` as GET config shows it */
    json_t *overrides;                 /* owned: the overrides that were applied, an object */
    json_t *merged;                    /* owned: what policy's strings are borrowed from */
    json_t *documents[SETTINGS_DOCUMENT_COUNT]; /* owned: the files and defaults, for all other
                                                   strings */
    json_t *lines[SETTINGS_DOCUMENT_COUNT]; /* owned: of each file, JSON pointers to the numbers of
                                               their lines (source.h) */
};

/*
 * Read sandbox.yaml, tiers.yaml, templates.yaml and access.yaml in the directory @dir, apply
 * @overrides (borrowed; NULL for none: a JSON object of the fields of `policy`, as
 * settings_override() makes it), and check what the schema alone cannot: tiers named by users and
 * by `selective` exist, names are well spelled and unique (tiers without regard to case), at most
 * one default template, uid range sane.
 * On success *ret is the new object, with one reference that is the caller's.
 * Errors: ERR_VALIDATION, whose sentence begins with "file:line:column: " (file name without its
 * directory, line and column from 1), or with a pointer into the policy if @overrides do not fit.
 */
int settings_load(const char *dir, json_t *overrides, struct settings **ret, struct error *err);

/*
 * A settings object as @base, with the policy of @base's YAML under @overrides (as there) instead.
 * @base stays as it is. Errors: ERR_VALIDATION with pointers into the policy.
 */
int settings_with_overrides(const struct settings *base, json_t *overrides, struct settings **ret,
                            struct error *err);

/*
 * Apply the merge patch @patch (RFC 7396, of the policy object) to @overrides: a null removes the
 * override, so that the field is its YAML default again. Neither argument is changed.
 * @overrides may be NULL. On success *ret is a new object, without nulls and empty objects in it.
 * Errors: ERR_VALIDATION with pointers if @patch names a field that there is not (with null, too)
 * or holds a value that no policy_fields allow.
 */
int settings_override(json_t *overrides, json_t *patch, json_t **ret, struct error *err);

/* Count one more holder. Returns @s. */
struct settings *settings_ref(struct settings *s);

/* Give a reference back; the last one frees. NULL is fine. */
void settings_unref(struct settings *s);
CLEANUP_FN(struct settings *, settings_unref)

/* The tier called @name without regard to case, or NULL. Borrowed. */
const struct tier *settings_tier(const struct settings *s, const char *name);

/* Its rank, 0 for the lowest; -1 if there is none of that name. */
int settings_tier_rank(const struct settings *s, const char *name);

/* The template called @name, or the default one for NULL; NULL if there is none. Borrowed. */
const struct template_entry *settings_template(const struct settings *s, const char *name);

/* What applies to @user: their own rule, or the default one (role ROLE_UNSET: none). Never NULL. */
const struct access_rule *settings_access(const struct settings *s, const char *user);

/* Whether @id may be the uid or gid of a tenant's own account: no system's, nobody's, nor one of
 * those that the service gives. */
bool settings_account_fits(const struct settings *s, int64_t id);

/* The members of `policy`, for PUT config and the API's description. */
extern const struct field policy_fields[];

#endif
