import * as z from 'zod'

/**
 * The launcher's wire protocol on the agent's side; launcher/protocol.md specifies it. Messages to the launcher are plain types. Messages
 * from it are parsed here, at the boundary: unknown fields are ignored, and unknown messages are skipped.
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
  /** Unix ms. The run starts at this instant of the launcher's clock, never before; at once if it has passed. */
  at: number
  argv: string[]
  /** The whole environment of the command. PATH is added if it is missing. */
  env: Record<string, string>
  workingDir: string
  /** Name or number. Default: the launcher's user. */
  user?: string
  /** Name or number. Default: the user's primary group. */
  group?: string
  /** The command may gain privileges: it does not get no_new_privs. */
  allowPrivilegeEscalation?: boolean
  /** Adds HOME, USER, LOGNAME and SHELL of the user, unless `env` has them. */
  userEnv?: boolean
  /** Counted from the start. Then SIGTERM, and SIGKILL after `graceMs`. */
  deadlineMs?: number
  graceMs: number
  /** Bytes of stdout and stderr together that are kept. The rest is counted as cut. */
  outputLimit: number
  /** A file that the command can read. Its path is added to `argv`. Needs the feature `script`. */
  script?: string
  /** Base64. Default: stdin is /dev/null. */
  stdin?: string
  /** A pseudo-terminal of this size in place of the three pipes. */
  tty?: { columns: number; rows: number }
  resources?: Resources
  /** False: `onDisconnect: Continue`, the run survives the fence. */
  fenced: boolean
  /**
   * `NAME=value`, a variable of `env` that no other run has. The launcher finds processes by it that have left the tree, or that a dead
   * launcher left.
   */
  mark?: string
  /**
   * The run may write to the file that SHELLCRON_NOTES names: control groups that belong to it too, and a line for its record. Only for
   * programs that are trusted like the launcher itself. Needs the feature `notes`.
   */
  notes?: boolean
  /** What happens to processes that outlive the command. Default: `Kill`. */
  leftovers?: 'Kill' | 'Leave'
  /** Returned with the run and its record. */
  labels?: Record<string, string>
}

/** Why a run ended. The first cause wins: a run that timed out is `timedOut`, whatever exit code follows. */
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

const leftovers = z.object({
  count: z.number().int(),
  /** The first of them, as `name (pid)`. */
  processes: z.array(z.string()),
  /** They go on. Otherwise they were ended. */
  left: z.boolean().optional(),
})

const exitRecord = z.object({
  id: z.string(),
  session: z.string(),
  cause,
  /** The exit code, also of a command that was killed and exited by itself. 126 or 127 for startFailed, as in a shell. Else null. */
  code: z.number().int().nullable(),
  /** The name of the signal that ended the process, such as `SIGKILL`; else null. */
  signal: z.string().nullable(),
  /** Unix ms; null if it never started. */
  startedAt: z.number().nullable(),
  endedAt: z.number(),
  /** Of the process and the children that it waited for. Only from a launcher with the feature `rusage`. */
  rusage: z.object({ userMs: z.number(), systemMs: z.number(), maxRssBytes: z.number() }).optional(),
  /** The kernel killed a process of the run because memory ran out. The command itself may have succeeded. */
  oom: z.boolean().optional(),
  /** A limit of processes kept the run from starting one. */
  pidsRefused: z.boolean().optional(),
  /** The processes that outlived the command. */
  leftovers: leftovers.optional(),
  /** `bytes` are in the spool. `cut` were above the limit, or could not be written, and are lost. */
  stdout: streamCount,
  stderr: streamCount,
  /** Why some output could not be written, such as `ENOSPC`. */
  spoolError: z.string().optional(),
  /** The last 512 bytes of both streams, in order of arrival, as UTF-8 that starts at a whole character. */
  tail: z.string(),
  /** The last `told` line in the notes of the run. */
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

/** A run as the launcher knows it. `record` is set once it has ended. */
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

/** Messages that the launcher sends unasked. After a reconnect it sends the latest event of every run again. */
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
  /** Differs after a restart of the launcher, and after a reboot. */
  instance: z.string(),
  pid: z.number().int(),
  /** The launcher's CLOCK_BOOTTIME in ms. */
  boottime: z.number(),
  features: z.array(z.string()),
  /** The value of `--build` at its start. */
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
  /** Whole chunks of the spool: base64, or bytes if `parseMessage` has decoded them. */
  data: z.union([z.string(), z.instanceof(Buffer)]),
  /** The offset of the next read. */
  next: z.number(),
  /** The run has ended, and no output follows `next`. */
  end: z.boolean(),
  /** Why the spool cannot be read. An older launcher closes the connection instead. */
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
