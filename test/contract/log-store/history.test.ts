import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OUTCOMES } from '../../../core/records/state.ts'
import type { LogStore, StoredResult } from '../../../store/log/port.ts'
import { pageOf } from '../../../store/log/sqlite/history.ts'
import { openSqliteLogStore } from '../../../store/log/sqlite/store.ts'
import { failed, inClockEpoch, logStoreForEach, logStores, result, T0 } from './log-stores.ts'

const JOB = { kind: 'job', uid: 'u1' } as const

/** A time that ended without a process. */
function settled(n: number, over: Partial<StoredResult> = {}): StoredResult {
  const { startedAt: _, exitCode: __, agent: ___, ...rest } = result(n, over)
  return { ...rest, attempt: 0, outcome: 'Missed', reason: 'NotCaughtUp', ...over }
}

describe.each(Object.entries(logStores))('a log store: %s', (_, start) => {
  const { store, another, reopen } = logStoreForEach(start)

  const all = async () => (await store.history({ limit: 1_000 })).rows
  const recent = (succeeded = 3, failed = 3) => store.recent(JOB, { succeeded, failed })

  test('returns exactly the stored results', async () => {
    const rich = failed(2, { signal: 'SIGTERM', message: 'ünïcode \u0000 "', tail: '🦊\n' })
    const range = settled(9, { range: { first: T0 + 5_000, count: 5 } })
    await store.record([result(1), rich, range])
    expect(await all()).toEqual([range, rich, result(1)])
  })

  test('returns the ShellRuns of a job with the job, if asked, page by page', async () => {
    const run = (n: number, name: string, over: Partial<StoredResult> = {}) =>
      result(n, { kind: 'run', uid: `r-${name}`, run: `ops.${name}.run-${n}`, name, ...over })
    const own = [result(1), failed(4)]
    const runs = [run(2, 'report-x', { jobName: 'report' }), run(5, 'report-y', { jobName: 'report' })]
    const others = [
      run(3, 'report'),
      run(6, 'other-x', { jobName: 'other' }),
      result(7, { uid: 'u3', name: 'other' }),
    ]
    await store.record([...own, ...runs, ...others])
    const job = { namespace: 'ops', name: 'report', kind: 'job', withRuns: true } as const
    const pages: StoredResult[][] = []
    let cursor: string | undefined
    do {
      const page = await store.history({ ...job, limit: 3, ...(cursor ? { cursor } : {}) })
      pages.push(page.rows)
      cursor = page.cursor
    } while (cursor)
    expect(pages.flat()).toEqual([runs[1], own[1], runs[0], own[0]])
    expect((await store.history({ ...job, outcome: 'Failed', limit: 10 })).rows).toEqual([own[1]])
    const { withRuns: _, ...alone } = job
    expect((await store.history({ ...alone, limit: 10 })).rows).toEqual([own[1], own[0]])
    expect((await store.history({ ...alone, kind: 'run', limit: 10 })).rows).toEqual([others[0]])
  })

  test('keeps any text in reasons and signals; lone surrogates become U+FFFD', async () => {
    await store.record([failed(1, { reason: 'a\u0000b\u{10FFFF}0', signal: '\u0000', tail: '\udc00 end' })])
    const said = { reason: 'a\u0000b\u{10FFFF}0', signal: '\u0000', tail: '\ufffd end' }
    expect(await all()).toMatchObject([said])
    expect(await recent()).toMatchObject([said])
  })

  test('stores a repeated result once, in one call or in two, and keeps the first', async () => {
    await store.record([result(1), result(1), failed(2)])
    await store.record([failed(1), failed(2), result(3)])
    expect(await all()).toEqual([result(3), failed(2), result(1)])
    const fires = await recent()
    expect(fires.map(fire => [fire.outcome, fire.targets])).toEqual([
      ['Succeeded', { succeeded: 1, failed: 0, missed: 0 }],
      ['Failed', { succeeded: 0, failed: 1, missed: 0 }],
      ['Succeeded', { succeeded: 1, failed: 0, missed: 0 }],
    ])
  })

  test('has another row for another uid or attempt of the same run', async () => {
    await store.record([
      result(1),
      result(1, { uid: 'u2' }),
      result(1, { attempt: 2 }),
      result(1, { target: 'b' }),
    ])
    expect(await all()).toHaveLength(4)
  })

  test('keeps results across a restart, and still stores a repeated one once', async () => {
    await store.record([result(1), failed(2)])
    await store.raiseBeacon(7)
    await reopen()
    await store.record([result(1), failed(2)])
    expect(await all()).toHaveLength(2)
    expect(await recent()).toHaveLength(2)
    expect(await store.beacon()).toBe(7)
  })

  test('stores none of the results of a failed call', async () => {
    await expect(store.record([result(1), result(2, { time: 0.5 })])).rejects.toThrow()
    expect(await all()).toEqual([])
    await store.record([result(1)])
    expect(await all()).toHaveLength(1)
  })

  test('keeps the highest beacon', async () => {
    expect(await store.beacon()).toBe(0)
    await store.raiseBeacon(5)
    await store.raiseBeacon(3)
    expect(await store.beacon()).toBe(5)
    await store.raiseBeacon(6)
    expect(await store.beacon()).toBe(6)
  })

  describe('fires', () => {
    test('are the newest of each class, newest first', async () => {
      const rows = Array.from({ length: 20 }, (_, n) => (n % 2 ? failed(n) : result(n)))
      await store.record([...rows, settled(30, { outcome: 'Skipped' }), settled(29, { outcome: 'Skipped' })])
      const fires = await recent(2, 3)
      expect(fires.map(({ time, outcome }) => [(time - T0) / 1_000, outcome])).toEqual([
        [30, 'Skipped'],
        [19, 'Failed'],
        [18, 'Succeeded'],
        [17, 'Failed'],
        [16, 'Succeeded'],
        [15, 'Failed'],
      ])
      expect(await recent(0, 0)).toMatchObject([{ outcome: 'Skipped' }])
      expect(await store.recent({ kind: 'job', uid: 'other' }, { succeeded: 3, failed: 3 })).toEqual([])
    })

    test('have their facts', async () => {
      await store.record([failed(1, { message: 'why', signal: 'SIGSEGV' })])
      expect(await recent()).toEqual([
        {
          time: T0 + 1_000,
          id: `ops.report.${T0 + 1_000}`,
          outcome: 'Failed',
          startedAt: T0 + 1_010,
          endedAt: T0 + 1_500,
          exitCode: 7,
          signal: 'SIGSEGV',
          reason: 'NonZeroExitCode',
          message: 'why',
          tail: 'bad 1',
          targets: { succeeded: 0, failed: 1, missed: 0 },
          failedTargets: [],
        },
      ])
    })

    test('aggregate the targets of one time: the gravest outcome, the first start, the last end', async () => {
      const on = (target: string, over: Partial<StoredResult> = {}) => ({ target, agent: target, ...over })
      await store.record([result(1, on('a', { startedAt: T0 + 1_005 }))])
      await store.record([
        failed(1, on('c')),
        failed(1, on('b', { outcome: 'TimedOut', endedAt: T0 + 9_000 })),
      ])
      await store.record([settled(1, { target: 'd' }), settled(1, { target: 'e', outcome: 'Skipped' })])
      expect(await recent()).toMatchObject([
        {
          outcome: 'Failed',
          exitCode: 7,
          startedAt: T0 + 1_005,
          endedAt: T0 + 9_000,
          targets: { succeeded: 1, failed: 2, missed: 2 },
          failedTargets: ['b', 'c', 'd'],
        },
      ])
    })

    test('name at most ten failed targets', async () => {
      const targets = Array.from({ length: 200 }, (_, n) => `node-${String(n).padStart(3, '0')}`)
      await store.record(targets.map(target => failed(1, { target })))
      const [fire] = await recent()
      expect(fire?.targets.failed).toBe(200)
      expect(fire?.failedTargets).toEqual(targets.slice(0, 10))
    })

    test('still succeed if one target was skipped', async () => {
      await store.record([result(1, { target: 'a' }), settled(1, { target: 'b', outcome: 'Skipped' })])
      expect(await recent()).toMatchObject([
        { outcome: 'Succeeded', targets: { succeeded: 1, failed: 0, missed: 1 }, failedTargets: [] },
      ])
    })

    test('start with a retried attempt, which is no outcome', async () => {
      await store.record([failed(1, { final: false })])
      expect(await recent()).toEqual([])
      await store.record([result(1, { attempt: 2, startedAt: T0 + 20_000, endedAt: T0 + 21_000 })])
      expect(await recent()).toMatchObject([
        {
          outcome: 'Succeeded',
          startedAt: T0 + 1_010,
          endedAt: T0 + 21_000,
          targets: { succeeded: 1, failed: 0, missed: 0 },
        },
      ])
    })

    test('count a range as one fire, at its last time', async () => {
      await store.record([settled(9, { range: { first: T0 + 5_000, count: 5 } })])
      expect(await recent()).toMatchObject([
        { time: T0 + 9_000, outcome: 'Missed', range: { first: T0 + 5_000, count: 5 } },
      ])
      expect((await recent())[0]).not.toHaveProperty('startedAt')
    })

    test('of a ShellRun have its run id', async () => {
      const run = { kind: 'run', uid: 'r1', name: 'once', run: 'ops.once.run-r1.a', target: 'a' } as const
      await store.record([result(1, run)])
      const [fire] = await store.recent({ kind: 'run', uid: 'r1' }, { succeeded: 1, failed: 1 })
      expect(fire?.id).toBe('ops.once.run-r1')
    })
  })

  describe('fires of several clock epochs', () => {
    const second = (n: number, over: Partial<StoredResult> = {}) => inClockEpoch(1, result(n, over))

    test('the same time in two of them is two fires', async () => {
      await store.record([failed(1, { target: 'b' }), result(1, { target: 'c' }), second(1, { target: 'b' })])
      await store.record([second(1, { target: 'c' })])
      expect(await all()).toHaveLength(4)
      expect((await recent()).map(({ id, outcome, targets }) => [id, outcome, targets])).toEqual([
        [`ops.report.${T0 + 1_000}~1`, 'Succeeded', { succeeded: 2, failed: 0, missed: 0 }],
        [`ops.report.${T0 + 1_000}`, 'Failed', { succeeded: 1, failed: 1, missed: 0 }],
      ])
      expect((await recent())[1]?.failedTargets).toEqual(['b'])
    })

    test('those of an earlier one are older, whatever their time', async () => {
      await store.record([failed(500), result(600), second(2), second(3)])
      expect((await recent(2, 1)).map(({ id }) => id)).toEqual([
        `ops.report.${T0 + 3_000}~1`,
        `ops.report.${T0 + 2_000}~1`,
        `ops.report.${T0 + 500_000}`,
      ])
    })

    test('their rows are in the history by time, each once in its pages', async () => {
      const rows = Array.from({ length: 8 }, (_, n) => [result(n), second(n)]).flat()
      await store.record(rows)
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await store.history({ uid: 'u1', limit: 3, ...(cursor ? { cursor } : {}) })
        seen.push(...page.rows.map(({ run }) => run))
        cursor = page.cursor
      } while (cursor)
      expect(seen).toHaveLength(16)
      expect(seen.toSorted()).toEqual(rows.map(({ run }) => run).toSorted())
      expect(seen[0]).toBe(second(7).run)
    })

    test('the agent that ran an attempt is found in each of them', async () => {
      await store.record([result(1), second(1, { agent: 'b' })])
      const attempts = [result(1), second(1)]
      expect((await store.ranBy(attempts)).map(ran => ran?.agent)).toEqual(['a', 'b'])
    })
  })

  describe('milestones', () => {
    const seconds = (ms: number | undefined) => ms && (ms - T0) / 1_000

    test('are absent before the first run', async () => {
      expect(await store.milestones(JOB)).toEqual({})
    })

    test('do not depend on the limit of fires', async () => {
      await store.record([
        result(1),
        failed(2),
        failed(3),
        ...Array.from({ length: 100 }, (_, n) => result(10 + n)),
      ])
      const { failureTail, ...times } = await store.milestones(JOB)
      expect(Object.fromEntries(Object.entries(times).map(([key, ms]) => [key, seconds(ms)]))).toEqual({
        lastScheduled: 109,
        lastSuccessful: 109.5,
        lastFailure: 3.5,
        since: 10.5,
      })
      expect(failureTail).toBe('bad 3')
    })

    test('date the state from the first fire of its streak, whatever was skipped since', async () => {
      await store.record([result(1), failed(2), settled(3, { outcome: 'Skipped' }), failed(4), settled(5)])
      expect(seconds((await store.milestones(JOB)).since)).toBe(2.5)
      await store.record([result(6)])
      expect(seconds((await store.milestones(JOB)).since)).toBe(6.5)
    })

    test('are of the newest clock epoch, and of no time later than asked for', async () => {
      const ahead = [result(500), failed(501)]
      await store.record([result(1), failed(2), ...ahead])
      const known = async (upTo?: number) => {
        const { failureTail: _, ...times } = await store.milestones(JOB, upTo)
        return Object.fromEntries(Object.entries(times).map(([key, ms]) => [key, seconds(ms)]))
      }
      expect(await known()).toEqual({
        lastScheduled: 501,
        lastSuccessful: 500.5,
        lastFailure: 501.5,
        since: 501.5,
      })
      expect(await known(T0 + 9_000)).toEqual({
        lastScheduled: 2,
        lastSuccessful: 1.5,
        lastFailure: 2.5,
        since: 2.5,
      })
      await store.record([inClockEpoch(1, result(8))])
      expect(await known()).toMatchObject({ lastScheduled: 8, lastSuccessful: 8.5, since: 8.5 })
    })

    test('count a missed time as a failure, but not as scheduled', async () => {
      await store.record([result(1), settled(2)])
      const { lastScheduled, lastFailure } = await store.milestones(JOB)
      expect([seconds(lastScheduled), seconds(lastFailure)]).toEqual([1, 2.5])
    })
  })

  describe('history', () => {
    test('has every row once in its pages, newest first, also if rows are added meanwhile', async () => {
      const rows = Array.from({ length: 25 }, (_, n) => result(Math.floor(n / 3), { target: `t${n}` }))
      await store.record(rows)
      const seen: StoredResult[] = []
      let cursor: string | undefined
      do {
        const page = await store.history({ limit: 4, ...(cursor ? { cursor } : {}) })
        seen.push(...page.rows)
        cursor = page.cursor
        await store.record([result(100 + seen.length)])
      } while (cursor)
      expect(seen.map(({ run }) => run).sort()).toEqual(rows.map(({ run }) => run).sort())
      const times = seen.map(({ time }) => time)
      expect(times).toEqual([...times].sort((a, b) => b - a))
    })

    test('requires all conditions', async () => {
      await store.record([
        result(1),
        failed(2),
        result(3, { namespace: 'web', uid: 'u2' }),
        result(4, { name: 'other', uid: 'u3' }),
        result(5, { agent: 'b' }),
        result(6, { kind: 'run', uid: 'u4' }),
        settled(7),
      ])
      const at = async (query: Parameters<LogStore['history']>[0]) =>
        (await store.history(query)).rows.map(({ time }) => seconds(time))
      const seconds = (ms: number) => (ms - T0) / 1_000
      const limit = 100
      expect(await at({ limit, namespace: 'web' })).toEqual([3])
      expect(await at({ limit, namespace: 'ops', name: 'other' })).toEqual([4])
      expect(await at({ limit, namespace: 'ops', name: 'absent' })).toEqual([])
      expect(await at({ limit, agent: 'b' })).toEqual([5])
      expect(await at({ limit, kind: 'run' })).toEqual([6])
      expect(await at({ limit, outcome: 'Failed' })).toEqual([2])
      expect(await at({ limit, outcome: 'Missed', namespace: 'ops' })).toEqual([7])
      expect(await at({ limit, outcome: 'Succeeded', name: 'report', namespace: 'ops' })).toEqual([6, 5, 1])
      expect(await at({ limit, agent: 'a', outcome: 'Failed' })).toEqual([2])
      expect(await at({ limit, uid: 'u2' })).toEqual([3])
      expect(await at({ limit, from: T0 + 3_000, to: T0 + 5_000 })).toEqual([4, 3])
      expect(await at({ limit, name: 'report', kind: 'job', outcome: 'Failed', agent: 'b' })).toEqual([])
    })

    test('by name includes every object that had the name', async () => {
      const rows = Array.from({ length: 20 }, (_, n) => result(n, { uid: `u${n % 3}` }))
      await store.record(rows)
      const of = { namespace: 'ops', name: 'report', limit: 7 }
      const first = await store.history(of)
      const second = await store.history({ ...of, cursor: first.cursor ?? '' })
      const third = await store.history({ ...of, cursor: second.cursor ?? '' })
      expect([...first.rows, ...second.rows, ...third.rows]).toEqual(rows.toReversed())
      expect(third.cursor).toBeUndefined()
    })

    /** The times of all pages, in seconds since the first. */
    const pagesOf = async (query: Partial<Parameters<LogStore['history']>[0]>) => {
      const pages: number[][] = []
      let cursor: string | undefined
      do {
        const page = await store.history({ limit: 100, ...query, ...(cursor ? { cursor } : {}) })
        pages.push(page.rows.map(({ time }) => (time - T0) / 1_000))
        cursor = page.cursor
      } while (cursor)
      return pages
    }

    test('limits the rows that a page examines, and finds all matches in the end', async () => {
      const rare = (n: number) => (n % 2_500 === 0 ? { namespace: 'rare', uid: 'u2' } : {})
      for (let from = 0; from < 5_001; from += 1_000)
        await store.record(
          Array.from({ length: Math.min(1_000, 5_001 - from) }, (_, i) => result(from + i, rare(from + i))),
        )
      const each = [[5_000], [2_500], [0]]
      expect(await pagesOf({ agent: 'a', namespace: 'rare' })).toEqual(each)
      expect(await pagesOf({ name: 'report', uid: 'u2' })).toEqual([each.flat()])
      expect(await pagesOf({ namespace: 'rare', name: 'report' })).toEqual([each.flat()])
      expect((await pagesOf({ namespace: 'rare' })).flat()).toEqual(each.flat())
      expect(await pagesOf({ namespace: 'rare', agent: 'a', limit: 1 })).toEqual(
        each.flatMap(page => [page, []]),
      )
      expect((await pagesOf({ agent: 'a', outcome: 'Failed' })).flat()).toEqual([])
      expect((await pagesOf({ agent: 'a', outcome: 'Succeeded', limit: 1_000 })).flat()).toHaveLength(5_001)
    })

    test('limits them over all objects of a name', async () => {
      const isRare = (n: number) => n % 2_500 === 0
      const life = (n: number) => ({ uid: `u${n % 3}`, agent: isRare(n) ? 'rare' : 'a' })
      for (let from = 0; from < 5_001; from += 1_000)
        await store.record(
          Array.from({ length: Math.min(1_000, 5_001 - from) }, (_, i) => result(from + i, life(from + i))),
        )
      expect(await pagesOf({ namespace: 'ops', name: 'report', agent: 'rare' })).toEqual([
        [5_000],
        [2_500],
        [0],
      ])
    })

    test('limits them over many objects of a name with one row each', async () => {
      const lives = Array.from({ length: 1_201 }, (_, n) =>
        result(n, { uid: `u${n}`, agent: n % 600 === 0 ? 'rare' : 'a' }),
      )
      await store.record(lives)
      const of = { namespace: 'ops', name: 'report' }
      expect((await pagesOf({ ...of, agent: 'rare' })).flat()).toEqual([1_200, 600, 0])
      const pages = await pagesOf(of)
      expect(pages.flat()).toEqual(lives.map((_, n) => 1_200 - n))
      expect(pages[0]).toHaveLength(100)
    })

    test('names the field of a malformed query', async () => {
      await expect(store.history({ limit: 0 })).rejects.toMatchObject({ field: 'limit' })
      await expect(store.history({ limit: 1, cursor: 'x; DROP' })).rejects.toMatchObject({ field: 'cursor' })
    })
  })

  test('reads the runner of an attempt from its result; without a result, or when settled, there is none', async () => {
    const shellRun = { kind: 'run', uid: 'r1', name: 'once', run: 'ops.once.run-r1.b', target: 'b' } as const
    const twice = failed(2, { agent: 'a', final: false })
    await store.record([
      result(1, { pool: 'db' }),
      twice,
      result(2, { agent: 'b', attempt: 2 }),
      settled(3),
      result(4, shellRun),
    ])
    const asked = [
      result(2, { attempt: 2 }),
      result(1),
      result(1, { uid: 'u2' }),
      result(1, { attempt: 2 }),
      twice,
      settled(3),
      result(4, shellRun),
      result(4, { ...shellRun, run: 'ops.once.run-r1.c' }),
      result(9),
      { uid: 'u1', run: 'x', attempt: 1 },
    ]
    const [db, pool] = ['db', 'default']
    expect(await store.ranBy(asked)).toEqual([
      { pool, agent: 'b' },
      { pool: db, agent: 'a' },
      undefined,
      undefined,
      { pool, agent: 'a' },
      undefined,
      { pool, agent: 'a' },
      undefined,
      undefined,
      undefined,
    ])
    expect(await store.ranBy([])).toEqual([])
  })

  test('is unavailable after close', async () => {
    const other = await another()
    await other.close()
    await expect(other.record([result(1)])).rejects.toMatchObject({ name: 'Unavailable' })
  })
})

