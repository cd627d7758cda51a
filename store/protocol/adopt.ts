import { holding } from '../../core/fires/wave.ts'
import { type Keys, NOBODY } from '../../core/keys.ts'
import type { Active, Cell } from '../../core/records/state.ts'
import type { Compare, Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import type { MaybeAbsent, Versioned } from './versioned.ts'

/** An attempt, and the session that takes it. */
export interface Adoption {
  keys: Keys
  pool: string
  active: Versioned<Active>
  cells: readonly Versioned<Cell>[]
  agent: string
  session: number
  instance: string
}

/** The wave's cell, seen with a free slot. `limits`: the entries that say how many slots there are. */
interface Wave {
  cell: MaybeAbsent<Cell>
  limits: readonly { key: string; mod: number }[]
}

/**
 * Takes over a pending attempt that belongs to nobody, because no eligible agent lived when it was put, in one transaction:
 *
 *   its active entry unchanged ∧ its cells unchanged ∧ the agent's registration is of this session
 *     (∧ maxParallel: the wave unchanged, its limits unchanged)
 *     → move the active entry from nobody to the agent, name the agent in the cells (, take a slot of the wave)
 *   else read the active entry
 */
export function adopt(a: Adoption & { wave?: Wave }): { txn: Txn; active: Active } {
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
      compare: comparisons(a),
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

function comparisons({
  keys,
  pool,
  agent,
  session,
  active,
  cells,
  wave,
}: Adoption & { wave?: Wave }): Compare[] {
  return [
    ...guards.stillActive(active.key, active.mod),
    ...cells.flatMap(cell => guards.cellUnchanged(cell.key, cell.mod)),
    ...guards.sessionLives(keys.agent(pool, agent), session),
    ...(wave ? guards.waveUnchanged(wave.cell.key, wave.cell.mod) : []),
    ...(wave?.limits ?? []).flatMap(({ key, mod }) => guards.limitUnchanged(key, mod)),
  ]
}
