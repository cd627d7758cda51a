import type { BatchPiece } from '../../core/output/batch.ts'
import { outputBytes } from '../../core/output/chunks.ts'
import type { Launcher } from '../launcher/launcher.ts'
import { SpoolUnreadable } from '../launcher/pending-answers.ts'
import { createBatchBuffer } from './batch-buffer.ts'
import { gatherBatch, type Read, type Sending, TARGET_BYTES } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Launches } from './launches.ts'
import type { Losses } from './losses.ts'
import { nextPiece } from './next-piece.ts'
import { createRunningLaunches, type RunningLaunches } from './running-launches.ts'
import { createSender, type Deliver, type DeliveryOptions, type Taken } from './send-until-answered.ts'
import { createUnknownAttempts, type UnknownAttempts } from './unknown-attempts.ts'

/**
 * Brings output to the operator, one batch at a time: what is held in memory is one batch.
 *
 *   something is there ─▶ gather for a moment ─▶ give way to what starts ─▶ read of each a part ─▶ send, until answered ─▶ from where to go on
 *
 * A launch that runs and has no more is waited for with a read of no length. What the answer says is stored is believed, whatever was
 * sent: after a restart of ours, a lost answer, a log store that was restored. What it does not know yet waits (unknown-attempts.ts).
 */
export interface Shipper {
  /** There may be something of it to be sent. */
  enqueue(launch: Launch): void
  /** It has only just started: most are over before a question about them would be answered. */
  enqueueNew(launch: Launch): void
  /** undefined: there is none now. */
  setLauncher(launcher: Launcher | undefined): void
  /** Losses may be there. */
  notify(): void
  /** Rejects only with a bug; resolves when the signal has aborted. */
  run(signal: AbortSignal): Promise<void>
}

export interface ShipperOptions extends DeliveryOptions {
  launches: Launches
  losses: Losses
  /** It cannot be read, or the operator cannot: what it wrote and is not stored is lost. */
  onUnreadable(launch: Launch, why: string): void
}

const GATHER_MS = 50
/** Who starts a thousand commands at once is not kept from it; but what runs has output too, ms. */
const LONGEST_WAY_MS = 3_000
const LOOK_AGAIN_MS = 20

export function createShipper(options: ShipperOptions): Shipper {
  return new OneAtATime(options)
}

class OneAtATime implements Shipper {
  readonly #options: ShipperOptions
  readonly #ready = new Set<Launch>()
  readonly #awaited: RunningLaunches
  readonly #room = createBatchBuffer(2 * TARGET_BYTES)
  readonly #deliver: Deliver
  readonly #patience: UnknownAttempts
  #launcher: Launcher | undefined
  #bell = Promise.withResolvers<void>()

