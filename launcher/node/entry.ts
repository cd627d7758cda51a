import type { LiveRun } from './live-run.ts'
import type { Arm, EndCause, ExitRecord, LauncherEvent, Output, RunInfo } from './protocol.ts'
import type { Identity, IdentityProblem } from './users.ts'

/** A run as the supervisor holds it: armed (with its order), then alive, then with its record. */
export interface Entry {
  id: string
  session: string
  at: number
  fenced: boolean
  labels: Record<string, string> | undefined
  /** Absent in what an earlier launcher left. */
  arm: Arm | undefined
  /** Whom to run as, looked up before it is due; undefined: as the launcher. */
  identity: Identity | IdentityProblem | undefined
  live: LiveRun | undefined
  /** Its end is decided, though it may not be on the disk yet: nothing may start or end it any more. */
  isEnding: boolean
  record: ExitRecord | undefined
  /** Called when there is more to read, or its end. */
  readers: Set<() => void>
}

const NO_OUTPUT: Output = { stdout: { bytes: 0, cut: 0 }, stderr: { bytes: 0, cut: 0 }, tail: '' }

export function newEntry(arm: Arm): Entry {
  const { id, session, at, fenced, labels } = arm
  const rest = {
    identity: undefined,
    live: undefined,
    isEnding: false,
    record: undefined,
    readers: new Set<never>(),
  }
  return { id, session, at, fenced, labels, arm, ...rest }
}

export function endedEntry(record: ExitRecord, at: number, fenced: boolean): Entry {
  const { id, session, labels } = record
  const rest = { arm: undefined, identity: undefined, live: undefined, readers: new Set<never>() }
  return { id, session, at, fenced, labels, isEnding: true, record, ...rest }
}

type Ending = { cause: EndCause; endedAt: number } & Partial<
  Pick<ExitRecord, 'code' | 'signal' | 'startedAt'>
> & { output?: Output; told?: string | undefined }

export function recordOf(
  { id, session, labels }: Pick<Entry, 'id' | 'session' | 'labels'>,
  ending: Ending,
): ExitRecord {
  return {
    id,
    session,
    cause: ending.cause,
    code: ending.code ?? null,
    signal: ending.signal ?? null,
    startedAt: ending.startedAt ?? null,
    endedAt: ending.endedAt,
    ...(ending.output ?? NO_OUTPUT),
    ...(ending.told === undefined ? {} : { told: ending.told }),
    ...(labels ? { labels } : {}),
  }
}

export function infoOf(entry: Entry): RunInfo {
  const { id, session, at, fenced, live, record, labels } = entry
  return {
    id,
    session,
    state: record ? 'ended' : live ? 'running' : 'armed',
    at,
    fenced,
    ...(live ? { startedAt: live.startedAt, pid: live.pid } : {}),
    ...(record ? { record } : {}),
    ...(labels ? { labels } : {}),
  }
}

/** What is to be told of it to an agent that knows nothing yet. */
export function latestEvent(entry: Entry): LauncherEvent {
  const { id, live, record } = entry
  if (record) return { type: 'ended', id, record }
  return live ? { type: 'started', id, at: live.startedAt, pid: live.pid } : { type: 'armed', id }
}
