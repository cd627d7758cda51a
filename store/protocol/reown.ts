import type { Active } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import type { Adoption } from './adopt.ts'
import { guards } from './model-guards.ts'

/**
 * With onDisconnect Continue a run may outlive its session. Gives it to the next session of the same agent, whose launcher runs it, in one
 * transaction:
 *
 *   its active entry unchanged ∧ its cells unchanged ∧ the agent's registration is of this session
 *     → put the active entry with this session
 *   else read the active entry
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
