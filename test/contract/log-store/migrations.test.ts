import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aggregateOf } from '../../../store/log/fire-aggregate.ts'
import { openPostgresLogStore } from '../../../store/log/postgres/store.ts'
import { COLUMNS, columnsOf } from '../../../store/log/result-rows.ts'
import { migrate } from '../../../store/log/sqlite/migrations.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { startPostgres } from '../../servers/postgres.ts'
import { chunk, failed, inClockEpoch, outputOf, result } from './log-stores.ts'

function valuesOf(columns: readonly string[], one: Parameters<typeof columnsOf>[0]) {
  return Object.fromEntries(Object.entries(columnsOf(one)).filter(([column]) => columns.includes(column)))
}

/** Files of earlier versions, with the columns that those versions wrote. */
describe('a file of an earlier schema', () => {
  let dir: string
  let path: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shellcron-log-'))
    path = join(dir, 'log.db')
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const results = [result(1), failed(2), result(3, { target: 'b' })]
  const JOB = { kind: 'job', uid: 'u1' } as const
  const said = Buffer.concat([chunk('one'), chunk('two'.repeat(1_000))])

  function made(version: number): DatabaseSync {
    const db = new DatabaseSync(path)
    migrate(db, version)
    const newer = { job_name: 5, clock_epoch: 6 }
    const columns = COLUMNS.filter(column => (newer[column as keyof typeof newer] ?? 0) <= version)
    const insert = db.prepare(
      `INSERT INTO results (${columns.join(', ')}) VALUES (${columns.map(one => `:${one}`).join(', ')})`,
    )
    const fire = db.prepare(
      `INSERT INTO fires (uid, class, time, gravity, result, started_at, ended_at, succeeded, failed, missed, taken)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    for (const one of results) {
      const sum = aggregateOf(one, Number(insert.run(valuesOf(columns, one)).lastInsertRowid))
      const counts = [sum.succeeded, sum.failed, sum.missed, sum.taken ? 1 : 0]
      const of = [one.uid, sum.class, one.time, sum.gravity, sum.result, sum.startedAt ?? null, sum.endedAt]
      fire.run(...of, ...counts)
      db.prepare('INSERT OR IGNORE INTO objects VALUES (?, ?, ?)').run(one.namespace, one.name, one.uid)
    }
    db.exec(`INSERT INTO facts VALUES ('beacon', 7)`)
    return db
  }

  test.each([1, 2, 3, 4, 5])(
    'of version %i is opened with all its data, and can be written to',
    async version => {
      const db = made(version)
      if (version === 2) {
        db.exec(`
        INSERT INTO outputs (uid, run, attempt, namespace, name, pool, agent, stored, bytes, ended)
        VALUES ('u1', '${result(1).run}', 1, 'ops', 'report', 'default', 'a', ${said.length}, 3003, 1)`)
        db.prepare('INSERT INTO output_pieces (output, position, next, chunks) VALUES (1, 0, ?, ?)').run(
          said.length,
          said,
        )
      }
      db.close()
      const store = openSqliteLogStore(path)
      expect((await store.history({ namespace: 'ops', name: 'report', limit: 10 })).rows).toEqual(
        results.toReversed(),
      )
      expect(await store.recent(JOB, { succeeded: 5, failed: 5 })).toHaveLength(3)
      expect((await store.milestones(JOB)).lastScheduled).toBe(result(3).time)
      expect(await store.beacon()).toBe(7)
      if (version < 2) await store.storeOutput([outputOf(result(1), said)])
      const of = { uid: 'u1', run: result(1).run, attempt: 1 }
      const { pieces, ended } = await store.output(of, 0, 1_000_000)
      if (version < 3) expect(Buffer.concat(pieces.map(({ chunks }) => chunks)).equals(said)).toBe(true)
      expect(ended).toBe(version < 3)

      // Existing output counts: it is the oldest, and is removed first.
      await store.record([result(9), ...results])
      await store.storeOutput([outputOf(result(9), chunk('nine'))])
      expect((await store.history({ limit: 10 })).rows).toHaveLength(4)
      await store.prune({ outputBytes: 100, isLiving: () => true })
      const heads = await Promise.all([1, 9].map(n => store.outputs({ run: result(n).run })))
      expect(heads.map(([head]) => head?.expired ?? false)).toEqual([version === 2, false])
      await store.close()
    },
  )
})

/** A database of schema 4, made by undoing what schema 5 changed. */
test('a PostgreSQL database from before clock epochs is opened with all its data, and can be written to', async () => {
  const postgres = await startPostgres()
  try {
    const url = await postgres.database('earlier')
    const open = () => openPostgresLogStore({ url, password: async () => postgres.password })
    const earlier = open()
    await earlier.record([result(1), failed(2)])
    await earlier.close()
    for (const sql of [
      'ALTER TABLE fires DROP CONSTRAINT fires_pkey, DROP COLUMN clock_epoch, ADD PRIMARY KEY (uid, time)',
      'CREATE INDEX fires_class ON fires (uid, class, time)',
      'ALTER TABLE results DROP COLUMN clock_epoch',
      'UPDATE schema_version SET version = 4',
    ])
      await postgres.ask(sql, 'earlier')
    const store = open()
    await store.record([inClockEpoch(1, result(1)), result(1)])
    const fires = await store.recent({ kind: 'job', uid: 'u1' }, { succeeded: 5, failed: 5 })
    expect(fires.map(({ id }) => id)).toEqual([`${result(1).run}~1`, failed(2).run, result(1).run])
    expect((await store.history({ limit: 10 })).rows).toHaveLength(3)
    await store.close()
  } finally {
    await postgres.remove()
  }
})
