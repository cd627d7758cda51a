import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isFull } from '../../core/fires/wave.ts'
import { type CellRef, createKeys, NOBODY, scheduledRunId, WAVE } from '../../core/keys.ts'
import { jobEntrySchema } from '../../core/records/entry.ts'
import { type Active, activeSchema, type Cell, cellSchema, resultSchema } from '../../core/records/state.ts'
import type { KeyValue, Txn } from '../etcd/types.ts'
import { adopt } from './adopt.ts'
import { claim } from './claim.ts'
import { end, type Retry } from './end.ts'
import { freeUnknownHolder } from './free-wave-slot.ts'
import { type MaybeAbsent, parseValue, parseVersioned, type Versioned } from './versioned.ts'

/**
 * Random walks of a wave, with the protocol's own transactions on an etcd in memory: stale views, late claims, deaths, retries, adoptions.
 * After each step exactly the active runs hold a slot, and no more than there are. At the end every target has exactly one outcome.
 */
const keys = createKeys('/w/')
const AGENTS = ['a', 'b', 'c', 'd']
const T = 1_000
const POOL = 'default'
const cellRef = (target: string): CellRef => ({ pool: POOL, kind: 'job', namespace: 'n', name: 'j', target })

function memory() {
  const items = new Map<string, KeyValue>()
  let revision = 0
  const holds = (compare: Txn['compare'][number]): boolean => {
    const item = items.get(compare.key)
    if ('mod' in compare) return (item?.mod ?? 0) === compare.mod
    return 'create' in compare && (item?.create ?? 0) === compare.create
  }
  return {
    get: (key: string) => items.get(key),
    under: (prefix: string) => [...items.values()].filter(({ key }) => key.startsWith(prefix)),
    txn({ compare, then }: Txn): boolean {
      if (!compare.every(holds)) return false
      revision++
      for (const op of then) {
        if ('put' in op) {
          const create = items.get(op.put)?.create ?? revision
          items.set(op.put, { key: op.put, value: op.value, mod: revision, create, lease: '0' })
        } else if ('delete' in op) items.delete(op.delete)
      }
      return true
    },
  }
}

