import type { Log } from '../../platform/log.ts'
import { createSemaphore } from '../../platform/semaphore.ts'
import { type Loss, type LossLine, lineOf } from './loss-file.ts'
import { LOSSES_PER_FILE, type LossJournal, openLossJournal } from './loss-journal.ts'

/**
 * Output that was dropped before it was stored. Each loss is recorded on disk before its spool is deleted, and kept until the operator has
 * stored it. If the operator is down for long, there may be millions.
 *
 * If the disk is full, the spool is deleted all the same, because nothing else would free space. Its loss is then deferred: it is kept in
 * memory until the disk has space.
 */
export interface Losses {
  /** Whether there may be losses to report other than `except`. */
  hasMore(except: ReadonlySet<Loss>): boolean
  /** Looks in memory only. A loss that is not found and is recorded again is reported twice, which changes nothing. */
  has(launch: string): boolean
  /** The oldest losses, without `except`. */
  first(count: number, except: ReadonlySet<Loss>): Promise<Loss[]>
  /** Records losses on disk, or in memory if the disk is full. Returns how many it recorded: the last ones may exceed the limit. */
  add(losses: readonly Loss[]): Promise<number>
  /** Writes the deferred losses to disk if it has space now. */
  writeDeferred(): Promise<void>
  /** The operator has stored these. */
  acknowledge(launches: readonly string[]): Promise<void>
}

export interface LossesOptions {
  /** The first file. */
  path: string
  /** Limit of all files. */
  maxBytes: number
  log: Log
}

const MAX_IN_MEMORY = 50_000
const MAX_DEFERRED = LOSSES_PER_FILE
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT'])
const NEVER = new AbortController().signal

export async function openLosses({ path, maxBytes, log }: LossesOptions): Promise<Losses> {
  const deferred = new Map<string, LossLine>()
  const memoryLimit = () => MAX_IN_MEMORY - deferred.size
  return new JournaledLosses(await openLossJournal({ path, log, memoryLimit }), deferred, maxBytes)
}

class JournaledLosses implements Losses {
  readonly #journal: LossJournal
  /** By launch: losses that a full disk rejected. */
  readonly #deferred: Map<string, LossLine>
  readonly #maxBytes: number
  /** One change at a time: two at once would overwrite each other's files. */
  readonly #oneAtATime = createSemaphore(1)

  constructor(journal: LossJournal, deferred: Map<string, LossLine>, maxBytes: number) {
    this.#journal = journal
    this.#deferred = deferred
    this.#maxBytes = maxBytes
  }

  hasMore(except: ReadonlySet<Loss>) {
    return this.#journal.loaded + this.#deferred.size > except.size || this.#journal.canLoad
  }

  has(launch: string) {
    return this.#deferred.has(launch) || this.#journal.has(launch)
  }

  first(count: number, except: ReadonlySet<Loss>) {
    return this.#oneAtATime.run(async () => {
      for (;;) {
        const found = this.#journal.first(count, except)
        if (found.length === count) return found
        if (await this.#journal.loadNext()) continue
        const deferred = [...this.#deferred.values()].map(({ loss }) => loss)
        return [...found, ...deferred.filter(loss => !except.has(loss)).slice(0, count - found.length)]
      }
    }, NEVER)
  }

  add(losses: readonly Loss[]) {
    return this.#oneAtATime.run(async () => {
      const lines = fitting(losses, this.#maxBytes - this.#journal.bytes)
      if (lines.length === 0) return 0
      if (this.#deferred.size === 0 && (await this.#write(lines))) return lines.length
      const deferred = lines.slice(0, MAX_DEFERRED - this.#deferred.size)
      for (const line of deferred) this.#deferred.set(line.loss.launch, line)
      return deferred.length
    }, NEVER)
  }

  writeDeferred() {
    return this.#oneAtATime.run(async () => {
      const isWritten = this.#deferred.size > 0 && (await this.#write([...this.#deferred.values()]))
      if (isWritten) this.#deferred.clear()
    }, NEVER)
  }

  acknowledge(launches: readonly string[]) {
    return this.#oneAtATime.run(async () => {
      for (const launch of launches) this.#deferred.delete(launch)
      await this.#journal.remove(launches)
    }, NEVER)
  }

  /** Returns false if the disk is full. */
  async #write(lines: readonly LossLine[]): Promise<boolean> {
    try {
      await this.#journal.append(lines)
      return true
    } catch (error) {
      if (DISK_FULL.has((error as NodeJS.ErrnoException).code ?? '')) return false
      throw error
    }
  }
}

/** The first losses whose lines fit in `maxBytes`. */
function fitting(losses: readonly Loss[], maxBytes: number): LossLine[] {
  const lines: LossLine[] = []
  let left = maxBytes
  for (const line of losses.map(lineOf)) {
    left -= Buffer.byteLength(line.text)
    if (left < 0) break
    lines.push(line)
  }
  return lines
}
