import * as z from 'zod'

/**
 * The launcher's wire protocol as the agent sees it; launcher/protocol.md is the document. What the agent sends are plain types;
 * what it receives is parsed here, at the boundary. Unknown fields are ignored, unknown messages skipped.
 */
export const PROTOCOL_VERSION = 1

interface Resources {
  cpuMillis?: number
  memoryBytes?: number
  pids?: number
}

/** One run to arm. Ids, sessions and labels are opaque to the launcher. */
export interface Arm {
  id: string
  session: string
  /** Unix ms: started at this instant by the launcher's clock, never before; at once if it is past. */
  at: number
  argv: string[]
  /** Exactly what the command gets, plus PATH where it is missing. */
  env: Record<string, string>
  workingDir: string
  /** Name or number. Without it the launcher's own user. */
  user?: string
  /** Name or number. Without it the user's primary group. */
  group?: string
  /** Adds HOME, USER, LOGNAME and SHELL of the user where `env` does not name them. */
  userEnv?: boolean
  /** From the start; then SIGTERM, and SIGKILL after `graceMs`. */
  deadlineMs?: number
  graceMs: number
  /** Bytes of stdout and stderr together that are kept; the rest is counted as cut. */
  outputLimit: number
  /** Base64; without it stdin is /dev/null. */
  stdin?: string
  /** A pseudo-terminal of this size in place of the three pipes. */
  tty?: { columns: number; rows: number }
  resources?: Resources
  /** False: `onDisconnect: Continue`, the run survives the fence. */
  fenced: boolean
  /**
   * `NAME=value`, one of `env`, that no other run has: processes that left the tree are known by it, as are the leftovers of
   * a launcher that died.
   */
  mark?: string
  /**
   * It may name control groups that are its own as well, and leave a line for its record, in the file that SHELLCRON_NOTES names.
   * For what is trusted like the launcher itself; needs the feature `notes`.
   */
  notes?: boolean
  /** Told back with the run and its record. */
  labels?: Record<string, string>
}

/** Why a run ended; the first cause wins: a run that timed out stays so whatever its command then exits with. */
const cause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exited'), code: z.number().int() }),
  z.object({ kind: z.literal('signaled'), signal: z.string() }),
  z.object({ kind: z.literal('timedOut') }),
  z.object({ kind: z.literal('killed'), reason: z.string() }),
  z.object({ kind: z.literal('fenced') }),
  z.object({ kind: z.literal('cancelled') }),
  z.object({ kind: z.literal('startFailed'), reason: z.string(), message: z.string() }),
  z.object({ kind: z.literal('lost'), reason: z.string() }),
])

const streamCount = z.object({ bytes: z.number(), cut: z.number() })

const exitRecord = z.object({
  id: z.string(),
  session: z.string(),
  cause,
  /** The exit code, also of a command that was told to end; 126 and 127 for startFailed as a shell would say; else null. */
  code: z.number().int().nullable(),
  /** The signal's name, as `SIGKILL`, if one ended the process. */
  signal: z.string().nullable(),
  /** Unix ms; null: never started. */
  startedAt: z.number().nullable(),
  endedAt: z.number(),
  /** Of the process and those it waited for; only from a launcher with the feature. */
  rusage: z.object({ userMs: z.number(), systemMs: z.number(), maxRssBytes: z.number() }).optional(),
  oom: z.boolean().optional(),
  /** `bytes` are in the spool, `cut` came after the limit (or could not be written) and are gone. */
  stdout: streamCount,
  stderr: streamCount,
  /** Why some output could not be written, as `ENOSPC`. */
  spoolError: z.string().optional(),
  /** The last 512 bytes of output, both streams as they came, as UTF-8 that starts at a character. */
  tail: z.string(),
  /** What the run noted last for whoever armed it. */
  told: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
})

export type ExitRecord = z.infer<typeof exitRecord>

const run = z.object({
  id: z.string(),
  session: z.string(),
  state: z.enum(['armed', 'running', 'ended']),
  at: z.number(),
  fenced: z.boolean(),
  startedAt: z.number().optional(),
  pid: z.number().int().optional(),
  record: exitRecord.optional(),
  labels: z.record(z.string(), z.string()).optional(),
})

/** A run as the launcher knows it; `record` when it has ended. */
export type LauncherRun = z.infer<typeof run>

const armed = z.object({ type: z.literal('armed'), id: z.string() })
const refused = z.object({
  type: z.literal('refused'),
  id: z.string(),
  /** `WrongSession`, `Fenced`, `Stopping`, `Unsupported`, `Invalid`. */
  reason: z.string(),
  message: z.string(),
})
const started = z.object({
  type: z.literal('started'),
  id: z.string(),
  at: z.number(),
  pid: z.number().int(),
})
const ended = z.object({ type: z.literal('ended'), id: z.string(), record: exitRecord })
/** A cancel or kill named a run that the launcher does not know. */
const unknownRun = z.object({ type: z.literal('unknown'), id: z.string() })

/** What the launcher tells by itself. After a reconnect every run's latest event is told again. */
export type LauncherEvent =
  | z.infer<typeof armed>
  | z.infer<typeof refused>
  | z.infer<typeof started>
  | z.infer<typeof ended>
  | z.infer<typeof unknownRun>

export const EVENT_TYPES: readonly string[] = ['armed', 'refused', 'started', 'ended', 'unknown']

const hello = z.object({
  type: z.literal('hello'),
  version: z.number().int(),
  implementation: z.string(),
  /** Another life of the launcher, or another boot, has another. */
  instance: z.string(),
  pid: z.number().int(),
  /** The launcher's CLOCK_BOOTTIME in ms. */
  boottime: z.number(),
  features: z.array(z.string()),
  /** What `--build` said at its start. */
  build: z.string().optional(),
})

export type Hello = z.infer<typeof hello>

const runsAnswer = z.object({
  type: z.literal('runs'),
  seq: z.number(),
  runs: z.array(run),
  more: z.boolean(),
})

const readAnswer = z.object({
  type: z.literal('read'),
  seq: z.number(),
  /** Spool bytes, whole chunks: base64, or decoded by `parseMessage`. */
  data: z.union([z.string(), z.instanceof(Buffer)]),
  /** Where to read on. */
  next: z.number(),
  /** Nothing will come after `next`. */
  end: z.boolean(),
  /** Why the spool cannot be read. An older launcher closes the connection. */
  error: z.string().optional(),
})

const replaced = z.object({ type: z.literal('replaced') })

export const fromLauncher = z.discriminatedUnion('type', [
  hello,
  armed,
  refused,
  started,
  ended,
  unknownRun,
  runsAnswer,
  readAnswer,
  replaced,
])

export type FromLauncher = z.infer<typeof fromLauncher>

export type ToLauncher =
  | { type: 'hello'; version: number; implementation: string; pid: number }
  | { type: 'arm'; runs: readonly Arm[] }
  | { type: 'cancel'; ids: readonly string[] }
  | { type: 'kill'; ids: readonly string[]; reason: string }
  | { type: 'fence'; session: string; until: number }
  | { type: 'runs'; seq: number }
  | { type: 'forget'; ids: readonly string[] }
  | {
      type: 'read'
      seq: number
      id: string
      offset: number
      length: number
      stream?: 'stdout' | 'stderr'
      waitMs?: number
    }
  | { type: 'stop'; whenIdle: boolean }
