import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'

/**
 * The operator's writes of what only it writes (entries, members, pools): over the revision that it knows, never blindly, so that a
 * paused old leader cannot put back what its successor replaced. `mod` 0: only if absent.
 */
export function putKnown(key: string, mod: number, value: string): Txn {
  return { compare: guards.operatorKnows(key, mod), then: [{ put: key, value }], else: [{ get: key }] }
}

export function deleteKnown(key: string, mod: number): Txn {
  return { compare: guards.operatorKnows(key, mod), then: [{ delete: key }], else: [{ get: key }] }
}

/**
 * A request wakes agents for what nobody has taken: put only if it does not exist and the cell is as it was seen, absent (`mod` 0) or
 * with a time that waits; it goes with its lease.
 */
export function putRequest(
  key: string,
  value: string,
  under: { lease: string; cell?: { key: string; mod: number } },
): Txn {
  return {
    compare: [{ key, mod: 0 }, ...(under.cell ? [{ key: under.cell.key, mod: under.cell.mod }] : [])],
    then: [{ put: key, value, lease: under.lease }],
    else: [{ get: key }],
  }
}
