import type { Active } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import type { Versioned } from './versioned.ts'

/**
 * Tells an attempt's owner to end it, as Replace and `shellcron kill` do, in one transaction. The first reason stays.
 *
 *   its active entry unchanged → put it with the kill
 *   else read the active entry
 */
export function markKill(active: Versioned<Active>, reason: string): Txn {
  return {
    compare: guards.stillActive(active.key, active.mod),
    then: [
      { put: active.key, value: JSON.stringify({ ...active.value, kill: active.value.kill ?? { reason } }) },
    ],
    else: [{ get: active.key }],
  }
}
