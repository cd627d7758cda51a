/**
 * The wire protocol as this launcher sees it; ../protocol.md is the document. Everything that comes from the socket is checked
 * here; unknown fields and messages are ignored.
 */
export const PROTOCOL_VERSION = 1

/** What this implementation can do of what a launcher may leave out. */
export const FEATURES: readonly string[] = ['notes']

export interface Arm {
  id: string
  session: string
  at: number
  argv: string[]
  env: Record<string, string>
  workingDir: string
  user?: string | undefined
  group?: string | undefined
  userEnv?: boolean | undefined
  deadlineMs?: number | undefined
  graceMs: number
  outputLimit: number
  stdin?: string | undefined
  fenced: boolean
  notes?: boolean | undefined
  mark?: string | undefined
  labels?: Record<string, string> | undefined
}

export type EndCause =
  | { kind: 'exited'; code: number }
  | { kind: 'signaled'; signal: string }
  | { kind: 'timedOut' }
  | { kind: 'killed'; reason: string }
  | { kind: 'fenced' }
  | { kind: 'cancelled' }
  | { kind: 'startFailed'; reason: string; message: string }
  | { kind: 'lost'; reason: string }

interface StreamCount {
  bytes: number
  cut: number
}

export interface Output {
  stdout: StreamCount
  stderr: StreamCount
  tail: string
  spoolError?: string
}

export interface ExitRecord extends Output {
  id: string
  session: string
  cause: EndCause
  code: number | null
  signal: string | null
  startedAt: number | null
  endedAt: number
  told?: string
  labels?: Record<string, string>
}

export interface RunInfo {
  id: string
  session: string
  state: 'armed' | 'running' | 'ended'
  at: number
  fenced: boolean
  startedAt?: number
  pid?: number
  record?: ExitRecord
  labels?: Record<string, string>
}

export type LauncherEvent =
  | { type: 'armed'; id: string }
  | { type: 'refused'; id: string; reason: string; message: string }
  | { type: 'started'; id: string; at: number; pid: number }
  | { type: 'ended'; id: string; record: ExitRecord }
  | { type: 'unknown'; id: string }

export type ReadRequest = {
  type: 'read'
  seq: number
  id: string
  offset: number
  length: number
  stream: 'stdout' | 'stderr' | undefined
  waitMs: number
}

export type FromAgent =
  | { type: 'hello' }
  | { type: 'arm'; runs: unknown[] }
  | { type: 'cancel'; ids: string[] }
  | { type: 'kill'; ids: string[]; reason: string }
  | { type: 'fence'; session: string; until: number }
  | { type: 'runs'; seq: number }
  | { type: 'forget'; ids: string[] }
  | ReadRequest
  | { type: 'stop'; whenIdle: boolean }

type Fields = Record<string, unknown>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter(item => typeof item === 'string') : []

const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)

const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise)

/** Undefined for what this version does not know: a newer agent may say more. */
export function parseMessage(value: unknown): FromAgent | undefined {
  if (!isFields(value)) return undefined
  const { type } = value
  switch (type) {
    case 'hello':
      return { type }
    case 'arm':
      return { type, runs: Array.isArray(value['runs']) ? value['runs'] : [] }
    case 'cancel':
    case 'forget':
      return { type, ids: strings(value['ids']) }
    case 'kill':
      return { type, ids: strings(value['ids']), reason: text(value['reason'], 'Killed') }
    case 'fence':
      return { type, session: text(value['session'], ''), until: number(value['until']) }
    case 'runs':
      return { type, seq: number(value['seq']) }
    case 'read':
      return { ...parseRead(value), type }
    case 'stop':
      return { type, whenIdle: value['whenIdle'] !== false }
    default:
      return undefined
  }
}

function parseRead(value: Fields): Omit<ReadRequest, 'type'> {
  const { stream } = value
  return {
    seq: number(value['seq']),
    id: text(value['id'], ''),
    offset: Math.max(number(value['offset']), 0),
    length: Math.max(number(value['length']), 0),
    stream: stream === 'stdout' || stream === 'stderr' ? stream : undefined,
    waitMs: Math.min(Math.max(number(value['waitMs']), 0), 60_000),
  }
}
