import type { DatabaseSync } from 'node:sqlite'
import { newerSchema } from '../newer-schema.ts'

/**
 * Migration i takes the database from version i to i + 1 (`PRAGMA user_version`). Never change a released migration: add another.
 *
 * `results` has a row for each attempt or range. `fires` aggregates them for each scheduled time, in the same transaction, so that the cost
 * of an object's status does not grow with its history. A result writes a page of each of its indexes, so there are few indexes. Results
 * that did not succeed are few, and searched for most, so they have their own indexes.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE results (
    id          INTEGER PRIMARY KEY,
    uid         TEXT NOT NULL,
    run         TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    pool        TEXT NOT NULL,
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    target      TEXT NOT NULL,
    agent       TEXT,
    generation  INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    gravity     INTEGER NOT NULL,
    exit_code   INTEGER,
    signal      TEXT,
    reason      TEXT,
    message     TEXT,
    tail        TEXT,
    final       INTEGER NOT NULL,
    range_first INTEGER,
    range_count INTEGER
  ) STRICT;
  -- (uid, run, attempt) is unique. The run determines the time, which lets this index serve an object's history too.
  CREATE UNIQUE INDEX results_uid ON results (uid, time, run, attempt);
  CREATE INDEX results_time ON results (time);
  CREATE INDEX results_namespace ON results (namespace, time);
  CREATE INDEX results_agent ON results (agent, time) WHERE agent IS NOT NULL;
  CREATE INDEX results_run_time ON results (time) WHERE kind = 'run';
  CREATE INDEX results_bad_uid ON results (uid, time) WHERE outcome <> 'Succeeded';
  CREATE INDEX results_bad_time ON results (time) WHERE outcome <> 'Succeeded';
  CREATE INDEX results_bad_namespace ON results (namespace, time) WHERE outcome <> 'Succeeded';
  CREATE INDEX results_bad_agent ON results (agent, time) WHERE outcome <> 'Succeeded' AND agent IS NOT NULL;

  CREATE TABLE objects (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    uid       TEXT NOT NULL,
    PRIMARY KEY (namespace, name, uid)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE fires (
    uid        TEXT NOT NULL,
    class      TEXT NOT NULL,
    time       INTEGER NOT NULL,
    gravity    INTEGER NOT NULL,
    -- The decisive result.
    result     INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER NOT NULL,
    succeeded  INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    missed     INTEGER NOT NULL,
    -- 1: an agent claimed it on at least one target.
    taken      INTEGER NOT NULL,
    PRIMARY KEY (uid, class, time)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE facts (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE outputs (
    id        INTEGER PRIMARY KEY,
    uid       TEXT NOT NULL,
    run       TEXT NOT NULL,
    attempt   INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    pool      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    stored    INTEGER NOT NULL DEFAULT 0,
    bytes     INTEGER NOT NULL DEFAULT 0,
    cut       INTEGER NOT NULL DEFAULT 0,
    lost      INTEGER NOT NULL DEFAULT 0,
    ended     INTEGER NOT NULL DEFAULT 0,
    expired   INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE UNIQUE INDEX outputs_run ON outputs (run, uid, attempt);

  CREATE TABLE output_pieces (
    id       INTEGER PRIMARY KEY,
    output   INTEGER NOT NULL,
    -- The position of its chunks in the spool, and of the next piece.
    position INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    chunks   BLOB NOT NULL,
    lost     INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX output_pieces_output ON output_pieces (output, position);
  `,
  `
  -- 1: compressed with zstd.
  ALTER TABLE output_pieces ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;
  INSERT INTO facts (key, value) SELECT 'outputBytes', coalesce(sum(length(chunks)), 0) FROM output_pieces;
  `,
  `
  -- When its first and its last piece arrived, ms since the epoch. Unknown for existing output, which counts from now.
  ALTER TABLE outputs ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outputs ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
  UPDATE outputs SET began = unixepoch() * 1000, said = unixepoch() * 1000;
  `,
  `
  -- The job of a ShellRun with jobRef. Table objects then has its uid under the job's name too.
  ALTER TABLE results ADD COLUMN job_name TEXT;
  `,
  `
  -- The clock epoch in the run's id: the same time in two of them is two fires.
  ALTER TABLE results ADD COLUMN clock_epoch INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE fires RENAME TO fires_before;
  CREATE TABLE fires (
    uid         TEXT NOT NULL,
    class       TEXT NOT NULL,
    clock_epoch INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    gravity     INTEGER NOT NULL,
    result      INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER NOT NULL,
    succeeded   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    missed      INTEGER NOT NULL,
    taken       INTEGER NOT NULL,
    PRIMARY KEY (uid, class, clock_epoch, time)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO fires
  SELECT uid, class, 0, time, gravity, result, started_at, ended_at, succeeded, failed, missed, taken FROM fires_before;
  DROP TABLE fires_before;
  `,
]

/** Migrates the schema to version `to`, each step in a transaction. Throws InvalidInput if a newer version created the file. */
export function migrate(db: DatabaseSync, to = migrations.length): void {
  const version = versionOf(db)
  if (version > migrations.length)
    throw newerSchema({ place: db.location() ?? 'the file', found: version, known: migrations.length })
  for (const [from, sql] of migrations.slice(0, to).entries()) {
    if (from < version) continue
    db.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${from + 1}; COMMIT`)
  }
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.user_version)
}
