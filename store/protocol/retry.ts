import { holding } from '../../core/fires/wave.ts'
import { type Keys, NOBODY } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Active, Cell } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { buryAfter } from './claim.ts'
import { guards } from './model-guards.ts'
import type { MaybeAbsent, Versioned } from './versioned.ts'

/**
 * A pending attempt that lay under nobody, because nobody eligible lived, is taken over by an agent that does:
 *
 *   its entry unchanged ∧ its cell unchanged ∧ my registration is of this session
 *     (∧ its wave unchanged, with a free place, and what says how many there are)
 *     → put it under me, name me in the cell (, take the place)
 */
export interface Adoption {
  keys: Keys
  pool: string
  active: Versioned<Active>
  cells: readonly Versioned<Cell>[]
  agent: string
  session: number
  instance: string
}

/** `wave`: of a run that goes in waves: its cell, seen with a free place, and the entries that say how many there are. */
export function adopt(
  a: Adoption & { wave?: { cell: MaybeAbsent<Cell>; limits: readonly { key: string; mod: number }[] } },
): { txn: Txn; active: Active } {
  const { keys, pool, agent, wave } = a
  const active: Active = { ...a.active.value, session: a.session, instance: a.instance }
  const { run, attempt } = active
  const holder = { uid: wave?.cell.value?.uid ?? active.uid, agent, run, attempt }
  const named = (cell: Cell): Cell => ({
    ...cell,
    active: cell.active.map(each => (each.run === run ? { ...each, agent } : each)),
  })
  return {
    active,
    txn: {
      compare: [
        ...guards.stillActive(a.active.key, a.active.mod),
        ...a.cells.flatMap(cell => guards.cellUnchanged(cell.key, cell.mod)),
        ...guards.sessionLives(keys.agent(pool, agent), a.session),
        ...(wave ? guards.waveUnchanged(wave.cell.key, wave.cell.mod) : []),
        ...(wave?.limits ?? []).flatMap(({ key, mod }) => guards.limitUnchanged(key, mod)),
      ],
      then: [
        { delete: keys.active(pool, NOBODY, run) },
        { put: keys.active(pool, agent, run), value: JSON.stringify(active) },
        ...a.cells.map(cell => ({ put: cell.key, value: JSON.stringify(named(cell.value)) })),
        ...(wave ? [{ put: wave.cell.key, value: JSON.stringify(holding(wave.cell.value, holder)) }] : []),
      ],
      else: [{ get: a.active.key }],
    },
  }
}

/**
 * onDisconnect Continue: a run that outlived its session goes on under the next one of the same agent, whose launcher has it:
 *
 *   its entry unchanged ∧ its cells unchanged ∧ my registration is of this session → put it under this session
 */
export function reown(a: Adoption): { txn: Txn; active: Active } {
  const active: Active = { ...a.active.value, session: a.session, instance: a.instance }
  return {
    active,
    txn: {
      compare: [
        ...guards.stillActive(a.active.key, a.active.mod),
        ...a.cells.flatMap(cell => guards.cellUnchanged(cell.key, cell.mod)),
        ...guards.sessionLives(a.keys.agent(a.pool, a.agent), a.session),
      ],
      then: [{ put: a.active.key, value: JSON.stringify(active) }],
      else: [{ get: a.active.key }],
    },
  }
}

/** Marks an attempt to be ended by its owner: what Replace and a kill do. The first reason stays. */
export function markKill(active: Versioned<Active>, reason: string): Txn {
  return {
    compare: guards.stillActive(active.key, active.mod),
    then: [
      { put: active.key, value: JSON.stringify({ ...active.value, kill: active.value.kill ?? { reason } }) },
    ],
    else: [{ get: active.key }],
  }
}

/** The owner says under which launcher, and of which generation, it starts an attempt that it was given or claims anew. */
export function restamp(
  active: Versioned<Active>,
  { instance, now }: { instance: string; now: number },
  entry: Versioned<Entry>,
): { txn: Txn; active: Active } {
  const { buryAfter: _, ...same } = active.value
  const { generation } = entry.value
  const next = { ...same, generation, instance, ...buryAfter(entry.value, same.notBefore, now) }
  return {
    active: next,
    txn: {
      compare: [
        ...guards.stillActive(active.key, active.mod),
        ...guards.entryUnchanged(entry.key, entry.mod),
      ],
      then: [{ put: active.key, value: JSON.stringify(next) }],
      else: [{ get: active.key }],
    },
  }
}
