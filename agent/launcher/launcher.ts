import type { Arm, LauncherEvent, LauncherRun } from './messages.ts'

interface ReadRequest {
  /** A position in the spool: 0, or `next` of an earlier read. */
  offset: number
  /**
   * At most so many bytes of spool, but always at least one chunk if there is one. 0: only waits until there is; an older launcher
   * answers with a chunk all the same.
   */
  length: number
  /** Only this stream's chunks; `next` stays a position in the whole spool. */
  stream?: 'stdout' | 'stderr'
  /** If nothing is there and the run goes on, wait at most so long for more. */
  waitMs?: number
}

interface ReadResult {
  /** Whole chunks (core/output/chunks.ts). */
  bytes: Uint8Array
  next: number
  /** The run has ended and nothing comes after `next`. */
  end: boolean
}

/**
 * A connection to the launcher. Orders are sent in the order given and answered by events; a lost connection is told by
 * `onClosed`, and whoever owns this connects anew and compares `runs()`.
 */
export interface Launcher {
  /** Another life of the launcher has another instance. */
  readonly instance: string
  readonly implementation: string
  /** Which program it is, as whoever started it said; undefined: that was not said. */
  readonly build: string | undefined
  readonly pid: number
  /** `resources`, `tty`, `notes`, `rusage`, `oom`: an arm that needs what the launcher lacks is refused as `Unsupported`. */
  readonly features: ReadonlySet<string>
  /** Arming the same id twice is arming it once. Answered by `armed` or `refused`, then `started`, `ended`. */
  arm(runs: readonly Arm[]): void
  /** Ends what is armed and not started, as `cancelled`; leaves what runs. */
  cancel(ids: readonly string[]): void
  /** SIGTERM to the whole tree, SIGKILL after the run's grace. What is only armed ends without a start. */
  kill(ids: readonly string[], reason: string): void
  /** Until `untilBoottimeMs` (`boottimeMs()`) the runs of this session may live; may be raised and lowered. */
  fence(session: string, untilBoottimeMs: number): void
  runs(signal?: AbortSignal): Promise<LauncherRun[]>
  /** The exit records of these are taken over and their spools may go. */
  forget(ids: readonly string[]): void
  /** Rejects with SpoolUnreadable (pending-answers.ts) if only this spool is the matter, else if the connection ends. */
  read(id: string, request: ReadRequest, signal?: AbortSignal): Promise<ReadResult>
  /** Events that came before the first listener are kept for it. Returns the way to stop listening. */
  onEvent(listener: (event: LauncherEvent) => void): () => void
  /** Called once, also if it is closed already; `close` does not count. `reason`: Replaced, or what the socket said. */
  onClosed(listener: (reason: string) => void): () => void
  /** Resolves when the launcher has ended: at its first idle moment, or at once with every run killed. */
  stop(whenIdle: boolean): Promise<void>
  close(): void
}
