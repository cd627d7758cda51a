import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'

/**
 * Writes of keys that only the operator writes: entries, members, pools. Each compares the revision that the operator knows (`mod` 0: the
 * key is absent), so that a paused former leader cannot undo its successor's writes.
 *
 *   key unchanged → put or delete it
 *   else read it
 */
export function putKnown(key: string, mod: number, value: string): Txn {
  return { compare: guards.operatorKnows(key, mod), then: [{ put: key, value }], else: [{ get: key }] }
}

export function deleteKnown(key: string, mod: number): Txn {
  return { compare: guards.operatorKnows(key, mod), then: [{ delete: key }], else: [{ get: key }] }
}
