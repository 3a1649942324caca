CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,       -- fences what a replaced worker still says
    crashes INTEGER NOT NULL DEFAULT 0,     -- workers lost under this job
    family TEXT NOT NULL,
    model TEXT NOT NULL,
    created INTEGER NOT NULL,               -- times: nanoseconds since 1970
    ended INTEGER,
    expire INTEGER,
    next_sequence INTEGER NOT NULL DEFAULT 1,
    info BLOB NOT NULL                      -- wancore.v1.Job
) STRICT;
CREATE INDEX jobs_by_owner ON jobs (owner, created DESC, id);
CREATE INDEX jobs_by_state ON jobs (state);

CREATE TABLE request_ids (
    owner TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body BLOB NOT NULL,                     -- SHA-256 of what was asked
    job TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (owner, request_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    payload BLOB NOT NULL,                  -- wancore.v1.JobEvent
    PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (                       -- the frame index: frames of one decoded block
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    first_sequence INTEGER NOT NULL,        -- one sequence per frame from here on
    attempt INTEGER NOT NULL,
    block INTEGER NOT NULL,
    first_frame INTEGER NOT NULL,
    frame_count INTEGER NOT NULL,
    offset INTEGER NOT NULL,                -- into the attempt's spool file
    frame_bytes INTEGER NOT NULL,
    crcs BLOB NOT NULL,                     -- CRC-32C of each frame, little endian
    time INTEGER NOT NULL,
    PRIMARY KEY (job, first_sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE assets (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE asset_owners (
    digest TEXT NOT NULL REFERENCES assets (digest) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    PRIMARY KEY (digest, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE callers (
    name TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,        -- SHA-256
    scopes TEXT NOT NULL,                   -- separated by spaces
    expire INTEGER,
    queued_jobs INTEGER,
    running_jobs INTEGER,
    weight REAL NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE TABLE timings (                      -- measured seconds, for estimates
    key TEXT PRIMARY KEY,
    seconds REAL NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
