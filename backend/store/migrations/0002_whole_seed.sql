-- Snapshots, templates and their jobs, the pool, idempotency keys, background executions, and what
-- the audit log needs for changes, cleanups and verification.

ALTER TABLE container ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE container ADD COLUMN gpu_mask INTEGER NOT NULL DEFAULT 0; -- bit N: it has GPU N

-- What else is known of an entry. `details` of a change is {"before": ..., "after": ...}.
ALTER TABLE audit ADD COLUMN details TEXT;
ALTER TABLE audit ADD COLUMN max_memory_kib INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN background INTEGER NOT NULL DEFAULT 0 CHECK (background IN (0, 1));
ALTER TABLE audit ADD COLUMN output_cap INTEGER NOT NULL DEFAULT 0; -- bytes kept of a stream
ALTER TABLE audit ADD COLUMN output_hash TEXT; -- hex, over its row of `output`; NULL: it has none

-- Bytes of each blob that are the stream's head; what follows them is its tail, up to its last byte.
ALTER TABLE output ADD COLUMN stdout_head INTEGER NOT NULL DEFAULT 0;
ALTER TABLE output ADD COLUMN stderr_head INTEGER NOT NULL DEFAULT 0;

-- The janitor asks every second what runs in the background, and which one-shots have done with it.
CREATE INDEX audit_background ON audit (container_id) WHERE background = 1 AND status = 'running';
CREATE INDEX container_one_shot ON container (id) WHERE one_shot = 1;

CREATE UNIQUE INDEX audit_chain ON audit (chain) WHERE chain IS NOT NULL;

-- Positions of the chain that cleanups have given up: the rows are gone or about to be, and the link
-- goes on from `hash`, which was the last one's. No two of these touch.
CREATE TABLE chain_gap (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL CHECK (last >= first),
    hash  TEXT NOT NULL
) STRICT;

-- The change entry whose details hold a hash over all of chain_gap; NULL: there is no gap.
ALTER TABLE chain ADD COLUMN gaps_entry TEXT;

CREATE TABLE snapshot (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    owner        TEXT NOT NULL,
    name         TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('creating', 'ready', 'removing')),
    worker       INTEGER NOT NULL, -- that makes it
    size_bytes   INTEGER NOT NULL DEFAULT 0, -- of its own layer
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX snapshot_container ON snapshot (container_id, seq);

-- Templates made through the API; those of templates.yaml have no row.
CREATE TABLE template (
    name       TEXT PRIMARY KEY,
    image      TEXT, -- the reference it is made from; NULL: built from the Dockerfile
    dockerfile TEXT,
    files      TEXT NOT NULL DEFAULT '{}', -- a JSON object: path in the build context to text
    removing   INTEGER NOT NULL DEFAULT 0 CHECK (removing IN (0, 1)), -- its image may be gone
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, -- when its image was last made or named
    nonce      TEXT -- of the keyed request that made it
) STRICT, WITHOUT ROWID;

-- The last job of each template, of YAML and API alike.
CREATE TABLE job (
    template    TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('build', 'pull')),
    status      TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed')),
    attempts    INTEGER NOT NULL DEFAULT 0, -- how often a builder has begun it
    error       TEXT,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    nonce       TEXT -- of the keyed request that queued it
) STRICT, WITHOUT ROWID;

-- Its log, in the pieces that it was written in.
CREATE TABLE job_log (
    template TEXT NOT NULL REFERENCES job (template) ON DELETE CASCADE,
    piece    INTEGER NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (template, piece)
) STRICT, WITHOUT ROWID;

-- Containers made ahead, that nobody owns yet. A claim moves one from here to `container`.
CREATE TABLE pool (
    id          TEXT PRIMARY KEY, -- becomes the container's id
    template    TEXT NOT NULL,
    tier        TEXT NOT NULL,
    fingerprint TEXT NOT NULL, -- of all that it was made of; another one is never handed out
    status      TEXT NOT NULL CHECK (status IN ('warming', 'ready', 'draining')),
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pool_counter (
    template TEXT NOT NULL,
    tier     TEXT NOT NULL,
    claimed  INTEGER NOT NULL DEFAULT 0,
    missed   INTEGER NOT NULL DEFAULT 0,
    held     INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), -- drained, and not to be refilled
    PRIMARY KEY (template, tier)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    owner       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL, -- of method, path, query and body
    nonce       TEXT NOT NULL, -- what the ids of the things it makes are derived from
    worker      INTEGER NOT NULL,
    status      INTEGER, -- of the answer; NULL while there is none
    body        TEXT,    -- of the answer; NULL: the handler builds it again from what is stored
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_created ON idempotency (created_at);
