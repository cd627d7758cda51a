import type { Txn } from '../etcd/types.ts'

/**
 * Puts a request, which asks agents to claim a fire that none has claimed, in one transaction:
 *
 *   the request is absent (∧ the cell unchanged: absent (`mod` 0), or with a waiting time)
 *     → put the request on its lease
 *   else read the request
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
