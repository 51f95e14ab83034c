/*
 * The records that the store keeps and the domain works with. Identifiers are short and bounded, so
 * they live inside the structs; what can be long is owned by them.
 */
#ifndef BACKEND_STORE_RECORDS_H
#define BACKEND_STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/config/settings.h"
#include "backend/id.h"

enum {
    OWNER_SIZE = 129, /* bytes, NUL included */
    NAME_SIZE = 65,   /* of agents, sessions, tiers, templates */
    IMAGE_SIZE = 256, /* of an image reference */
    RUNTIME_SIZE = 33,
    REQUEST_ID_SIZE = 65,
    SCOPE_KEY_SIZE = 65, /* hex of a hash */
    IDEMPOTENCY_KEY_SIZE = 65,
    FINGERPRINT_SIZE = 65, /* hex of a hash */
    NONCE_SIZE = 33        /* hex of 128 random bits */
};

enum container_status {
    CONTAINER_CREATING = 1,
    CONTAINER_RUNNING,
    CONTAINER_STOPPED,
    CONTAINER_FAILED,
    CONTAINER_REMOVING
};

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const container_status_names[];

/* Initialise with {0}; container_done() frees what it owns. */
struct container {
    int64_t seq; /* the order of creation, set by the store */
    char id[CONTAINER_ID_SIZE];
    char scope_key[SCOPE_KEY_SIZE]; /* "" if nobody may find it again */
    char owner[OWNER_SIZE];
    int64_t uid;
    int64_t gid; /* 0: the same number */
    char agent_id[NAME_SIZE];
    char session_id[NAME_SIZE]; /* "" if none */
    enum scope scope;
    bool one_shot;        /* destroyed after its one execution */
    char tier[NAME_SIZE]; /* "" if none */
    char template_name[NAME_SIZE];
    char image[IMAGE_SIZE];
    char runtime[RUNTIME_SIZE];
    enum network network;
    enum access workspace_access;
    struct limits limits;
    int64_t gpus;     /* how many it needs */
    int64_t gpu_mask; /* bit N: it has GPU N; NVML's and Docker's index */
    char *labels;     /* owned: a JSON object; NULL stands for {} */
    enum container_status status;
    uint64_t worker; /* that makes it, or, for a one-shot, uses it */
    int64_t created_at_ms;
    int64_t started_at_ms; /* 0: never */
    int64_t last_used_at_ms;
    int64_t executions_count;
    int64_t disk_bytes; /* of its own layer, when last measured */
};

void container_done(struct container *c);

/* What a list of containers is narrowed to. NULL and 0 do not narrow. */
struct container_filter {
    const char *owner;
    const char *agent_id;
    const char *tier;
    int scope;      /* enum scope */
    int status;     /* enum container_status */
    int64_t before; /* seq: only older ones */
    int64_t limit;
};

enum audit_kind { AUDIT_EXECUTION = 1, AUDIT_CHANGE, AUDIT_NETWORK };

enum audit_status {
    AUDIT_RUNNING = 1,
    AUDIT_COMPLETED,
    AUDIT_FAILED,
    AUDIT_TIMED_OUT,
    AUDIT_OOM_KILLED,
    AUDIT_KILLED,
    AUDIT_INTERRUPTED,
    AUDIT_REFUSED
};

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const audit_kind_names[];
extern const char *const audit_status_names[];

