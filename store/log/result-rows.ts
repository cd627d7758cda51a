import { clockEpochIn } from '../../core/keys.ts'
import { OUTCOMES, type Outcome } from '../../core/records/state.ts'
import { gravity } from '../../core/status/fire-summary.ts'
import type { AttemptRef, OutputHead, Runner, StoredResult } from './port.ts'

/** A row as a database returns it. Booleans are 0 or 1. */
export type Row = Record<string, unknown>

/** The columns of a result, except the id. They are the named parameters of the insert. */
export function columnsOf(result: StoredResult) {
  return {
    uid: result.uid,
    run: result.run,
    attempt: result.attempt,
    kind: result.kind,
    pool: result.pool,
    namespace: result.namespace,
    name: result.name,
    job_name: result.jobName ?? null,
    target: result.target,
    agent: result.agent ?? null,
    generation: result.generation,
    time: result.time,
    clock_epoch: clockEpochIn(result.run),
    started_at: result.startedAt ?? null,
    ended_at: result.endedAt,
    outcome: result.outcome,
    gravity: gravity(result.outcome),
    exit_code: result.exitCode ?? null,
    signal: result.signal ?? null,
    reason: result.reason ?? null,
    message: result.message ?? null,
    tail: result.tail ?? null,
    final: result.final ? 1 : 0,
    range_first: result.range?.first ?? null,
    range_count: result.range?.count ?? null,
  }
}

export const COLUMNS = Object.keys(columnsOf({ run: '' } as StoredResult))

export function resultOf(row: Row): StoredResult {
  return {
    run: text(row.run) ?? '',
    kind: row.kind === 'run' ? 'run' : 'job',
    uid: text(row.uid) ?? '',
    generation: number(row.generation) ?? 0,
    pool: text(row.pool) ?? '',
    namespace: text(row.namespace) ?? '',
    name: text(row.name) ?? '',
    ...optional('jobName', text(row.job_name)),
    target: text(row.target) ?? '',
    ...optional('agent', text(row.agent)),
    attempt: number(row.attempt) ?? 0,
    time: number(row.time) ?? 0,
    ...optional('startedAt', number(row.started_at)),
    endedAt: number(row.ended_at) ?? 0,
    outcome: outcomeOf(row),
    ...optional('exitCode', number(row.exit_code)),
    ...optional('signal', text(row.signal)),
    ...optional('reason', text(row.reason)),
    ...optional('message', text(row.message)),
    ...optional('tail', text(row.tail)),
    final: row.final === 1,
    ...rangeOf(row),
  }
}

export function outcomeOf(row: Row): Outcome {
  const outcome = OUTCOMES.find(one => one === row.outcome)
  if (!outcome) throw new Error(`unknown outcome in the log store: ${String(row.outcome)}`)
  return outcome
}

export function rangeOf(row: Row): { range?: { first: number; count: number } } {
  const first = number(row.range_first)
  return optional('range', first === undefined ? undefined : { first, count: number(row.range_count) ?? 1 })
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

/** An object with this property, or without it if the value is undefined. */
export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V })
}

/** Which attempt a row of results or of outputs belongs to. */
export function attemptIn(row: Row): AttemptRef {
  return { uid: text(row.uid) ?? '', run: text(row.run) ?? '', attempt: number(row.attempt) ?? 0 }
}

export function runnerIn(row: Row | undefined): Runner | undefined {
  const agent = text(row?.agent)
  return agent === undefined ? undefined : { pool: text(row?.pool) ?? '', agent }
}

export function headIn(row: Row): OutputHead {
  return {
    uid: text(row.uid) ?? '',
    run: text(row.run) ?? '',
    attempt: number(row.attempt) ?? 0,
    namespace: text(row.namespace) ?? '',
    name: text(row.name) ?? '',
    agent: text(row.agent) ?? '',
    stored: number(row.stored) ?? 0,
    bytes: number(row.bytes) ?? 0,
    cut: number(row.cut) ?? 0,
    lost: number(row.lost) ?? 0,
    ended: row.ended === 1,
    ...(row.expired === 1 ? { expired: true } : {}),
  }
}
