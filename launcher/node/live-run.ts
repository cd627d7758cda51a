import type { Socket } from 'node:net'
import type { Clock } from '../../platform/clock.ts'
import type { Command } from './command.ts'
import type { Notes } from './notes.ts'
import { emitRest, type OutputReader } from './pipes.ts'
import { type Root, readProcess } from './process-table.ts'
import type { Arm, EndCause, Output } from './protocol.ts'
import { signalGroup, type TreeSignaller } from './signal-tree.ts'
import type { Spool } from './spool.ts'
import type { Stream } from './spool-format.ts'

/** A pipe that a grandchild holds open is given up when nothing came for so long … */
const QUIET_MS = 250
/** … or in any case so long after the command's end. */
const LONGEST_DRAIN_MS = 2_000
const DRAIN_STEP_MS = 25
/** Whoever runs something elsewhere may say so long after that was killed what it still said, and how it ended. */
const SPARED_MS = 2_000

export interface Outcome {
  cause: EndCause
  code: number | null
  signal: string | null
  endedAt: number
  output: Output
  told?: string | undefined
}

/**
 * A command while it runs:
 *
 *     started ──deadline, kill──> SIGTERM ──grace──> SIGKILL ──┐
 *        │ └──────────fence────────────────────────> SIGKILL ──┤
 *        └─────────────────────exits───────────────────────────┴──> the rest of its tree killed, output drained, ended
 *
 * The first cause of an end is the one that is recorded.
 */
export class LiveRun {
  readonly pid: number
  readonly ticks: number | null
  readonly startedAt: number
  /** Resolves when the command has ended and its output is in the spool. */
  readonly ended: Promise<Outcome>
  readonly #clock: Clock
  readonly #signaller: TreeSignaller
  readonly #root: Root
  readonly #spool: Spool
  readonly #pipes: OutputReader[]
  readonly #over = new AbortController()
  #cause: EndCause | undefined
  #terminated = false
  #killed = false
  readonly #closed: Promise<unknown>
  #open = 2
  #lastOutput = 0

  constructor(
    command: Command,
    arm: Arm,
    deps: { clock: Clock; signaller: TreeSignaller; spool: Spool; notes: Notes | undefined },
  ) {
    this.#clock = deps.clock
    this.#signaller = deps.signaller
    this.#spool = deps.spool
    this.pid = command.pid
    this.startedAt = command.startedAt
    this.ticks = readProcess(command.pid)?.ticks ?? null
    const { pid, ticks } = this
    this.#root = { pid, ticks, mark: arm.mark, isGroupKnown: true, strays: new Map(), notes: deps.notes }
    this.#signaller.watch(this.#root)
    this.#pipes = [command.stdout, command.stderr]
    this.#closed = Promise.all([
      this.#collect(command.stdout.stream, 'stdout'),
      this.#collect(command.stderr.stream, 'stderr'),
    ])
    this.#spool.onDrain = () => this.#pipes.forEach(({ stream }) => stream.resume())
    this.ended = new Promise((resolve, reject) => {
      command.child.once('exit', (code, signal) => void this.#finish(code, signal).then(resolve, reject))
    })
    if (arm.deadlineMs !== undefined)
      this.#after(arm.deadlineMs, () => this.end({ kind: 'timedOut' }, arm.graceMs))
  }

  /**
   * SIGTERM to the whole tree and SIGKILL after the grace, to who runs something elsewhere after that; without grace SIGKILL at once.
   * Repeating it does no harm.
   */
  end(cause: EndCause, graceMs: number) {
    if (this.#over.signal.aborted) return
    this.#cause ??= cause
    if (graceMs <= 0) {
      // Also who was killed before, but spared.
      this.#root.sparedUntil = undefined
      this.#killed = false
      return this.#kill()
    }
    if (this.#terminated) return
    this.#terminated = true
    this.#signaller.terminate(this.#root)
    this.#after(graceMs, () => {
      // It was asked to end: it starts nothing any more.
      if (!this.#killed && this.#root.notes?.hasGroups)
        this.#root.sparedUntil = this.#clock.monotonic() + SPARED_MS
      this.#kill()
    })
  }

  #kill() {
    if (this.#killed) return
    this.#killed = true
    void this.#signaller.kill(this.#root)
  }

  /** For the launcher's own last breath: no timer, no wait. */
  killNow() {
    signalGroup(this.pid, 'SIGKILL')
  }

  #after(ms: number, act: () => void) {
    this.#clock.sleep(ms, this.#over.signal).then(act, () => {})
  }

  /** Resolves when the pipe is closed at both ends. */
  #collect(stream: Socket, name: Stream): Promise<void> {
    stream.on('data', (data: Buffer) => {
      this.#lastOutput = this.#clock.monotonic()
      if (!this.#spool.push(name, this.#clock.now(), data)) this.#pipes.forEach(each => each.stream.pause())
    })
    stream.on('error', () => {})
    return new Promise(resolve => {
      stream.once('close', () => {
        this.#open--
        resolve()
      })
    })
  }

  async #finish(code: number | null, signal: NodeJS.Signals | null): Promise<Outcome> {
    const endedAt = this.#clock.now()
    this.#over.abort()
    this.#signaller.unwatch(this.#root)
    signalGroup(this.pid, 'SIGKILL')
    if (this.#cause) void this.#signaller.kill(this.#root)
    else void this.#signaller.sweep(this.#root)
    const told = this.#root.notes?.readTold()
    await this.#root.notes?.clearGroups(this.#clock)
    await Promise.race([this.#closed, this.#quiet()])
    for (const pipe of this.#pipes) {
      emitRest(pipe)
      pipe.stream.destroy()
    }
    const output = await this.#spool.finish(this.#clock.now())
    const own: EndCause = signal ? { kind: 'signaled', signal } : { kind: 'exited', code: code ?? 0 }
    return { cause: this.#cause ?? own, code, signal, endedAt, output, told }
  }

  /** Resolves when nothing more is to be expected from who still holds a pipe after the command's end. */
  async #quiet() {
    const latest = this.#clock.monotonic() + LONGEST_DRAIN_MS
    this.#lastOutput = Math.max(this.#lastOutput, this.#clock.monotonic())
    await this.#clock.sleep(DRAIN_STEP_MS)
    if (this.#open > 0) void this.#signaller.kill(this.#root)
    while (this.#open > 0 && this.#clock.monotonic() < latest && !(await this.#isQuiet()))
      await this.#clock.sleep(DRAIN_STEP_MS)
  }

  /** Judged after a turn of the event loop, which may bring what came while the loop stood still. */
  async #isQuiet(): Promise<boolean> {
    await new Promise(resolve => setImmediate(resolve))
    return this.#spool.pending === 0 && this.#clock.monotonic() - this.#lastOutput > QUIET_MS
  }
}
