-- Bearer tokens: secrets that stand for a user.

CREATE TABLE token (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    owner        TEXT NOT NULL, -- whom it stands for
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32), -- keyed; the secret is nowhere
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER, -- NULL: never
    last_used_at INTEGER  -- some moments late; NULL: never
) STRICT;

CREATE INDEX token_owner ON token (owner, seq);
