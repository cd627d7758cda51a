import { describe, expect, test } from 'vitest'
import { cutChunk } from '../../../core/output/chunks.ts'
import type { OutputPiece } from '../../../store/log/port.ts'
import { chunk, logStoreForEach, logStores } from './log-stores.ts'

/** The contract of every log store for output. */
const REF = { uid: 'u1', run: 'ops.report.1', attempt: 1 }

function piece(offset: number, chunks: Uint8Array, over: Partial<OutputPiece> = {}): OutputPiece {
  const of = { ...REF, namespace: 'ops', name: 'report', pool: 'default', agent: 'a' }
  return { ...of, offset, next: offset + chunks.length, chunks, ...over }
}

describe.each(Object.entries(logStores))('%s', (_, start) => {
  const { store, reopen } = logStoreForEach(start)

  const all = async (from = 0, limit = 1_000) => {
    const { pieces, ...rest } = await store.output(REF, from, limit)
    return { bytes: Buffer.concat(pieces.map(({ chunks }) => chunks)).toString(), ...rest }
  }
  const [one, two, three] = [chunk('one'), chunk('two'), chunk('three')]
  const first = Buffer.concat([one, two])

  test('pieces make one output, also after the store is opened again', async () => {
    expect(await store.storeOutput([piece(0, first), piece(32, three, { end: true })])).toEqual([32, 50])
    await reopen()
    expect(await all()).toEqual({ bytes: Buffer.concat([first, three]).toString(), next: 50, ended: true })
    expect(await store.outputs({ run: REF.run })).toEqual([
      {
        ...REF,
        namespace: 'ops',
        name: 'report',
        agent: 'a',
        stored: 50,
        bytes: 11,
        cut: 0,
        lost: 0,
        ended: true,
      },
    ])
  })

  test('a repeated piece is stored once; of one that overlaps at the start of a chunk, the rest is stored', async () => {
    expect(await store.storeOutput([piece(0, first)])).toEqual([32])
    expect(await store.storeOutput([piece(0, first)])).toEqual([32])
    expect(await store.storeOutput([piece(16, Buffer.concat([two, three]))])).toEqual([50])
    expect(await all()).toMatchObject({ bytes: Buffer.concat([first, three]).toString(), ended: false })
    expect((await store.outputs(REF))[0]).toMatchObject({ bytes: 11 })
  })

  test('a piece after a gap is not stored, and its end is ignored', async () => {
    expect(await store.storeOutput([piece(16, two, { end: true })])).toEqual([0])
    expect(await all()).toEqual({ bytes: '', next: 0, ended: false })
  })

  test('an end without output is stored', async () => {
    expect(await store.storeOutput([piece(0, one), piece(16, Buffer.alloc(0), { end: true })])).toEqual([
      16, 16,
    ])
    expect(await all()).toMatchObject({ next: 16, ended: true })
    expect(await all(16)).toEqual({ bytes: '', next: 16, ended: true })
  })

  test('cut and lost bytes are counted, and the loss is at its position', async () => {
    const cut = cutChunk({ at: 1, stdout: 5, stderr: 2 })
    await store.storeOutput([
      piece(0, one),
      piece(16, Buffer.alloc(0), { next: 116, lost: 100 }),
      piece(116, cut, { end: true }),
    ])
    expect((await store.outputs(REF))[0]).toMatchObject({ bytes: 3, cut: 7, lost: 100, ended: true })
    const { pieces } = await store.output(REF, 0, 1_000)
    expect(pieces.map(({ offset, next, lost }) => [offset, next, lost])).toEqual([
      [0, 16, undefined],
      [16, 116, 100],
      [116, 116 + cut.length, undefined],
    ])
  })

  test('output can be read in parts, from the start of any chunk', async () => {
    await store.storeOutput([piece(0, first)])
    await store.storeOutput([piece(32, three)])
    expect(await all(0, 1)).toEqual({ bytes: first.toString(), next: 32, ended: false })
    expect(await all(16, 1)).toEqual({ bytes: two.toString(), next: 32, ended: false })
    expect(await all(16)).toMatchObject({ bytes: Buffer.concat([two, three]).toString(), next: 50 })
  })

  test('output of attempts, objects and parts of a fire is separate, and found by run or by fire', async () => {
    const runs = ['ops.report.1', 'ops.report.1.b', 'ops.report.1.a', 'ops.report.12', 'ops.report.1-x']
    await store.storeOutput(runs.map(run => piece(0, one, { run })))
    await store.storeOutput([piece(0, one, { attempt: 2 }), piece(0, one, { uid: 'u2' })])
    const found = async (of: { run: string; uid?: string }) =>
      (await store.outputs(of)).map(({ run, uid, attempt }) => `${run} ${uid} ${attempt}`)
    expect(await found({ run: 'ops.report.1' })).toEqual([
      'ops.report.1 u1 1',
      'ops.report.1 u1 2',
      'ops.report.1 u2 1',
      'ops.report.1.a u1 1',
      'ops.report.1.b u1 1',
    ])
    expect(await found({ run: 'ops.report.1', uid: 'u2' })).toEqual(['ops.report.1 u2 1'])
    expect(await found({ run: 'ops.report.1.a' })).toEqual(['ops.report.1.a u1 1'])
  })
})