/* Initialise with {0}; audit_entry_done() frees what it owns. */
struct audit_entry {
    int64_t seq;
    char id[AUDIT_ID_SIZE];
    enum audit_kind kind;
    char owner[OWNER_SIZE];
    char agent_id[NAME_SIZE];
    char session_id[NAME_SIZE];           /* "" if none */
    char container_id[CONTAINER_ID_SIZE]; /* "" if none */
    char tier[NAME_SIZE];                 /* "" if none */
    char template_name[NAME_SIZE];
    char *command; /* owned: the shell text, or the argv as a JSON array; a change's action */
    char *details; /* owned: a change's before and after, a JSON object; NULL if none */
    enum audit_status status;
    int64_t started_at_ms;
    int64_t finished_at_ms; /* 0 while running */
    int64_t duration_ms;
    int64_t cpu_ms;
    int64_t max_memory_kib; /* the largest resident set among its processes */
    bool background;        /* it goes on without its client and its worker */
    int64_t output_cap;     /* bytes kept of each stream */
    int exit_code;          /* -1: none */
    char signal[16];        /* "SIGKILL"; "" if none */
    uint64_t stdout_bytes;  /* true totals */
    uint64_t stderr_bytes;
    char request_id[REQUEST_ID_SIZE];
    uint64_t worker;
    char hash[65]; /* "" while running */
};

void audit_entry_done(struct audit_entry *e);

/* What a list of entries is narrowed to. NULL and 0 do not narrow. */
struct audit_filter {
    const char *owner;
    const char *agent_id;
    const char *session_id;
    const char *container_id;
    const char *tier;
    int status;       /* enum audit_status */
    int kind;         /* enum audit_kind; 0: every kind */
    int64_t since_ms; /* started at or after */
    int64_t until_ms; /* started before */
    int64_t before;   /* seq: only older ones */
    int64_t limit;
};

/* The kept output of an execution. Initialise with {0}. */
struct audit_output {
    char *out; /* owned; head and tail joined where it was over the cap */
    size_t out_len;
    size_t out_head; /* bytes of it that are the stream's head; the rest ends where it ended */
    char *errout;    /* owned */
    size_t errout_len;
    size_t errout_head;
    bool out_truncated;
    bool errout_truncated;
};

void audit_output_done(struct audit_output *o);

/* A template made through the API. Initialise with {0}; template_row_done() frees what it owns. */
struct template_row {
    char name[NAME_SIZE];
    char image[IMAGE_SIZE]; /* "": built from the Dockerfile */
    char *dockerfile;       /* owned; NULL: it has an image, or was not asked for */
    char *files;            /* owned: a JSON object, path to text; NULL stands for {} */
    char nonce[NONCE_SIZE]; /* of the keyed request that made it; "": it had no key */
    bool removing;          /* its removal has begun */
    int64_t created_at_ms;
    int64_t updated_at_ms;
};

void template_row_done(struct template_row *t);

enum job_kind { JOB_BUILD = 1, JOB_PULL };

enum job_status { JOB_QUEUED = 1, JOB_RUNNING, JOB_DONE, JOB_FAILED };

enum { JOB_ERROR_SIZE = 256, JOB_ATTEMPTS_MAX = 2 };

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const job_kind_names[];
extern const char *const job_status_names[];

/* The last job of a template. */
struct job {
    char template_name[NAME_SIZE];
    enum job_kind kind;
    enum job_status status;
    int64_t attempts;           /* how often a builder has begun it */
    char error[JOB_ERROR_SIZE]; /* "" if it has not failed */
    int64_t created_at_ms;
    int64_t finished_at_ms; /* 0: not yet */
    char nonce[NONCE_SIZE]; /* of the keyed request that queued it; "": it had no key */
};

enum snapshot_status { SNAPSHOT_CREATING = 1, SNAPSHOT_READY, SNAPSHOT_REMOVING };

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const snapshot_status_names[];

struct snapshot {
    int64_t seq; /* the order of creation, set by the store */
    char id[SNAPSHOT_ID_SIZE];
    char container_id[CONTAINER_ID_SIZE];
    char owner[OWNER_SIZE];
    char name[NAME_SIZE]; /* text of the owner's */
    enum snapshot_status status;
    uint64_t worker;    /* that makes it */
    int64_t size_bytes; /* that it takes by itself; 0 until ready */
    int64_t created_at_ms;
};

/* What a list of snapshots is narrowed to. NULL and 0 do not narrow. */
struct snapshot_filter {
    const char *container_id;
    int status;     /* enum snapshot_status */
    int64_t before; /* seq: only older ones */
    int64_t limit;
};

