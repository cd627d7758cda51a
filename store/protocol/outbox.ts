import type { Settlement } from '../../core/fires/settlement.ts'
import { ANYWHERE, type CellRef, type Keys, scheduledRunId, shellRunId } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Result } from '../../core/records/state.ts'
import type { Op } from '../etcd/types.ts'

/** The limit of a result in the outbox, in bytes of UTF-8. Output goes another way, through the spool. */
const LARGEST = 1_024

/** Puts a result into the outbox. It is idempotent, because the key is derived from the result. */
export function putResult(keys: Keys, pool: string, result: Result): Op {
  return { put: keys.result(pool, result.run, result.attempt), value: fit(result) }
}

/** Puts results of times that were not run. Each range has the run id of its last time, and attempt 0. */
export function putSettlements(
  keys: Keys,
  ref: CellRef,
  entry: Entry,
  settlements: readonly Settlement[],
  now: number,
): Op[] {
  return settlements.map(({ first, last, count, outcome, reason }) =>
    putResult(keys, ref.pool, {
      run:
        entry.kind === 'run'
          ? shellRunId({ ...ref, uid: entry.uid })
          : scheduledRunId(ref, last, entry.clockEpoch),
      kind: entry.kind,
      uid: entry.uid,
      generation: entry.generation,
      namespace: ref.namespace,
      name: ref.name,
      ...(entry.kind === 'run' && entry.jobRef ? { jobName: entry.jobRef.name } : {}),
      target: ref.target,
      ...(ref.target === ANYWHERE || entry.command.placement.mode === 'Shards' ? {} : { agent: ref.target }),
      attempt: 0,
      time: last,
      endedAt: now,
      outcome,
      reason,
      ...(entry.blocked ? { message: entry.blocked.message.slice(0, 200) } : {}),
      final: true,
      ...(count > 1 ? { range: { first, count } } : {}),
    }),
  )
}

/** Shortens the tail, then the message, until the result fits. */
function fit(result: Result): string {
  let value = JSON.stringify(result)
  let { tail = '', message = '' } = result
  while (Buffer.byteLength(value) > LARGEST && (tail || message)) {
    const over = Buffer.byteLength(value) - LARGEST
    // JSON escapes a character with up to six bytes, so the text is shortened in small steps.
    const step = Math.max(1, Math.ceil(over / 6))
    if (tail) tail = tail.slice(step)
    else message = message.slice(0, -step)
    value = JSON.stringify({
      ...result,
      ...(result.tail ? { tail } : {}),
      ...(result.message ? { message } : {}),
    })
  }
  return value
}
