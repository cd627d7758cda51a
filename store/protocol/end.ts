import { type Keys, NOBODY, WAVE } from '../../core/keys.ts'
import type { Active, Cell, Result } from '../../core/records/state.ts'
import { retries, type Verdict } from '../../core/runs/outcome.ts'
import type { Compare, Op, Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import { putResult } from './outbox.ts'
import type { Versioned } from './versioned.ts'

/**
 * Ends an attempt, in one transaction, for its owner (finish) or for a dead owner (burial):
 *
 *   its active entry unchanged ∧ its cells unchanged (∧ burial: the owner's session still gone)
 *     (∧ retry: entry unchanged ∧ the next owner's session lives)
 *     → put the result, remove the run from its cells, delete the active entry
 *       retry: the run stays in its cells, and the next attempt's active entry is put under the next owner, which keeps the wave's slot;
 *       if the next owner is nobody, the slot is freed
 *   else read the active entry and the cells
 *
 * If the active entry is gone, another agent has ended the attempt, and nothing is recorded.
 */
export interface Ending {
  keys: Keys
  pool: string
  /** The agent whose active entry it is. */
  owner: string
  active: Versioned<Active>
  /** Those that exist of: its own cell, the job's cell (jobRef), the wave (maxParallel). */
  cells: readonly Versioned<Cell>[]
  /** Keys of cells that should exist and do not. They are compared to be still absent. */
  absent?: readonly string[]
  verdict: Verdict
  now: number
  facts?: { startedAt?: number; endedAt?: number; tail?: string; warnings?: string[] }
  /** Burial: create revision of the owner's registration as it was seen; 0: it has none. */
  ownerSeen?: number
  /** Used only if the outcome is retried. */
  retry?: Retry
}

export interface Retry {
  backoffLimit: number
  /** When the next attempt may start, ms since the epoch. */
  notBefore: number
  entry: { key: string; mod: number }
  /** undefined: no eligible agent lives. The attempt belongs to nobody until one adopts it. */
  next: { agent: string; session: number; instance: string } | undefined
}

export interface Ended {
  txn: Txn
  /** The next attempt, if it is retried. */
  again: Active | undefined
  result: Result
  /** The cells as the transaction leaves them. */
  cells: { key: string; value: Cell }[]
}

export function end(e: Ending): Ended {
  const { keys, pool } = e
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
  return {
    again,
    result,
    cells,
    txn: {
      compare: comparisons(e, again),
      then,
      else: [{ get: e.active.key }, ...e.cells.map(cell => ({ get: cell.key }))],
    },
  }
}

function comparisons(e: Ending, again: Active | undefined): Compare[] {
  return [
    ...guards.stillActive(e.active.key, e.active.mod),
    ...e.cells.flatMap(cell =>
      isWave(e.keys, cell.key)
        ? guards.waveUnchanged(cell.key, cell.mod)
        : guards.cellUnchanged(cell.key, cell.mod),
    ),
    ...(e.absent ?? []).flatMap(key => guards.cellUnchanged(key, 0)),
    ...(e.ownerSeen === undefined ? [] : guards.sessionGone(e.keys.agent(e.pool, e.owner), e.ownerSeen)),
    ...(again && e.retry ? retryHolds(e, e.retry) : []),
  ]
}

/** A retry needs an unchanged entry, and a next owner that lives. */
function retryHolds({ keys, pool, owner, ownerSeen }: Ending, { entry, next }: Retry): Compare[] {
  // Burial already compares the owner's registration: enough if the next attempt is for that same session.
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
  // An attempt that belongs to nobody must not hold a slot that a living agent could use.
  const stays = again && !(wave && !e.retry?.next)
  return {
    ...cell,
    active: stays
      ? [...others, { run, agent: e.retry?.next?.agent ?? NOBODY, attempt: again.attempt }]
      : others,
  }
}

function resultOf({ active, verdict, now, facts, owner }: Ending, final: boolean): Result {
  const { run, kind, uid, generation, namespace, name, jobName, target, attempt, time } = active.value
  return {
    run,
    kind,
    uid,
    generation,
    namespace,
    name,
    ...(jobName ? { jobName } : {}),
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
    ...(facts?.warnings ? { warnings: facts.warnings } : {}),
    ...(facts?.tail ? { tail: facts.tail } : {}),
    final,
  }
}