enum { TOKEN_HASH_BYTES = 32 };

/* A bearer token, without its secret. */
struct token {
    int64_t seq; /* the order of creation, set by the store */
    char id[TOKEN_ID_SIZE];
    char owner[OWNER_SIZE]; /* whom it stands for */
    char name[NAME_SIZE];   /* text of an admin's */
    int64_t created_at_ms;
    int64_t expires_at_ms;   /* 0: never */
    int64_t last_used_at_ms; /* some moments late; 0: never */
};

/* What a list of tokens is narrowed to. NULL and 0 do not narrow. */
struct token_filter {
    const char *owner;
    int64_t before; /* seq: only older ones */
    int64_t limit;
};

enum pool_status { POOL_WARMING = 1, POOL_READY, POOL_DRAINING };

/* Spellings, NULL-terminated; index = value - 1. */
extern const char *const pool_status_names[];

/* A container that nobody owns yet. */
struct pool_entry {
    char id[CONTAINER_ID_SIZE];
    char template_name[NAME_SIZE];
    char tier[NAME_SIZE];
    char fingerprint[FINGERPRINT_SIZE]; /* of all that it was made of */
    enum pool_status status;
    int64_t created_at_ms;
};

/* Of one template and tier. */
struct pool_figures {
    int64_t ready, warming;  /* containers */
    int64_t claimed, missed; /* requests */
    bool held;               /* drained, and not to be filled again */
};

enum { AUDIT_SHARES_MAX = 1000 };

/* How many executions have one value of a field. */
struct audit_share {
    char key[NAME_SIZE];
    int64_t count;
};

/* The most frequent values, at most AUDIT_SHARES_MAX; of days, the newest. */
struct audit_shares {
    struct audit_share *items; /* owned */
    size_t count;
};

/* Figures over executions. Initialise with {0}; audit_summary_done() frees what it owns. */
struct audit_summary {
    int64_t total; /* refused ones too */
    int64_t cpu_ms;
    int64_t p50_ms, p95_ms, max_ms; /* of those that ran and are over; -1: there are none */
    struct audit_shares by_status;
    struct audit_shares by_tier; /* "none": the config's resource_limits */
    struct audit_shares by_agent;
    struct audit_shares by_day; /* "2026-03-02", UTC */
};

void audit_summary_done(struct audit_summary *sum);

/* A request that came with an Idempotency-Key. Initialise with {0}; keyed_done() frees what it
 * owns.
 */
struct keyed {
    char owner[OWNER_SIZE];
    char key[IDEMPOTENCY_KEY_SIZE];
    char fingerprint[FINGERPRINT_SIZE];
    char nonce[NONCE_SIZE]; /* what the ids of the things it makes are derived from */
    uint64_t worker;        /* that carries it out; 0: it broke off, and nobody does */
    int status;             /* of its answer; 0: there is none yet */
    char *body; /* owned: the answer's JSON, "" for no content; NULL: it is not kept, but
                   built again from what the request made */
    int64_t created_at_ms;
};

void keyed_done(struct keyed *k);

/*
 * The quotas that something has to pass, as one of the store's functions looks at them in the
 * transaction that adds to what they bound. Initialise with {.quotas = …}.
 */
struct quota_gate {
    const struct quotas *quotas; /* borrowed */
    bool shut;                   /* it may not pass, and what follows says why */
    enum quota which;
    int64_t used;       /* of it */
    int64_t free_at_ms; /* when there will be room again; 0: nobody knows */
};

/* For GET status and whoami. */
struct counts {
    int64_t containers;
    int64_t executions_running;
    int64_t executions_since;
};

/* How many there are of each, whoever's they are. */
struct gauges {
    int64_t containers[CONTAINER_REMOVING]; /* by enum container_status, less 1 */
    int64_t executions_running;
    int64_t jobs_queued;
};

#endif
