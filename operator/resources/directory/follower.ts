import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Log } from '../../../platform/log.ts'
import type { Folder } from './folder.ts'
import { plan } from './plan.ts'
import type { ProblemReport } from './problem-report.ts'
import type { Records } from './records.ts'
import type { FileLookups } from './secrets.ts'

export interface FollowerOptions {
  directory: string
  folder: Folder
  records: Records
  lookups: Pick<FileLookups, 'check'>
  problems: ProblemReport
  clock: Clock
  log: Log
}

/** A change is read again after this, so that its writer can finish, ms. */
export const SETTLE_MS = 150
/** How often the directory is scanned when no file event arrives, ms. */
const POLL_MS = 1_000

/** Keeps the records in line with the files of the directory. */
export class Follower {
  readonly #options: FollowerOptions
  /** The state of folder and records that was applied last, and whether all files had been read then. */
  #applied = ''
  #wasSettled = false
  /** How long the last scan took, without what it led to. */
  #scanMs = 0
  #checkedAt: number

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#checkedAt = options.clock.monotonic()
  }

  /** ms since the directory was last scanned. */
  staleForMs(): number {
    return this.#options.clock.monotonic() - this.#checkedAt
  }

  /** Follows the directory until the signal aborts. The returned promise resolves once all its files are applied. */
  start(signal: AbortSignal): Promise<void> {
    const first = Promise.withResolvers<void>()
    void this.#follow(signal, first)
    return first.promise
  }

  async #follow(signal: AbortSignal, first: PromiseWithResolvers<void>): Promise<void> {
    const { folder, clock } = this.#options
    while (!signal.aborted) {
      const settled = await this.#tryScan()
      if (settled) first.resolve()
      // A large tree is scanned less often. How long etcd took does not count: an edit must not wait after its return.
      const rest = Math.min(Math.max(SETTLE_MS, 5 * this.#scanMs), POLL_MS)
      await clock.sleep(rest, signal).catch(() => undefined)
      if (settled) await folder.changed(POLL_MS, signal)
    }
    folder.close()
    first.reject(signal.reason)
  }

  async #tryScan(): Promise<boolean> {
    try {
      return await this.#scan()
    } catch (error) {
      const { directory, log } = this.#options
      log.warn({ directory, error: messageOf(error) }, 'directory.failed')
      return false
    }
  }

  /** True if everything in the directory is applied; otherwise it must be scanned again soon. */
  async #scan(): Promise<boolean> {
    const { folder, records, lookups, clock } = this.#options
    const startedAt = clock.monotonic()
    const settled = await folder.scan()
    this.#scanMs = clock.monotonic() - startedAt
    // Planned again only if something is different. An unread file alone changes nothing.
    const state = `${folder.version} ${records.removed}`
    if (state !== this.#applied || (settled && !this.#wasSettled)) {
      await this.#apply(settled)
      this.#applied = state
      this.#wasSettled = settled
    }
    const lookupsSettled = await lookups.check()
    this.#checkedAt = clock.monotonic()
    return settled && lookupsSettled
  }

  async #apply(settled: boolean): Promise<void> {
    const { folder, records, problems, clock } = this.#options
    const { files, unreadable } = folder
    await records.change(current => {
      const steps = plan({ records: current, files, unreadable, settled, now: clock.now() })
      problems.setOfFiles(steps.problems)
      return steps
    })
  }
}
