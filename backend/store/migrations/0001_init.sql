-- Times are milliseconds since the epoch, sizes end in their unit, enums are spelled as in the API.

CREATE TABLE override (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    policy  TEXT NOT NULL -- a JSON object: what PUT config stored, over the YAML
) STRICT;

INSERT INTO override (id, policy) VALUES (1, '{}');

CREATE TABLE owner (
    name TEXT PRIMARY KEY,
    uid  INTEGER NOT NULL UNIQUE -- that the owner's commands run as
) STRICT, WITHOUT ROWID;

CREATE TABLE container (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    scope_key        TEXT UNIQUE, -- who may find it again; NULL: nobody (one-shot, or being removed)
    owner            TEXT NOT NULL,
    uid              INTEGER NOT NULL,
    agent_id         TEXT NOT NULL,
    session_id       TEXT,
    scope            TEXT NOT NULL CHECK (scope IN ('session', 'agent', 'shared')),
    one_shot         INTEGER NOT NULL CHECK (one_shot IN (0, 1)),
    tier             TEXT, -- NULL: the config's resource_limits
    template         TEXT NOT NULL,
    image            TEXT NOT NULL,
    runtime          TEXT NOT NULL,
    network          TEXT NOT NULL CHECK (network IN ('None', 'Restricted', 'Full')),
    workspace_access TEXT NOT NULL CHECK (workspace_access IN ('none', 'ro', 'rw')),
    cpu_cores        REAL NOT NULL,
    memory_mb        INTEGER NOT NULL,
    disk_mb          INTEGER NOT NULL,
    max_processes    INTEGER NOT NULL,
    timeout_seconds  INTEGER NOT NULL,
    labels           TEXT NOT NULL, -- a JSON object of strings
    status           TEXT NOT NULL
                     CHECK (status IN ('creating', 'running', 'stopped', 'failed', 'removing')),
    worker           INTEGER NOT NULL, -- that makes it, or, for a one-shot, uses it
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    last_used_at     INTEGER NOT NULL,
    executions_count INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX container_owner ON container (owner, seq);

-- Every execution writes here twice while its client waits: each index costs it two pages more.
CREATE TABLE audit (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL CHECK (kind IN ('execution', 'change', 'network')),
    owner        TEXT NOT NULL,
    agent_id     TEXT,
    session_id   TEXT,
    container_id TEXT,
    tier         TEXT,
    template     TEXT,
    command      TEXT NOT NULL,
    status       TEXT NOT NULL
                 CHECK (status IN ('running', 'completed', 'failed', 'timed_out', 'oom_killed',
                                   'killed', 'interrupted', 'refused')),
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    duration_ms  INTEGER,
    cpu_ms       INTEGER,
    exit_code    INTEGER,
    signal       TEXT,
    stdout_bytes INTEGER NOT NULL DEFAULT 0, -- true totals, whatever was kept
    stderr_bytes INTEGER NOT NULL DEFAULT 0,
    request_id   TEXT NOT NULL,
    worker       INTEGER NOT NULL, -- that runs it
    chain        INTEGER,          -- position in the hash chain; NULL while running
    hash         TEXT              -- hex, over the entry and the hash before it
) STRICT;

CREATE INDEX audit_owner ON audit (owner, seq);
CREATE INDEX audit_container ON audit (container_id, seq);
CREATE INDEX audit_started ON audit (started_at);
CREATE INDEX audit_running ON audit (worker) WHERE status = 'running';

CREATE TABLE output (
    audit_seq        INTEGER PRIMARY KEY REFERENCES audit (seq) ON DELETE CASCADE,
    stdout           BLOB NOT NULL, -- head and tail, joined, where it was over the cap
    stderr           BLOB NOT NULL,
    stdout_truncated INTEGER NOT NULL CHECK (stdout_truncated IN (0, 1)),
    stderr_truncated INTEGER NOT NULL CHECK (stderr_truncated IN (0, 1))
) STRICT;

CREATE TABLE chain (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    length INTEGER NOT NULL,
    hash   TEXT NOT NULL -- of the newest finished entry; 64 zeros before the first
) STRICT;

INSERT INTO chain (id, length, hash) VALUES (1, 0, printf('%064d', 0));
