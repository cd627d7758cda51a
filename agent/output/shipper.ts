import type { Launcher } from '../launcher/launcher.ts'
import { SpoolUnreadable } from '../launcher/pending-answers.ts'
import { type ApplyAnswers, createApplyAnswers } from './apply-answers.ts'
import { createBatchBuffer } from './batch-buffer.ts'
import { gatherBatch, type ReadLaunch, TARGET_BYTES } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Launches } from './launches.ts'
import type { Losses } from './losses.ts'
import { nextPiece } from './next-piece.ts'
import { createRunningLaunches, type RunningLaunches } from './running-launches.ts'
import { createSender, type SenderOptions, type SendUntilAnswered } from './send-until-answered.ts'
import { createUnknownAttempts, type UnknownAttempts } from './unknown-attempts.ts'

/**
 * Ships output and losses to the operator, one batch at a time, so that memory holds one batch.
 *
 *   work is queued ─▶ wait 50 ms for more ─▶ yield to starting launches ─▶ gather a batch ─▶ send until answered ─▶ apply the answers
 *
 * A running launch without more output is polled (running-launches.ts). An attempt that the operator does not know yet is retried
 * (unknown-attempts.ts).
 */
export interface Shipper {
  /** Queues a launch that may have output to send. */
  enqueue(launch: Launch): void
  /** Queues a launch that has only just started, after a delay. */
  enqueueNew(launch: Launch): void
  /** undefined: no launcher is connected. */
  setLauncher(launcher: Launcher | undefined): void
  /** There may be losses to report. */
  notify(): void
  /** Resolves when the signal has aborted. Rejects only because of a bug. */
  run(signal: AbortSignal): Promise<void>
}

export interface ShipperOptions extends SenderOptions {
  launches: Launches
  losses: Losses
  /** The agent or the operator cannot read the output of the launch: the part that is not stored is lost. */
  onUnreadable(launch: Launch, why: string): void
}

const GATHER_MS = 50
/** Output waits for starting launches at most this long: a thousand starts must not stop the output of what runs, ms. */
const MAX_YIELD_MS = 3_000
const YIELD_POLL_MS = 20

export function createShipper(options: ShipperOptions): Shipper {
  return new BatchShipper(options)
}

class BatchShipper implements Shipper {
  readonly #options: ShipperOptions
  readonly #ready = new Set<Launch>()
  readonly #running: RunningLaunches
  readonly #buffer = createBatchBuffer(2 * TARGET_BYTES)
  readonly #send: SendUntilAnswered
  readonly #unknownAttempts: UnknownAttempts
  readonly #applyAnswers: ApplyAnswers
  #launcher: Launcher | undefined
  #notification = Promise.withResolvers<void>()

  constructor(options: ShipperOptions) {
    const enqueue = (launch: Launch) => this.enqueue(launch)
    this.#options = options
    this.#send = createSender(options)
    this.#running = createRunningLaunches({ clock: options.clock, onMore: enqueue })
    this.#unknownAttempts = createUnknownAttempts({
      ...options,
      onRetry: launches => {
        for (const launch of launches) this.enqueue(launch)
        this.notify()
      },
    })
    const poll = (launch: Launch) => this.#running.poll(launch)
    this.#applyAnswers = createApplyAnswers({
      ...options,
      unknownAttempts: this.#unknownAttempts,
      enqueue,
      poll,
    })
  }

  enqueue(launch: Launch) {
    this.#ready.add(launch)
    this.notify()
  }

  enqueueNew(launch: Launch) {
    this.#running.schedule(launch)
    this.notify()
  }

  setLauncher(launcher: Launcher | undefined) {
    this.#launcher = launcher
    this.#running.setLauncher(launcher)
    this.notify()
  }

  notify() {
    this.#notification.resolve()
  }

  async run(signal: AbortSignal) {
    const stop = () => this.notify()
    signal.addEventListener('abort', stop)
    try {
      while (!signal.aborted) await this.#round(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #round(signal: AbortSignal) {
    const { clock } = this.#options
    this.#running.pollDue()
    if (!this.#hasWork()) {
      if (this.#running.hasScheduled) await clock.sleep(GATHER_MS, signal)
      else await this.#notification.promise
      this.#notification = Promise.withResolvers()
      return
    }
    await clock.sleep(GATHER_MS, signal)
    await this.#yieldToStarts(signal)
    await this.#shipAll(signal)
  }

  #hasWork(): boolean {
    return (
      this.#options.losses.hasMore(this.#unknownAttempts.pendingLosses) ||
      (this.#ready.size > 0 && this.#launcher !== undefined)
    )
  }

  async #yieldToStarts(signal: AbortSignal) {
    const { launches, clock } = this.#options
    const until = clock.monotonic() + MAX_YIELD_MS
    while (launches.isStarting(clock.now()) && clock.monotonic() < until)
      await clock.sleep(YIELD_POLL_MS, signal)
  }

  /** Ships batch after batch without a pause, until one is not full. */
  async #shipAll(signal: AbortSignal) {
    for (let isFull = true; isFull && !signal.aborted; ) {
      const batch = await gatherBatch({
        losses: this.#options.losses,
        pendingLosses: this.#unknownAttempts.pendingLosses,
        ready: this.#ready,
        reader: () => this.#launcher && this.#readerOf(this.#launcher),
      })
      if (batch.length === 0) break
      const pieces = batch.map(({ piece }) => piece)
      const unknown = this.#applyAnswers(batch, await this.#send(pieces, signal))
      this.#unknownAttempts.retryLater(unknown, signal)
      isFull = pieces.reduce((sum, { chunks }) => sum + chunks.length, 0) >= TARGET_BYTES / 2
      this.#buffer.clear()
    }
    this.#buffer.release()
  }

  #readerOf(launcher: Launcher): ReadLaunch {
    return async (launch, bytes) => {
      if (launch.acknowledged) return undefined
      try {
        const piece = await nextPiece(launch, launcher, { bytes, buffer: this.#buffer })
        if (!piece && launch.isRunning) this.#running.poll(launch)
        return piece
      } catch (error) {
        this.#onReadFailed(launch, launcher, error)
        return undefined
      }
    }
  }

  #onReadFailed(launch: Launch, launcher: Launcher, error: unknown) {
    if (error instanceof SpoolUnreadable) {
      // A running launch is read again when it ends.
      if (launch.record && !launch.acknowledged) this.#options.onUnreadable(launch, error.message)
      return
    }
    // The connection ended. The launch is read again on the next connection.
    if (launcher === this.#launcher) this.setLauncher(undefined)
    this.#ready.add(launch)
  }
}
