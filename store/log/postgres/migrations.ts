import { newerSchema } from '../newer-schema.ts'
import type { Connection, Execute } from './connection.ts'

/**
 * Migration i takes the schema from version i to i + 1 (table `schema_version`). Never change a released migration: add another.
 *
 * `results` is partitioned by the day (UTC) of the scheduled time. The run determines it, so a result that is stored twice goes to the same
 * partition. `output_pieces` is partitioned by the day on which the output's first piece arrived, which its head records. Old rows are so
 * together, and the partition of a day that became empty is dropped (partitions.ts).
 */
const migrations: readonly string[] = [
  `
  CREATE SEQUENCE results_id;
  CREATE TABLE results (
    id          bigint NOT NULL DEFAULT nextval('results_id'),
    uid         text COLLATE "C" NOT NULL,
    run         text COLLATE "C" NOT NULL,
    attempt     bigint NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    pool        text COLLATE "C" NOT NULL,
    namespace   text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    target      text COLLATE "C" NOT NULL,
    agent       text COLLATE "C",
    generation  bigint NOT NULL,
    time        bigint NOT NULL,
    started_at  bigint,
    ended_at    bigint NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    gravity     integer NOT NULL,
    exit_code   bigint,
    signal      text,
    reason      text,
    message     text,
    tail        text,
    final       integer NOT NULL,
    range_first bigint,
    range_count bigint,
    PRIMARY KEY (uid, time, run, attempt)
  ) PARTITION BY RANGE (time);
  CREATE INDEX results_time ON results (time, id);
  CREATE INDEX results_namespace ON results (namespace, name, time, id);
  CREATE INDEX results_agent ON results (agent, time, id);
  CREATE INDEX results_bad_time ON results (time, id) WHERE outcome <> 'Succeeded';

  CREATE TABLE fires (
    uid            text COLLATE "C" NOT NULL,
    time           bigint NOT NULL,
    class          text COLLATE "C" NOT NULL,
    gravity        integer NOT NULL,
    started_at     bigint,
    ended_at       bigint NOT NULL,
    succeeded      bigint NOT NULL,
    failed         bigint NOT NULL,
    missed         bigint NOT NULL,
    -- 1: an agent claimed it on at least one target.
    taken          integer NOT NULL,
    failed_targets text[] COLLATE "C" NOT NULL,
    -- Columns of the decisive result.
    kind           text NOT NULL,
    namespace      text NOT NULL,
    name           text NOT NULL,
    outcome        text NOT NULL,
    exit_code      bigint,
    signal         text,
    reason         text,
    message        text,
    tail           text,
    range_first    bigint,
    range_count    bigint,
    PRIMARY KEY (uid, time)
  );
  CREATE INDEX fires_class ON fires (uid, class, time);

  CREATE TABLE outputs (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid       text COLLATE "C" NOT NULL,
    run       text COLLATE "C" NOT NULL,
    attempt   bigint NOT NULL,
    namespace text NOT NULL,
    name      text NOT NULL,
    pool      text NOT NULL,
    agent     text NOT NULL,
    -- When its first piece arrived, ms since the epoch. Its day is the partition of the pieces.
    at        bigint NOT NULL DEFAULT extract(epoch FROM now()) * 1000,
    stored    bigint NOT NULL DEFAULT 0,
    bytes     bigint NOT NULL DEFAULT 0,
    -- Bytes of its pieces, as they are stored.
    kept      bigint NOT NULL DEFAULT 0,
    cut       bigint NOT NULL DEFAULT 0,
    lost      bigint NOT NULL DEFAULT 0,
    ended     integer NOT NULL DEFAULT 0,
    expired   integer NOT NULL DEFAULT 0,
    UNIQUE (run, uid, attempt)
  );
  CREATE INDEX outputs_kept ON outputs (id) INCLUDE (kept) WHERE kept > 0;

  CREATE TABLE output_pieces (
    at       bigint NOT NULL,
    output   bigint NOT NULL,
    position bigint NOT NULL,
    next     bigint NOT NULL,
    chunks   bytea NOT NULL,
    -- 1: compressed with zstd.
    packed   integer NOT NULL,
    lost     bigint,
    PRIMARY KEY (output, position, at)
  ) PARTITION BY RANGE (at);
  ALTER TABLE output_pieces ALTER COLUMN chunks SET STORAGE EXTERNAL;

  CREATE TABLE facts (key text PRIMARY KEY, value bigint NOT NULL);
  `,
  `
  -- ShellRuns are few among the results.
  CREATE INDEX results_run_time ON results (time, id) WHERE kind = 'run';
  `,
  `
  -- When its last piece arrived, ms since the epoch. Unknown for existing output, which counts from now.
  ALTER TABLE outputs ADD COLUMN said bigint NOT NULL DEFAULT extract(epoch FROM now()) * 1000;
  `,
  `
  -- The job of a ShellRun with jobRef.
  ALTER TABLE results ADD COLUMN job_name text;
  CREATE INDEX results_job_name ON results (namespace, job_name, time, id) WHERE job_name IS NOT NULL;
  `,
  `
  -- The clock epoch in the run's id: the same time in two of them is two fires.
  ALTER TABLE results ADD COLUMN clock_epoch bigint NOT NULL DEFAULT 0;
  ALTER TABLE fires ADD COLUMN clock_epoch bigint NOT NULL DEFAULT 0;
  ALTER TABLE fires DROP CONSTRAINT fires_pkey, ADD PRIMARY KEY (uid, clock_epoch, time);
  DROP INDEX fires_class;
  CREATE INDEX fires_class ON fires (uid, class, clock_epoch, time);
  `,
]

/** Key of the advisory lock for schema changes. Any number that no other program uses in this database. */
const SCHEMA_LOCK = 7_205_311

export async function lockSchema(execute: Execute): Promise<void> {
  await execute('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
}

/** Migrates the schema in one transaction; operators that start at once wait. Throws InvalidInput if a newer version created it. */
export async function migrate(connection: Connection): Promise<void> {
  await connection.transaction(async execute => {
    await lockSchema(execute)
    await execute('CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)')
    const { rows } = await execute('SELECT max(version) AS version FROM schema_version')
    const version = Number(rows[0]?.version ?? 0)
    if (version > migrations.length)
      throw newerSchema({ place: 'the database', found: version, known: migrations.length })
    for (const sql of migrations.slice(version)) await execute(sql)
    await execute('DELETE FROM schema_version')
    await execute('INSERT INTO schema_version VALUES ($1)', [migrations.length])
  })
}
