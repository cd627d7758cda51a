import { type BatchPiece, MAX_BATCH_BYTES } from '../../core/output/batch.ts'
import { SpoolUnreadable } from '../launcher/answers.ts'
import type { Launcher } from '../launcher/launcher.ts'
import { createDelivery, type Deliver, type DeliveryOptions, type Taken } from './delivery.ts'
import type { Launch, Launches } from './launches.ts'
import type { Losses } from './losses.ts'
import { nextPiece, pieceOfLoss } from './pieces.ts'

/**
 * Brings output to the operator, one batch at a time: what is held in memory is one batch.
 *
 *   something is there ─▶ gather for a moment ─▶ give way to what starts ─▶ read of each a part ─▶ send, until answered ─▶ from where to go on
 *
 * A launch that runs and has no more is waited for with a read of no length. What the answer says is stored is believed, whatever was
 * sent: after a restart of ours, a lost answer, a log store that was restored.
 */
export interface Shipper {
  /** There may be something of it to be sent. */
  look(launch: Launch): void
  /** It has only just started: most are over before a question about them would be answered. */
  lookLater(launch: Launch): void
  /** undefined: there is none now. */
  use(launcher: Launcher | undefined): void
  /** Losses may be there. */
  wake(): void
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
const YOUNG_MS = 100
/** What is read of one batch, about; a part of each of so many launches at a time. */
const TARGET_BYTES = 1024 * 1024
const LEAST_PART_BYTES = 16 * 1024
const WAVE = 48
const MOST_PIECES = 1_000
/** Beside the chunks: what a batch says of each piece. */
const ROOM_FOR_HEADER = 1024 * 1024
/** Who starts a thousand commands at once is not kept from it; but what runs has output too, ms. */
const LONGEST_WAY_MS = 3_000
const LOOK_AGAIN_MS = 20
const WAIT_MS = 60_000

interface Sending {
  launch: Launch | undefined
  /** Of a loss. */
  told?: string
  piece: BatchPiece
}

export function createShipper(options: ShipperOptions): Shipper {
  return new OneAtATime(options)
}

class OneAtATime implements Shipper {
  readonly #options: ShipperOptions
  readonly #ready = new Set<Launch>()
  readonly #waiting = new Set<Launch>()
  readonly #young: { launch: Launch; at: number }[] = []
  #launcher: Launcher | undefined
  readonly #deliver: Deliver
  #bell = Promise.withResolvers<void>()

  constructor(options: ShipperOptions) {
    this.#options = options
    this.#deliver = createDelivery(options)
  }

  look(launch: Launch) {
    this.#ready.add(launch)
    this.#bell.resolve()
  }

  lookLater(launch: Launch) {
    this.#young.push({ launch, at: this.#options.clock.monotonic() + YOUNG_MS })
    this.#bell.resolve()
  }

  use(launcher: Launcher | undefined) {
    this.#launcher = launcher
    this.#waiting.clear()
    this.#bell.resolve()
  }

  wake() {
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
    this.#grownUp()
    if (!this.#hasWork()) {
      if (this.#young.length === 0) await this.#bell.promise
      else await clock.sleep(GATHER_MS, signal)
      this.#bell = Promise.withResolvers()
      return
    }
    await clock.sleep(GATHER_MS, signal)
    await this.#giveWay(signal)
    // Without a pause as long as there is more than one batch.
    for (let isFull = true; isFull && !signal.aborted; ) {
      const batch = await this.#collect()
      if (batch.length === 0) return
      const pieces = batch.map(({ piece }) => piece)
      this.#take(batch, await this.#deliver(pieces, signal))
      isFull = batch.reduce((sum, { piece }) => sum + piece.chunks.length, 0) >= TARGET_BYTES / 2
    }
  }

  #hasWork(): boolean {
    return this.#options.losses.size > 0 || (this.#ready.size > 0 && this.#launcher !== undefined)
  }

  #grownUp() {
    const now = this.#options.clock.monotonic()
    const still = this.#young.findIndex(({ at }) => at > now)
    const old = this.#young.splice(0, still < 0 ? this.#young.length : still)
    for (const { launch } of old) if (launch.isRunning) this.#wait(launch)
  }

