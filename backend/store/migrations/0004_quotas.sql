-- What owners have and use, as far as quotas bound it.

-- Each execution is admitted by the count of its owner's running ones.
DROP INDEX audit_running;
CREATE INDEX audit_running ON audit (owner) WHERE status = 'running';

-- An owner's last day with an execution. Kept beside the audit log, whose entries a cleanup may
-- remove before the day is over.
CREATE TABLE usage (
    owner      TEXT PRIMARY KEY,
    day        INTEGER NOT NULL, -- since the epoch, UTC
    executions INTEGER NOT NULL, -- begun on it
    cpu_ms     INTEGER NOT NULL  -- of executions that ended on it
) STRICT, WITHOUT ROWID;

INSERT INTO usage (owner, day, executions, cpu_ms)
SELECT owner, unixepoch() / 86400, COUNT(*), COALESCE(SUM(cpu_ms), 0) FROM audit
WHERE kind = 'execution' AND status <> 'refused'
AND started_at >= unixepoch() / 86400 * 86400000 GROUP BY owner;

-- When executions were begun in the last minute; only of owners with a quota for that.
CREATE TABLE recent (
    owner TEXT NOT NULL,
    at    INTEGER NOT NULL,
    id    TEXT NOT NULL, -- the execution's
    PRIMARY KEY (owner, at, id)
) STRICT, WITHOUT ROWID;

ALTER TABLE container ADD COLUMN gid INTEGER NOT NULL DEFAULT 0; -- 0: the same number as the uid
ALTER TABLE container ADD COLUMN disk_bytes INTEGER NOT NULL DEFAULT 0; -- when last measured

CREATE INDEX snapshot_owner ON snapshot (owner);
