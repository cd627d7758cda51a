import { afterEach, describe, expect, test, vi } from 'vitest'
import { isFull } from '../../../core/fires/wave.ts'
import { NOBODY, scheduledRunId, shellRunId, WAVE } from '../../../core/keys.ts'
import { type Entry, jobEntrySchema, runEntrySchema } from '../../../core/records/entry.ts'
import { type Active, activeSchema, type Cell, cellSchema } from '../../../core/records/state.ts'
import { signedText } from '../../../platform/signing.ts'
import { adopt } from '../../../store/protocol/adopt.ts'
import { claim } from '../../../store/protocol/claim.ts'
import { end, type Retry } from '../../../store/protocol/end.ts'
import { freeUnknownHolder } from '../../../store/protocol/free-wave-slot.ts'
import { guards } from '../../../store/protocol/model-guards.ts'
import {
  type MaybeAbsent,
  parseValue,
  parseVersioned,
  type Versioned,
} from '../../../store/protocol/versioned.ts'
import { cellRef, command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** maxParallel always holds, and no slot is lost. Each guard of the wave is switched off in turn, on a real etcd. */
const pool = poolForEach()
afterEach(() => vi.restoreAllMocks())

const T = 1_000
const ref = (target: string) => cellRef('j', target)
const inWaves = (maxParallel: number) =>
  command('true', { placement: { mode: 'All', agents: [], maxParallel } })
const putJob = (maxParallel: number) => pool.putJob({ name: 'j', command: inWaves(maxParallel) })

async function readCell(target: string): Promise<MaybeAbsent<Cell>> {
  const key = pool.keys.cell(ref(target))
  return parseVersioned(cellSchema, key, await pool.etcd.get(key))
}
const holders = async () => ((await readCell(WAVE)).value?.active ?? []).map(({ agent }) => agent)

async function readEntry(key: string): Promise<Versioned<Entry>> {
  const item = await pool.etcd.get(key)
  const text = signedText(item?.value ?? '') ?? ''
  const value = parseValue(jobEntrySchema, text) ?? parseValue(runEntrySchema, text)
  if (!value) throw new Error(`no value at ${key}`)
  return { key, mod: item?.mod ?? 0, value }
}

/** A scripted agent. It acts on the wave that it read last. */
async function handAgent(name: string) {
  const { etcd, keys } = pool
  await etcd.txn({ compare: [], then: [{ put: keys.agent('default', name), value: '{}' }] })
  const session = (await etcd.get(keys.agent('default', name)))?.create ?? 0
  const run = scheduledRunId(ref(name), T, 0)
  let wave = await readCell(WAVE)
  const me = {
    name,
    session,
    run,
    async look() {
      wave = await readCell(WAVE)
    },
    async claim(places: number): Promise<boolean> {
      if (isFull(wave.value, places)) return false
      const { txn } = claim({
        keys,
        ref: ref(name),
        agent: name,
        session,
        entry: await readEntry(keys.job(ref(name))),
        cell: await readCell(name),
        run,
        time: T,
        notBefore: T,
        instance: 'i',
        settle: [],
        now: T,
        wave: { cell: wave },
      })
      return (await etcd.txn(txn)).ok
    },
    async active(owner = name): Promise<Versioned<Active>> {
      const key = keys.active('default', owner, run)
      return parseVersioned(activeSchema, key, await etcd.get(key)) as Versioned<Active>
    },
    async finish(over: Partial<Parameters<typeof end>[0]> = {}): Promise<boolean> {
      const { txn } = end({
        keys,
        pool: 'default',
        owner: name,
        active: await me.active(),
        cells: [(await readCell(name)) as Versioned<Cell>, wave as Versioned<Cell>],
        verdict: { outcome: 'Succeeded', reason: 'Completed' },
        now: T,
        ...over,
      })
      return (await etcd.txn(txn)).ok
    },
    /** Its session is gone, and another agent ends its run. */
    async isBuried(retry?: Retry): Promise<boolean> {
      await pool.remove(keys.agent('default', name))
      await me.look()
      const verdict = { outcome: 'Lost', reason: 'AgentLost' } as const
      return me.finish({ verdict, ownerSeen: 0, ...(retry ? { retry } : {}) })
    },
  }
  return me
}

describe('WAVE: a claim that takes a slot compares the wave', () => {
  /** Two agents see the last slot free, and claim it. */
  async function replay(): Promise<string[]> {
    await putJob(1)
    const [a, b] = [await handAgent('a'), await handAgent('b')]
    expect(await a.claim(1)).toBe(true)
    await b.claim(1)
    return (await pool.actives()).map(({ target }) => target)
  }
  test('with the guard one of them gets it', async () => {
    expect(await replay()).toEqual(['a'])
    expect(await holders()).toEqual(['a'])
  })
  test('without the guard both run', async () => {
    vi.spyOn(guards, 'waveUnchanged').mockReturnValue([])
    expect(await replay()).toEqual(['a', 'b'])
  })
})

describe('WAVE: a transaction that frees a slot compares the wave', () => {
  /** a has one of two slots. b takes the other one. a ends with the older wave. c reads. Resolves to the runs that are active. */
  async function replay(withoutRule: boolean): Promise<string[]> {
    await putJob(2)
    const [a, b, c, d] = [
      await handAgent('a'),
      await handAgent('b'),
      await handAgent('c'),
      await handAgent('d'),
    ]
    await a.claim(2)
    await a.look()
    await b.look()
    expect(await b.claim(2)).toBe(true)
    if (withoutRule) vi.spyOn(guards, 'waveUnchanged').mockReturnValueOnce([])
    expect(await a.finish()).toBe(withoutRule)
    if (!withoutRule) {
      await a.look()
      expect(await a.finish()).toBe(true)
    }
    for (const next of [c, d]) {
      await next.look()
      await next.claim(2)
    }
    return (await pool.actives()).map(({ target }) => target)
  }
  test('with the guard two run', async () => {
    expect(await replay(false)).toEqual(['b', 'c'])
    expect(await holders()).toEqual(['b', 'c'])
  })
  test('without the guard b is forgotten, and three run', async () => {
    expect(await replay(true)).toEqual(['b', 'c', 'd'])
  })
})

describe('the transaction that ends a run frees its slot', () => {
  /** a ends or is buried. Resolves to whether b may run. */
  async function replay(how: 'finish' | 'isBuried'): Promise<boolean> {
    await putJob(1)
    const [a, b] = [await handAgent('a'), await handAgent('b')]
    await a.claim(1)
    await a.look()
    expect(await a[how]()).toBe(true)
    await b.look()
    return b.claim(1)
  }
  test.each(['finish', 'isBuried'] as const)('with the guard the next one runs: %s', async how => {
    expect(await replay(how)).toBe(true)
    expect(await holders()).toEqual(['b'])
  })
  test('without the guard the wave stops', async () => {
    vi.spyOn(guards, 'freesSlot').mockReturnValue(false)
    expect(await replay('finish')).toBe(false)
    expect(await pool.actives()).toEqual([])
  })
})

describe('a pending attempt and its slot', () => {
  const retry = async (next: Retry['next']): Promise<Retry> => ({
    backoffLimit: 1,
    notBefore: T,
    entry: await readEntry(pool.keys.job(ref('a'))),
    next,
  })
  test('an attempt of an owner keeps its slot', async () => {
    await putJob(1)
    const [a, b] = [await handAgent('a'), await handAgent('b')]
    await a.claim(1)
    await a.look()
    const verdict = { outcome: 'Failed', reason: 'ExitCode' } as const
    const next = { agent: 'a', session: a.session, instance: 'i' }
    expect(await a.finish({ verdict, retry: await retry(next) })).toBe(true)
    await b.look()
    expect(await b.claim(1)).toBe(false)
    expect((await readCell(WAVE)).value?.active).toEqual([{ run: a.run, agent: 'a', attempt: 2 }])
  })
  test('an attempt that belongs to nobody has no slot, and takes one when it is adopted', async () => {
    await putJob(1)
    const [a, b] = [await handAgent('a'), await handAgent('b')]
    await a.claim(1)
    expect(await a.isBuried(await retry(undefined))).toBe(true)
    expect(await holders()).toEqual([])
    await b.look()
    expect(await b.claim(1)).toBe(true)
    await b.look()
    let limit = await readEntry(pool.keys.job(ref('a')))
    const takeOver = async () => {
      const by = { keys: pool.keys, pool: 'default', agent: 'a', session: again.session, instance: 'i' }
      const cells = [(await readCell('a')) as Versioned<Cell>]
      const wave = { cell: seen, limits: [limit] }
      const { txn } = adopt({ ...by, active: await a.active(NOBODY), cells, wave })
      return (await pool.etcd.txn(txn)).ok
    }
    const again = await handAgent('a')
    const seen = { ...(await readCell(WAVE)) }
    expect(isFull(seen.value, 1)).toBe(true)
    expect(await b.finish()).toBe(true)
    // The wave has changed since it was read.
    expect(await takeOver()).toBe(false)
    Object.assign(seen, await readCell(WAVE))
    // So has maxParallel.
    await putJob(2)
    expect(await takeOver()).toBe(false)
    limit = await readEntry(pool.keys.job(ref('a')))
    expect(await takeOver()).toBe(true)
    expect((await readCell(WAVE)).value?.active).toEqual([{ run: a.run, agent: 'a', attempt: 2 }])
  })
})

describe('a holder is removed only while it has no active entry', () => {
  /** The operator has read the wave, but not yet a's active entry. */
  async function replay(): Promise<string[]> {
    await putJob(1)
    const a = await handAgent('a')
    await a.claim(1)
    const wave = (await readCell(WAVE)) as Versioned<Cell>
    const [holder] = wave.value.active
    if (holder) await pool.etcd.txn(freeUnknownHolder(pool.keys, 'default', { wave, holder }))
    return holders()
  }
  test('with the guard the slot stays taken', async () => {
    expect(await replay()).toEqual(['a'])
  })
  test('without the guard another run may start beside it', async () => {
    vi.spyOn(guards, 'holderUnknown').mockReturnValue([])
    expect(await replay()).toEqual([])
  })
  test('the slot of a run that is gone is freed', async () => {
    await putJob(1)
    const a = await handAgent('a')
    await a.claim(1)
    await pool.remove(pool.keys.active('default', 'a', a.run))
    const wave = (await readCell(WAVE)) as Versioned<Cell>
    const [holder] = wave.value.active
    if (holder) await pool.etcd.txn(freeUnknownHolder(pool.keys, 'default', { wave, holder }))
    expect(await holders()).toEqual([])
  })
})

describe("a ShellRun obeys its job's current maxParallel", () => {
  /** The job allows two runs, and one is active. An agent reads for a ShellRun, the job is edited to allow one, and the agent claims. */
  async function replay(): Promise<string[]> {
    const { etcd, keys } = pool
    await putJob(2)
    const [a, b] = [await handAgent('a'), await handAgent('b')]
    await a.claim(2)
    await pool.putRun({ name: 'r', jobRef: { name: 'j', uid: 'uid-1' }, command: inWaves(2) })
    const under = await readEntry(keys.job(ref('b')))
    const own = { ...ref('b'), kind: 'run' as const, name: 'r' }
    const wave = await readCell(WAVE)
    await pool.putJob({ name: 'j', generation: 2, command: inWaves(1) })
    const { txn } = claim({
      keys,
      ref: own,
      agent: 'b',
      session: b.session,
      entry: await readEntry(keys.run(own)),
      cell: { key: keys.cell(own), mod: 0, value: undefined },
      run: shellRunId({ ...own, uid: 'uid-1' }),
      time: T,
      notBefore: T,
      instance: 'i',
      settle: [],
      now: T,
      jobCell: await readCell('b'),
      jobName: 'j',
      wave: { cell: wave, under },
    })
    await etcd.txn(txn)
    return holders()
  }
  test('with the guard one runs', async () => {
    expect(await replay()).toEqual(['a'])
  })
  test('without the guard two run', async () => {
    vi.spyOn(guards, 'limitUnchanged').mockReturnValue([])
    expect(await replay()).toEqual(['a', 'b'])
  })
})