  async #giveWay(signal: AbortSignal) {
    const { launches, clock } = this.#options
    const until = clock.monotonic() + LONGEST_WAY_MS
    while (launches.isStarting(clock.now()) && clock.monotonic() < until)
      await clock.sleep(LOOK_AGAIN_MS, signal)
  }

  async #collect(): Promise<Sending[]> {
    const batch = this.#options.losses
      .first(MOST_PIECES)
      .map((loss): Sending => ({ launch: undefined, told: loss.launch, piece: pieceOfLoss(loss) }))
    let bytes = 0
    while (bytes < TARGET_BYTES && batch.length < MOST_PIECES && this.#ready.size > 0) {
      const launcher = this.#launcher
      if (!launcher) break
      const wave = firstOf(this.#ready, WAVE)
      for (const launch of wave) this.#ready.delete(launch)
      const part = Math.max(LEAST_PART_BYTES, TARGET_BYTES / wave.length)
      const read = await Promise.all(wave.map(launch => this.#read(launch, launcher, part)))
      for (const each of read) {
        if (!each?.launch) continue
        if (bytes + each.piece.chunks.length > MAX_BATCH_BYTES - ROOM_FOR_HEADER) this.look(each.launch)
        else {
          bytes += each.piece.chunks.length
          batch.push(each)
        }
      }
    }
    return batch
  }

  async #read(launch: Launch, launcher: Launcher, bytes: number): Promise<Sending | undefined> {
    if (launch.acknowledged) return undefined
    try {
      const piece = await nextPiece(launch, launcher, bytes)
      if (piece) return { launch, piece }
      if (launch.isRunning) this.#wait(launch)
    } catch (error) {
      if (error instanceof SpoolUnreadable) {
        // One that runs is looked at again when it ends.
        if (launch.record) this.#options.onUnreadable(launch, error.message)
        return undefined
      }
      // The launcher went: the next one tells of it again, or it is still there then.
      if (launcher === this.#launcher) this.#launcher = undefined
      this.#ready.add(launch)
    }
    return undefined
  }

  #wait(launch: Launch) {
    const launcher = this.#launcher
    if (!launcher) this.#ready.add(launch)
    if (!launcher || launch.from === undefined || this.#waiting.has(launch)) return
    this.#waiting.add(launch)
    void launcher.read(launch.id, { offset: launch.from, length: 0, waitMs: WAIT_MS }).then(
      ({ end }) => {
        if (launcher !== this.#launcher) return
        this.#waiting.delete(launch)
        // Its end is told by an event, and looked at then.
        if (launch.isRunning && !end) this.look(launch)
      },
      () => undefined,
    )
  }

  #take(batch: readonly Sending[], answers: readonly Taken[]) {
    const done: Launch[] = []
    const told: string[] = []
    for (const [index, { launch, told: loss, piece }] of batch.entries()) {
      const answer = answers[index]
      if (!answer) continue
      if (answer.refused) this.#options.log.error({ run: piece.run, why: answer.refused }, 'output.refused')
      if (loss !== undefined) told.push(loss)
      if (launch && this.#isOver(launch, piece, answer)) done.push(launch)
    }
    this.#options.launches.acknowledge(done)
    if (told.length > 0)
      this.#options.losses.told(told).catch(error => {
        // They are told again: the operator knows them by then.
        this.#options.log.warn({ error: String(error) }, 'output.lossKept')
      })
  }

  /** Whether nothing more of it is to be sent; else it is looked at again when there is. */
  #isOver(launch: Launch, piece: BatchPiece, answer: Taken): boolean {
    if (answer.isMalformed) {
      // One that runs is looked at again when it ends.
      if (launch.record) this.#options.onUnreadable(launch, answer.refused ?? '')
      return false
    }
    launch.from = answer.stored
    if (answer.refused || answer.ended || (piece.end && answer.stored >= piece.next)) return true
    if (launch.isRunning) this.#wait(launch)
    else if (!launch.acknowledged) this.look(launch)
    return false
  }
}

function firstOf<T>(all: Iterable<T>, count: number): T[] {
  const first: T[] = []
  for (const each of all) if (first.push(each) === count) break
  return first
}
