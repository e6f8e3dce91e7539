-- Bodies are stored forms of the package pipewright.store.v1. Ids have 16 bytes, times are
-- nanoseconds since the epoch.

-- Values that exist once: 'instance', 'next_token', 'last_claim'.
CREATE TABLE once (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline (
    id BLOB PRIMARY KEY,
    -- Older revisions are kept only as long as jobs that run them.
    oldest_revision INTEGER NOT NULL,
    head BLOB NOT NULL,
    durations BLOB
) STRICT, WITHOUT ROWID;

-- Also those of deleted pipelines that stored jobs run.
CREATE TABLE revision (
    pipeline BLOB NOT NULL,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (pipeline, number)
) STRICT, WITHOUT ROWID;

-- Jobs that have not ended. Each trigger adds one, so there is no other index.
CREATE TABLE active_job (
    pipeline BLOB NOT NULL,
    revision INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (pipeline, revision, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ended_job (
    id BLOB PRIMARY KEY,
    project TEXT NOT NULL,
    pipeline BLOB NOT NULL,
    revision INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    state INTEGER NOT NULL,
    has_run INTEGER NOT NULL,
    snapshot BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ended_job_by_time ON ended_job (end_time, id);
CREATE INDEX ended_job_never_ran ON ended_job (end_time, id) WHERE has_run = 0;
CREATE INDEX ended_job_by_state ON ended_job (state, id);
CREATE INDEX ended_job_by_project ON ended_job (project, state, id);
CREATE INDEX ended_job_by_pipeline ON ended_job (pipeline, state, id);
CREATE INDEX ended_job_by_revision ON ended_job (pipeline, revision);

CREATE TABLE event (
    job BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
    end_time INTEGER NOT NULL,
    job BLOB NOT NULL,
    project TEXT NOT NULL,
    pipeline BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (end_time, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX facts_by_pipeline ON facts (pipeline, end_time);
CREATE INDEX facts_by_project ON facts (project, end_time);

CREATE TABLE runner (
    id BLOB PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    id BLOB PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE binding (
    job BLOB NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE lost_workspace (
    job BLOB NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT, WITHOUT ROWID;

-- Due work. The token is that of its claim, 0 if it is not claimed.
CREATE TABLE work (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    token INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE answer (
    principal TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id BLOB NOT NULL,
    time INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (principal, method, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_by_time ON answer (time);

-- The batches that were committed last.
CREATE TABLE batch (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL
) STRICT;

-- The keys that seal the secrets of an owner, each encrypted.
CREATE TABLE data_key (
    owner TEXT PRIMARY KEY,
    -- The id of the encryption key.
    encryption_key TEXT NOT NULL,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX data_key_by_encryption_key ON data_key (encryption_key);