describe('SQLite', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shellcron-log-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  test('no query sorts or scans the table', async () => {
    const path = join(dir, 'log.db')
    await openSqliteLogStore(path).close()
    const db = new DatabaseSync(path)
    const asked = [{}, { uid: 'u' }, { namespace: 'n' }, { name: 'j' }, { agent: 'a' }]
    const kinds = [{}, { kind: 'run' }, { kind: 'job' }] as const
    const outcomes = [{}, ...OUTCOMES.map(outcome => ({ outcome }))]
    const plans = asked.flatMap(one =>
      kinds.flatMap(kind =>
        outcomes.flatMap(outcome => {
          const query = { ...one, ...kind, ...outcome, from: 1, to: 2, limit: 10, cursor: '5.6' }
          const { sql, parameters } = pageOf(query)
          return db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters)
        }),
      ),
    )
    db.close()
    expect(plans.length).toBeGreaterThan(0)
    // Rows of one object and one time: one for each target.
    const ofOneTime = 'USE TEMP B-TREE FOR LAST TERM OF ORDER BY'
    const slow = plans.filter(
      ({ detail }) => detail !== ofOneTime && !String(detail).startsWith('SEARCH results USING INDEX'),
    )
    expect(slow).toEqual([])
  })

  test('a file of a newer version is refused with a remedy', () => {
    const path = join(dir, 'new.db')
    const db = new DatabaseSync(path)
    db.exec('PRAGMA user_version = 1000')
    db.close()
    expect(() => openSqliteLogStore(path)).toThrow(/schema 1000.*upgrade shellcron/)
  })

  test('its files are readable by their owner alone, also those of an earlier version', async () => {
    const path = join(dir, 'log.db')
    await writeFile(path, '', { mode: 0o644 })
    for (let life = 0; life < 2; life++) {
      const store = openSqliteLogStore(path)
      await store.raiseBeacon(life)
      const files = await readdir(dir)
      expect(files).toContain('log.db-wal')
      for (const file of files) expect((await stat(join(dir, file))).mode & 0o077, file).toBe(0)
      await store.close()
    }
  })

  test('a file that is no database or cannot be created is unavailable', () => {
    expect(() => openSqliteLogStore(join(dir, 'absent', 'log.db'))).toThrow(
      expect.objectContaining({ name: 'Unavailable' }),
    )
  })
})

describe('PostgreSQL', () => {
  const { store } = logStoreForEach(logStores.postgres as (typeof logStores)[string])

  test('a page of a namespace, which no index covers with the time alone, examines a limited number of rows', async () => {
    for (let from = 0; from < 3_000; from += 1_000)
      await store.record(Array.from({ length: 1_000 }, (_, i) => result(from + i)))
    const { rows, cursor } = await store.history({ namespace: 'rare', limit: 10 })
    expect([rows, cursor === undefined]).toEqual([[], false])
    expect(await store.history({ namespace: 'rare', limit: 10, cursor: cursor ?? '' })).toEqual({ rows: [] })
  })
})
