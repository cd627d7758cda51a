import type { Arm, LauncherEvent, LauncherRun } from './messages.ts'

interface ReadRequest {
  /** A position in the spool: 0, or `next` of an earlier read. */
  offset: number
  /**
   * At most this many bytes of spool, but at least one chunk if there is one. 0: only waits for a chunk and returns none; an older launcher
   * returns one.
   */
  length: number
  /** Only chunks of this stream. `next` is still a position in the whole spool. */
  stream?: 'stdout' | 'stderr'
  /** If there is no chunk and the run has not ended, waits at most this long for one. */
  waitMs?: number
}

interface ReadResult {
  /** Whole chunks (core/output/chunks.ts). */
  bytes: Uint8Array
  next: number
  /** The run has ended, and no output follows `next`. */
  end: boolean
}

/**
 * A connection to the launcher. Orders are sent in the order of the calls and answered by events. `onClosed` reports a lost connection;
 * the owner then connects again and compares `runs()`.
 */
export interface Launcher {
  /** Identifies one process of the launcher: after a restart it differs. */
  readonly instance: string
  readonly implementation: string
  /** `LauncherProgram.build` of the agent that started the launcher. Undefined if that was not given. */
  readonly build: string | undefined
  readonly pid: number
  /** `resources`, `tty`, `notes`, `rusage`, `oom`. An arm that needs a missing feature is refused as `Unsupported`. */
  readonly features: ReadonlySet<string>
  /** Answered by `armed` or `refused`, then `started` and `ended`. Arming the same id again has no effect. */
  arm(runs: readonly Arm[]): void
  /** Ends armed runs as `cancelled`. Running ones continue. */
  cancel(ids: readonly string[]): void
  /** Sends SIGTERM to the whole tree, and SIGKILL after the run's grace period. An armed run ends without a start. */
  kill(ids: readonly string[], reason: string): void
  /** The runs of this session may live until `untilBoottimeMs` (see `boottimeMs()`). A later call can raise or lower it. */
  fence(session: string, untilBoottimeMs: number): void
  runs(signal?: AbortSignal): Promise<LauncherRun[]>
  /** Says that these exit records are stored, so the launcher may delete the runs and their spools. */
  forget(ids: readonly string[]): void
  /** Rejects with SpoolUnreadable (pending-answers.ts) if this spool cannot be read, and with another error if the connection ends. */
  read(id: string, request: ReadRequest, signal?: AbortSignal): Promise<ReadResult>
  /** Events before the first listener are kept for it. Returns a function that removes the listener. */
  onEvent(listener: (event: LauncherEvent) => void): () => void
  /** Called once, at once if the connection is already closed, but not after `close`. `reason`: Replaced, or the error of the socket. */
  onClosed(listener: (reason: string) => void): () => void
  /** Resolves when the launcher has ended: once it is idle, or at once after it has killed every run. */
  stop(whenIdle: boolean): Promise<void>
  close(): void
}