  constructor(options: ShipperOptions) {
    this.#options = options
    this.#deliver = createSender(options)
    this.#awaited = createRunningLaunches({ clock: options.clock, onMore: launch => this.enqueue(launch) })
    this.#patience = createUnknownAttempts({
      ...options,
      again: launches => {
        for (const launch of launches) this.enqueue(launch)
        this.#bell.resolve()
      },
    })
  }

  enqueue(launch: Launch) {
    this.#ready.add(launch)
    this.#bell.resolve()
  }

  enqueueNew(launch: Launch) {
    this.#awaited.later(launch)
    this.#bell.resolve()
  }

  setLauncher(launcher: Launcher | undefined) {
    this.#launcher = launcher
    this.#awaited.use(launcher)
    this.#bell.resolve()
  }

  notify() {
    this.#bell.resolve()
  }

  async run(signal: AbortSignal) {
    const stop = () => this.#bell.resolve()
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
    this.#awaited.grownUp()
    if (!this.#hasWork()) {
      if (this.#awaited.hasYoung) await clock.sleep(GATHER_MS, signal)
      else await this.#bell.promise
      this.#bell = Promise.withResolvers()
      return
    }
    await clock.sleep(GATHER_MS, signal)
    await this.#giveWay(signal)
    // Without a pause as long as there is more than one batch.
    for (let isFull = true; isFull && !signal.aborted; ) {
      const batch = await this.#collect()
      if (batch.length === 0) break
      const pieces = batch.map(({ piece }) => piece)
      this.#patience.wait(this.#take(batch, await this.#deliver(pieces, signal)), signal)
      isFull = batch.reduce((sum, { piece }) => sum + piece.chunks.length, 0) >= TARGET_BYTES / 2
      this.#room.clear()
    }
    this.#room.release()
  }

  #hasWork(): boolean {
    return (
      this.#options.losses.hasMore(this.#patience.resting) ||
      (this.#ready.size > 0 && this.#launcher !== undefined)
    )
  }

  async #giveWay(signal: AbortSignal) {
    const { launches, clock } = this.#options
    const until = clock.monotonic() + LONGEST_WAY_MS
    while (launches.isStarting(clock.now()) && clock.monotonic() < until)
      await clock.sleep(LOOK_AGAIN_MS, signal)
  }

  #collect(): Promise<Sending[]> {
    return gatherBatch({
      losses: this.#options.losses,
      resting: this.#patience.resting,
      ready: this.#ready,
      reader: () => this.#launcher && this.#readerOf(this.#launcher),
    })
  }

  #readerOf(launcher: Launcher): Read {
    return async (launch, bytes) => {
      if (launch.acknowledged) return undefined
      try {
        const piece = await nextPiece(launch, launcher, { bytes, room: this.#room })
        if (!piece && launch.isRunning) this.#awaited.wait(launch)
        return piece
      } catch (error) {
        this.#notRead(launch, launcher, error)
        return undefined
      }
    }
  }

  #notRead(launch: Launch, launcher: Launcher, error: unknown) {
    if (error instanceof SpoolUnreadable) {
      // One that runs is looked at again when it ends.
      if (launch.record && !launch.acknowledged) this.#options.onUnreadable(launch, error.message)
      return
    }
    // The launcher went: the next one tells of it again, or it is still there then.
    if (launcher === this.#launcher) this.setLauncher(undefined)
    this.#ready.add(launch)
  }

  /** Answers what the operator does not know yet. */
  #take(batch: readonly Sending[], answers: readonly Taken[]): Sending[] {
    const done: Launch[] = []
    const told: string[] = []
    const unknown: Sending[] = []
    for (const [index, { of, piece }] of batch.entries()) {
      const answer = answers[index]
      if (!answer) continue
      if (answer.refused) this.#options.log.error({ run: piece.run, why: answer.refused }, 'output.refused')
      if (answer.later && this.#patience.isAwaited(of)) unknown.push({ of, piece })
      else if ('loss' in of) told.push(of.loss.launch)
      else if (this.#isOver(of.launch, piece, answer)) done.push(of.launch)
    }
    this.#options.launches.acknowledge(done)
    if (told.length > 0)
      this.#options.losses.acknowledge(told).catch(error => {
        // They are told again: the operator knows them by then.
        this.#options.log.warn({ error: String(error) }, 'output.lossKept')
      })
    return unknown
  }

  /** Whether nothing more of it is to be sent; else it is looked at again when there is. */
  #isOver(launch: Launch, piece: BatchPiece, answer: Taken): boolean {
    if (answer.isMalformed) {
      // One that runs is looked at again when it ends.
      if (launch.record) this.#options.onUnreadable(launch, answer.refused ?? '')
      return false
    }
    goOn(launch, piece, answer)
    if (answer.refused || answer.ended || (piece.end && answer.stored >= piece.next)) return true
    // Where it is not known how far it is there is nothing to wait for: that is asked next.
    if (launch.isRunning && launch.storedOffset !== undefined) this.#awaited.wait(launch)
    else if (!launch.acknowledged) this.enqueue(launch)
    return false
  }
}

/** From where the operator is, whatever was sent. */
function goOn(launch: Launch, { offset, next, chunks }: BatchPiece, { stored, bytes }: Taken) {
  if (launch.storedOffset === undefined) launch.storedBytes = bytes
  else if (stored === next && launch.storedBytes !== undefined) launch.storedBytes += outputBytes(chunks)
  // Where it is unexpected it is asked again: what it has there is not known.
  const isKnown = launch.storedOffset === undefined || stored === next || stored === offset
  launch.storedOffset = isKnown ? stored : undefined
}
