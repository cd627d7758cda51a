import { type Keys, NOBODY, WAVE } from '../../core/keys.ts'
import type { Active, Cell, Result } from '../../core/records/state.ts'
import { retries, type Verdict } from '../../core/runs/outcome.ts'
import type { Compare, Op, Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import { putResult } from './outbox.ts'
import type { Versioned } from './versioned.ts'

/**
 * The end of an attempt, one transaction, by its owner (finish) or by another for it (burial):
 *
 *   its active entry unchanged ∧ its cells unchanged (∧ burial: the owner's session still gone)
 *     → put the result, take the run out of its cells, delete the active entry;
 *       with a retry: put the next attempt into `active/` of its next owner instead, who keeps its place of the wave;
 *       if that is nobody the place is given back
 *         (∧ entry unchanged ∧ the next owner's session lives)
 *   else read the active entry and the cells
 *
 * No longer there: somebody else has ended it. Nothing is recorded then.
 */
export interface Ending {
  keys: Keys
  pool: string
  /** Under whom the attempt lies. */
  owner: string
  active: Versioned<Active>
  /** Its own cell, with jobRef the job's, with maxParallel its wave; those that exist. */
  cells: readonly Versioned<Cell>[]
  /** Keys of those that should exist and do not: still so, or it is read again. */
  absent?: readonly string[]
  verdict: Verdict
  now: number
  facts?: { startedAt?: number; endedAt?: number; tail?: string }
  /** Burial: create revision of the owner's registration as seen; 0: none. */
  ownerSeen?: number
  /** Only looked at where the verdict is retried. */
  retry?: Retry
}

export interface Retry {
  backoffLimit: number
  /** When the next attempt may start, ms since the epoch. */
  notBefore: number
  entry: { key: string; mod: number }
  /** undefined: nobody eligible lives; the attempt lies under nobody until one does. */
  next: { agent: string; session: number; instance: string } | undefined
}

export interface Ended {
  txn: Txn
  /** The next attempt, if there is one. */
  again: Active | undefined
  result: Result
  /** The cells as the transaction leaves them. */
  cells: { key: string; value: Cell }[]
}

export function end(e: Ending): Ended {
  const { keys, pool, owner } = e
  const attempt = e.active.value.attempt
  const again =
    e.retry && retries(e.verdict.outcome, attempt, e.retry.backoffLimit) ? nextAttempt(e, e.retry) : undefined
  const result = resultOf(e, again === undefined)
  const nextKey = again && keys.active(pool, e.retry?.next?.agent ?? NOBODY, again.run)
  const cells = e.cells.map(cell => ({ key: cell.key, value: without(cell, e, again) }))
  const then: Op[] = [
    putResult(keys, pool, result),
    ...cells.map(({ key, value }) => ({ put: key, value: JSON.stringify(value) })),
    ...(nextKey === e.active.key ? [] : [{ delete: e.active.key }]),
    ...(nextKey && again ? guards.putNextAttempt([{ put: nextKey, value: JSON.stringify(again) }]) : []),
  ]
  const compare: Compare[] = [
    ...guards.stillActive(e.active.key, e.active.mod),
    ...e.cells.flatMap(cell =>
      isWave(keys, cell.key)
        ? guards.waveUnchanged(cell.key, cell.mod)
        : guards.cellUnchanged(cell.key, cell.mod),
    ),
    ...(e.absent ?? []).flatMap(key => guards.cellUnchanged(key, 0)),
    ...(e.ownerSeen === undefined ? [] : guards.sessionGone(keys.agent(pool, owner), e.ownerSeen)),
    ...(again && e.retry ? retryHolds(e, e.retry) : []),
  ]
  return {
    again,
    result,
    cells,
    txn: { compare, then, else: [{ get: e.active.key }, ...e.cells.map(cell => ({ get: cell.key }))] },
  }
}

/** A retry is of an entry that still stands, and goes to somebody who lives. */
function retryHolds({ keys, pool, owner, ownerSeen }: Ending, { entry, next }: Retry): Compare[] {
  // Burial compares the owner's registration already: enough where that is the session which the next attempt is for.
  const compared = next?.agent === owner && next.session === ownerSeen
  return [
    ...guards.entryUnchanged(entry.key, entry.mod),
    ...(next && !compared ? guards.sessionLives(keys.agent(pool, next.agent), next.session) : []),
  ]
}

function nextAttempt(e: Ending, { notBefore, next }: Retry): Active {
  const { kill: _, buryAfter: __, ...same } = e.active.value
  return {
    ...same,
    attempt: same.attempt + 1,
    notBefore,
    session: next?.session ?? 0,
    instance: next?.instance ?? '',
  }
}

function isWave(keys: Keys, key: string): boolean {
  return keys.parseCell(key)?.target === WAVE
}

function without({ key, value: cell }: Versioned<Cell>, e: Ending, again: Active | undefined): Cell {
  const { run } = e.active.value
  const others = cell.active.filter(active => active.run !== run)
  const wave = isWave(e.keys, key)
  if (wave && !guards.freesSlot()) return cell
  // Who waits for somebody to come must not hold up those who are there.
  const stays = again && !(wave && !e.retry?.next)
  return {
    ...cell,
    active: stays
      ? [...others, { run, agent: e.retry?.next?.agent ?? NOBODY, attempt: again.attempt }]
      : others,
  }
}

function resultOf({ active, verdict, now, facts, owner }: Ending, final: boolean): Result {
  const { run, kind, uid, generation, namespace, name, target, attempt, time } = active.value
  return {
    run,
    kind,
    uid,
    generation,
    namespace,
    name,
    target,
    ...(owner === NOBODY ? {} : { agent: owner }),
    attempt,
    time,
    ...(facts?.startedAt === undefined ? {} : { startedAt: facts.startedAt }),
    endedAt: facts?.endedAt ?? now,
    outcome: verdict.outcome,
    ...(verdict.exitCode === undefined ? {} : { exitCode: verdict.exitCode }),
    ...(verdict.signal ? { signal: verdict.signal } : {}),
    reason: verdict.reason,
    ...(verdict.message ? { message: verdict.message } : {}),
    ...(facts?.tail ? { tail: facts.tail } : {}),
    final,
  }
}