function world(slots: number, backoffLimit: number) {
  const etcd = memory()
  const entryKey = keys.job(cellRef('-'))
  etcd.txn({ compare: [], then: [{ put: entryKey, value: 'entry' }] })
  const placement = { mode: 'All', agents: [], maxParallel: slots }
  const value = jobEntrySchema.parse({
    kind: 'job',
    uid: 'u',
    generation: 1,
    pool: POOL,
    namespace: 'n',
    name: 'j',
    schedules: ['@hourly'],
    timeZone: 'UTC',
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    scheduleChangedAt: 0,
    command: { placement, host: {}, shell: ['sh'], script: 'true', outputLimit: 0, backoffLimit },
  })
  const entry = { key: entryKey, mod: etcd.get(entryKey)?.mod ?? 0, value }
  const read = (target: string): MaybeAbsent<Cell> => {
    const key = keys.cell(cellRef(target))
    return parseVersioned(cellSchema, key, etcd.get(key))
  }
  const activeOf = (owner: string, target: string): Versioned<Active> | undefined => {
    const key = keys.active(POOL, owner, scheduledRunId(cellRef(target), T, 0))
    const active = parseVersioned(activeSchema, key, etcd.get(key))
    return active.value && { ...active, value: active.value }
  }
  const sessionOf = (agent: string) => etcd.get(keys.agent(POOL, agent))?.create ?? 0
  const register = (agent: string) =>
    etcd.txn({ compare: [], then: [{ put: keys.agent(POOL, agent), value: '{}' }] })
  for (const agent of AGENTS) {
    register(agent)
    etcd.txn({
      compare: [],
      then: [
        { put: keys.cell(cellRef(agent)), value: JSON.stringify({ uid: 'u', lastFire: 0, active: [] }) },
      ],
    })
  }
  /** The wave as each agent saw it last, and the transactions that were sent but not applied yet. */
  const seen = new Map<string, MaybeAbsent<Cell>>()
  const late = new Map<string, Txn>()

  const claimTxn = (agent: string): Txn | undefined => {
    const wave = seen.get(agent) ?? read(WAVE)
    const cell = read(agent)
    if (isFull(wave.value, slots) || (cell.value?.lastFire ?? 0) >= T || sessionOf(agent) === 0)
      return undefined
    const run = scheduledRunId(cellRef(agent), T, 0)
    const by = {
      keys,
      ref: cellRef(agent),
      agent,
      session: sessionOf(agent),
      entry,
      cell,
      run,
      instance: 'i',
    }
    return claim({ ...by, time: T, notBefore: T, settle: [], now: T, wave: { cell: wave } }).txn
  }
  const endOf = (
    target: string,
    { outcome, owner, buried }: { outcome: 'Succeeded' | 'Failed' | 'Lost'; owner: string; buried?: number },
  ): void => {
    const active = activeOf(owner, target)
    if (!active) return
    const found = [read(target), seen.get(target) ?? read(WAVE)]
    const cells = found.flatMap(cell => (cell.value ? [{ ...cell, value: cell.value }] : []))
    const absent = found.filter(({ mod }) => mod === 0).map(({ key }) => key)
    const next =
      sessionOf(target) > 0 ? { agent: target, session: sessionOf(target), instance: 'i' } : undefined
    const retry: Retry = { backoffLimit, notBefore: T, entry, next }
    const of = { keys, pool: POOL, owner, active, cells, absent, now: T, verdict: { outcome, reason: 'x' } }
    etcd.txn(end({ ...of, retry, ...(buried === undefined ? {} : { ownerSeen: buried }) }).txn)
  }

  const steps: Record<string, (agent: string) => void> = {
    look: agent => void seen.set(agent, read(WAVE)),
    claim: agent => {
      const txn = claimTxn(agent)
      if (txn) etcd.txn(txn)
    },
    send: agent => {
      const txn = claimTxn(agent)
      if (txn) late.set(agent, txn)
    },
    deliver: agent => {
      const txn = late.get(agent)
      late.delete(agent)
      if (txn) etcd.txn(txn)
    },
    succeed: agent => endOf(agent, { outcome: 'Succeeded', owner: agent }),
    fail: agent => endOf(agent, { outcome: 'Failed', owner: agent }),
    die: agent => void etcd.txn({ compare: [], then: [{ delete: keys.agent(POOL, agent) }] }),
    live: agent => void (sessionOf(agent) === 0 && register(agent)),
    bury: agent => {
      const session = activeOf(agent, agent)?.value.session
      if (session !== undefined && session !== sessionOf(agent))
        endOf(agent, { outcome: 'Lost', owner: agent, buried: sessionOf(agent) })
    },
    adopt: agent => {
      const active = activeOf(NOBODY, agent)
      const wave = seen.get(agent) ?? read(WAVE)
      if (!active || sessionOf(agent) === 0 || isFull(wave.value, slots)) return
      const by = { keys, pool: POOL, agent, session: sessionOf(agent), instance: 'i' }
      etcd.txn(
        adopt({
          ...by,
          active,
          cells: [read(agent) as Versioned<Cell>],
          wave: { cell: wave, limits: [entry] },
        }).txn,
      )
    },
    sweep: () => {
      const wave = read(WAVE)
      for (const holder of wave.value?.active ?? [])
        etcd.txn(freeUnknownHolder(keys, POOL, { wave: wave as Versioned<Cell>, holder }))
    },
  }
  return {
    steps,
    holders: () => (read(WAVE).value?.active ?? []).map(({ run, agent }) => `${agent}/${run}`).sort(),
    active: () =>
      etcd
        .under(keys.actives(POOL))
        .map(({ key }) => keys.parseActive(key))
        .flatMap(at => (at && at.agent !== NOBODY ? [`${at.agent}/${at.runId}`] : []))
        .sort(),
    pending: () => etcd.under(keys.actives(POOL)).length,
    outcomes: () =>
      etcd
        .under(keys.results)
        .flatMap(({ value }) => parseValue(resultSchema, value) ?? [])
        .filter(({ final }) => final)
        .map(({ target }) => target)
        .sort(),
  }
}

const NAMES = [
  'look',
  'look',
  'claim',
  'claim',
  'send',
  'deliver',
  'succeed',
  'fail',
  'die',
  'live',
  'bury',
  'adopt',
  'sweep',
]
const walk = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...AGENTS)), {
  maxLength: 120,
  size: 'max',
})

test('whatever happens, exactly the active runs hold slots, and never more than there are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.nat(1), walk, (slots, backoffLimit, path) => {
      const w = world(slots, backoffLimit)
      const check = () => {
        expect(w.holders()).toEqual(w.active())
        expect(w.holders().length).toBeLessThanOrEqual(slots)
      }
      for (const [name, agent] of path) {
        w.steps[name]?.(agent)
        check()
      }
      // Then all agents live and continue.
      for (let round = 0; round < 12; round++)
        for (const agent of AGENTS)
          for (const name of [
            'live',
            'deliver',
            'look',
            'bury',
            'adopt',
            'look',
            'claim',
            'look',
            'succeed',
          ]) {
            w.steps[name]?.(agent)
            check()
          }
      expect(w.outcomes()).toEqual(AGENTS)
      expect([w.holders(), w.pending()]).toEqual([[], 0])
    }),
    { numRuns: 150 },
  )
})
