import type { Entry } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { buryAfter } from './bury-after.ts'
import { guards } from './model-guards.ts'
import type { Versioned } from './versioned.ts'

/**
 * Before an owner starts an attempt that another session put, or starts it again, it records its launcher's instance and the entry's
 * generation, in one transaction:
 *
 *   its active entry unchanged ∧ entry unchanged → put the active entry with this instance and generation
 *   else read the active entry
 */
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
