import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { OutputPiece, RetentionLimits } from '../../../store/log/port.ts'
import {
  chunk,
  failed,
  inClockEpoch,
  logStoreForEach,
  logStores,
  outputOf,
  result,
  T0,
} from './log-stores.ts'

/** The contract of every log store for retention and text search. */
describe.each(Object.entries(logStores))('a log store that is pruned: %s', (_, start) => {
  const { store } = logStoreForEach(start)

  const nobody = () => false
  /** Prunes until nothing is left to remove. Resolves to the number of parts. */
  async function prune(keep: Partial<RetentionLimits>): Promise<number> {
    for (let parts = 1; ; parts++) if (!(await store.prune({ isLiving: nobody, ...keep }))) return parts
  }
  const history = async () => (await store.history({ limit: 1_000 })).rows
  const after = T0 + 500_000
  const many = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => result(from + i))

  test('earlier results are removed with their output, in parts; later ones stay', async () => {
    await store.record(many(0, 700))
    await store.storeOutput([0, 600].map(n => outputOf(result(n), chunk(`said ${n}`))))
    expect(await prune({ after })).toBeGreaterThan(1)
    const rows = await history()
    expect(rows).toHaveLength(200)
    expect(rows.at(-1)).toEqual(result(500))
    expect(await store.outputs({ run: result(0).run })).toEqual([])
    expect(await store.outputs({ run: result(600).run })).toHaveLength(1)
  })

  test("an existing object's newest fires stay, because its status is computed from them", async () => {
    await store.record([...many(0, 50), failed(60), failed(61, { target: 'b' }), failed(61, { target: 'c' })])
    const object = { kind: 'job', uid: 'u1' } as const
    const limit = { succeeded: 20, failed: 20 }
    const before = [await store.recent(object, limit), await store.milestones(object)]
    await prune({ after, isLiving: uid => uid === 'u1' })
    expect([await store.recent(object, limit), await store.milestones(object)]).toEqual(before)
    expect(await history()).toHaveLength(20 + 3)
    await prune({ after })
    expect(await history()).toEqual([])
    expect(await store.recent(object, limit)).toEqual([])
    expect(await store.history({ namespace: 'ops', name: 'report', limit: 1 })).toEqual({ rows: [] })
  })

  test('the same time in two clock epochs is spared or removed by itself', async () => {
    const second = many(0, 20).map(one => inClockEpoch(1, one))
    await store.record([...many(0, 20), ...second])
    await prune({ after, isLiving: () => true })
    expect((await history()).map(({ run }) => run).toSorted()).toEqual(
      second.map(({ run }) => run).toSorted(),
    )
    const object = { kind: 'job', uid: 'u1' } as const
    const fires = await store.recent(object, { succeeded: 50, failed: 50 })
    expect(fires.map(({ id }) => id)).toEqual(second.map(({ run }) => run).toReversed())
    await prune({ after })
    expect(await store.recent(object, { succeeded: 50, failed: 50 })).toEqual([])
  })

  test('a spared fire is removed once there are newer ones', async () => {
    const isLiving = () => true
    await store.record(many(0, 20))
    await prune({ after, isLiving })
    expect(await history()).toHaveLength(20)
    await store.record(many(600, 615))
    await prune({ after, isLiving })
    expect(await history()).toHaveLength(15 + 5)
  })

  test('the oldest output beyond the size is removed and marked as expired; running output stays', async () => {
    const outputs = [0, 1, 2, 3].map(n => ({ n, data: chunk(randomBytes(100_000)) }))
    await store.record(many(0, 4))
    for (const { n, data } of outputs)
      await store.storeOutput([{ ...outputOf(result(n), data), end: n !== 1 }])
    await prune({ outputBytes: 250_000 })
    const heads = await Promise.all(outputs.map(({ n }) => store.outputs({ run: result(n).run })))
    expect(heads.map(([head]) => head?.expired ?? false)).toEqual([true, false, true, false])
    expect(heads[0]?.[0]).toMatchObject({ bytes: 100_000, ended: true })
    expect((await store.output(result(0), 0, 1_000)).pieces).toEqual([])
    const { pieces } = await store.output(result(3), 0, 1_000_000)
    const sha = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')
    expect(sha(Buffer.concat(pieces.map(({ chunks }) => chunks)))).toBe(
      sha(outputs[3]?.data ?? Buffer.alloc(0)),
    )
    // If it is sent again, it is not stored again.
    await store.storeOutput([outputOf(result(0), outputs[0]?.data ?? Buffer.alloc(0))])
    expect((await store.output(result(0), 0, 1_000)).pieces).toEqual([])
    expect(await history()).toHaveLength(4)
  })

  /** Pieces of one attempt. */
  async function storePieces(
    of: ReturnType<typeof result>,
    count: number,
    data: () => Buffer,
  ): Promise<void> {
    let offset = 0
    for (let n = 0; n < count; ) {
      const pieces: OutputPiece[] = []
      for (let bytes = 0; n < count && bytes < 4_000_000; n++) {
        const chunks = data()
        const next = offset + chunks.length
        pieces.push({ ...outputOf(of, chunks), offset, next, end: n === count - 1 })
        offset = next
        bytes += chunks.length
      }
      await store.storeOutput(pieces)
    }
  }

  test.each([
    ['much', 40, 1_000_000],
    ['many pieces of', 4_001, 3],
  ])('%s output goes in parts, and its result with the last of them', async (_, count, bytes) => {
    await store.record(many(0, 3))
    await storePieces(result(1), count, () => chunk(randomBytes(bytes)))
    const keep = { isLiving: nobody, after }
    expect(await store.prune(keep)).toBe(true)
    expect(await history()).toEqual([result(2), result(1)])
    expect(await store.outputs({ run: result(1).run })).toMatchObject([{ expired: true }])
    await prune({ after })
    expect(await history()).toEqual([])
    expect(await store.outputs({ run: result(1).run })).toEqual([])
    // If it is sent again, it is stored from its beginning.
    expect((await store.output(result(1), 0, 1_000)).pieces).toEqual([])
  })

  test("one attempt's output beyond the size is removed in parts", async () => {
    await store.record(many(0, 2))
    await storePieces(result(0), 40, () => chunk(randomBytes(1_000_000)))
    await store.storeOutput([outputOf(result(1), chunk('young'))])
    expect(await prune({ outputBytes: 1_000 })).toBeGreaterThan(1)
    expect((await store.output(result(0), 0, 1_000)).pieces).toEqual([])
    expect((await store.output(result(1), 0, 1_000)).pieces).toHaveLength(1)
  })

  test('output without a result is removed when none of it arrived for that long', async () => {
    const day = 86_400_000
    const [gone, never, kept] = [
      result(0),
      result(0, { run: 'ops.once.run-r1', uid: 'r1' }),
      result(0, { time: Date.now() + day }),
    ]
    await store.record([kept, gone])
    await store.storeOutput([gone, kept].map(of => outputOf(of, chunk('ended'))))
    await store.storeOutput([{ ...outputOf(never, chunk('and never ended')), end: false }])
    const there = async () =>
      (await Promise.all([gone, never, kept].map(({ run }) => store.outputs({ run })))).map(
        heads => heads.length,
      )
    await prune({ after: Date.now() - day })
    expect(await there()).toEqual([0, 1, 1])
    await storePieces(gone, 3_000, () => chunk('orphaned'))
    await prune({ after: Date.now() - day })
    expect(await there()).toEqual([1, 1, 1])
    expect(await prune({ after: Date.now() + day / 2 })).toBeGreaterThan(1)
    expect(await there()).toEqual([0, 0, 1])
  })

  test('writers are not blocked', async () => {
    await store.record(many(0, 2_000))
    const pruned = prune({ after: T0 + 2_000_000 })
    for (let n = 3_000; n < 3_100; n++) await store.record([result(n)])
    await pruned
    const rows = await history()
    expect(rows.map(({ time }) => time)).toEqual(
      many(3_000, 3_100)
        .map(({ time }) => time)
        .toReversed(),
    )
  })

  describe('a text', () => {
    /** The numbers of the runs on all pages. */
    async function found(text: string, over: object = {}): Promise<number[]> {
      const numbers: number[] = []
      let cursor: string | undefined
      do {
        const page = await store.history({ text, limit: 10, ...over, ...(cursor ? { cursor } : {}) })
        numbers.push(...page.rows.map(({ time }) => (time - T0) / 1_000))
        cursor = page.cursor
      } while (cursor)
      return numbers
    }

    test('is found in output, reason and message, in any case; each stream by itself', async () => {
      await store.record([
        result(1),
        result(2),
        failed(3),
        failed(4, { message: 'no Space left' }),
        result(5),
      ])
      await store.storeOutput([
        outputOf(result(1), Buffer.concat([chunk('no sp'), chunk('XX', 2), chunk('ace here')])),
        outputOf(result(2), Buffer.concat([chunk('no sp'), chunk('ace here', 2)])),
        outputOf(result(5), chunk('ÜBER')),
      ])
      expect(await found('No SPACE')).toEqual([4, 1])
      expect(await found('nonzero')).toEqual([4, 3])
      expect(await found('ÜBER')).toEqual([5])
      expect(await found('bad 3')).toEqual([3])
      expect(await found('no space', { outcome: 'Succeeded' })).toEqual([1])
      expect(await found('nowhere')).toEqual([])
    })

    test('is found across pieces, and among many pages', async () => {
      await store.record(many(0, 2_500))
      const long = Buffer.concat([chunk('x'.repeat(50_000)), chunk('needle'.slice(0, 3))])
      const of = outputOf(result(3), long)
      const rest = chunk('dle')
      await store.storeOutput([
        { ...of, end: false },
        { ...of, offset: long.length, next: long.length + rest.length, chunks: rest },
      ])
      expect(await found('needle')).toEqual([3])
      expect(await found('x'.repeat(100))).toEqual([3])
    })

    test('that is empty or too long is refused', async () => {
      for (const text of ['', 'x'.repeat(1_001)])
        await expect(store.history({ text, limit: 1 })).rejects.toMatchObject({ field: 'text' })
    })
  })
})
