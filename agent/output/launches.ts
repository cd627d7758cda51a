import type { Arm, ExitRecord, LauncherEvent, LauncherRun } from '../launcher/messages.ts'
import { attemptOf } from './attempt-labels.ts'
import { costOf, type Launch, unknown } from './launch.ts'

/**
 * What the launcher has, as far as its output is concerned. A launch goes when both its result is recorded and its output is stored,
 * whichever comes first:
 *
 *   armed ─▶ running ─▶ ended ──┬─ settled (its result is recorded) ──┬─▶ forgotten
 *                               └─ acknowledged (its output is stored)┘
 */
export interface Launches {
  /** Somebody has yet to record how it ended, or that it did not start. */
  isSettled(id: string): boolean
  /** A launch is about to start: whoever else wants the processor now makes it late. */
  isStarting(now: number): boolean
  /** Those that have to go, as more has ended and is not acknowledged than so many bytes: the longest ended first, of what is settled. */
  beyond(bytes: number): Launch[]
  /** Ended and not acknowledged, settled or not. */
  readonly unacknowledged: number
  armed(runs: readonly Arm[]): void
  told(event: LauncherEvent): void
  /** A new connection: what it does not tell of until `listed` is gone. */
  attached(): void
  listed(runs: readonly LauncherRun[]): void
  settle(ids: readonly string[]): void
  acknowledge(launches: readonly Launch[]): void
}

export interface LaunchesOptions {
  /** Tells the launcher. */
  forget(ids: string[]): void
  /** It runs: there may be output. `isYoung`: it has only just started. */
  onRunning(launch: Launch, isYoung: boolean): void
  onEnded(launch: Launch): void
}

/** However small they are: the launcher and the agent hold each of them in memory, and the launcher tells of all to each new connection. */
const MOST = 20_000
/** One that is armed and so late has another reason than a busy processor, ms. */
const LATE_MS = 5_000
const SOON_MS = 20

export function createLaunches(options: LaunchesOptions): Launches {
  return new KnownLaunches(options)
}

class KnownLaunches implements Launches {
  readonly #options: LaunchesOptions
  readonly #all = new Map<string, Launch>()
  readonly #ended = new Set<Launch>()
  readonly #due = new Map<string, number>()
  #unconfirmed = new Set<string>()
  #heldBytes = 0

  constructor(options: LaunchesOptions) {
    this.#options = options
  }

  get unacknowledged() {
    return this.#ended.size
  }

  isSettled(id: string) {
    return this.#all.get(id)?.settled ?? false
  }

  isStarting(now: number) {
    for (const at of this.#due.values()) if (at <= now + SOON_MS && at > now - LATE_MS) return true
    return false
  }

  beyond(bytes: number) {
    const going: Launch[] = []
    let held = this.#heldBytes
    const isOver = () => held > bytes || this.#ended.size - going.length > MOST
    if (!isOver()) return going
    for (const launch of this.#ended) {
      if (!isOver()) break
      if (!launch.settled) continue
      held -= costOf(launch)
      going.push(launch)
    }
    return going
  }

  armed(runs: readonly Arm[]) {
    for (const { id, at, labels } of runs) {
      this.#unconfirmed.delete(id)
      if (this.#all.has(id)) continue
      // Nothing of it is stored: it has not begun.
      this.#all.set(id, { ...unknown(id), attempt: attemptOf(labels), from: 0, brought: 0 })
      this.#due.set(id, at)
    }
  }

  told(event: LauncherEvent) {
    const { id } = event
    this.#unconfirmed.delete(id)
    if (event.type !== 'armed') this.#due.delete(id)
    if (event.type === 'refused' || event.type === 'unknown') this.#remove(id)
    else if (event.type === 'ended') this.#end(id, event.record)
    else if (event.type === 'started') this.#run(this.#at(id, undefined))
  }

  attached() {
    this.#unconfirmed = new Set(this.#all.keys())
    for (const launch of this.#all.values()) launch.isRunning = false
  }

  listed(runs: readonly LauncherRun[]) {
    for (const { id, state, record, labels } of runs) {
      this.#unconfirmed.delete(id)
      if (record) {
        this.#end(id, record)
        continue
      }
      const launch = this.#at(id, labels)
      if (launch.isRunning || state === 'running') this.#run(launch)
    }
    for (const id of this.#unconfirmed) this.#remove(id)
    this.#unconfirmed.clear()
  }

  settle(ids: readonly string[]) {
    const gone = ids.filter(id => {
      const launch = this.#all.get(id)
      if (launch) launch.settled = true
      return !launch || this.#isDone(launch)
    })
    this.#forget(gone)
  }

  acknowledge(launches: readonly Launch[]) {
    for (const launch of launches) {
      if (this.#ended.delete(launch)) this.#heldBytes -= costOf(launch)
      launch.acknowledged = true
    }
    this.#forget(launches.filter(launch => this.#isDone(launch)).map(({ id }) => id))
  }

  /** Of one that an earlier agent armed only the list tells whose output it is: it is told of again then. */
  #run(launch: Launch) {
    if (launch.record || (launch.isRunning && launch.from !== undefined)) return
    launch.isRunning = true
    this.#options.onRunning(launch, launch.from === 0)
  }

  #end(id: string, record: ExitRecord) {
    const launch = this.#at(id, record.labels)
    if (launch.record) return
    launch.record = record
    launch.isRunning = false
    if (record.startedAt === null || !launch.attempt) return this.acknowledge([launch])
    this.#ended.add(launch)
    this.#heldBytes += costOf(launch)
    this.#options.onEnded(launch)
  }

  #at(id: string, labels: Record<string, string> | undefined): Launch {
    const launch = this.#all.get(id) ?? unknown(id)
    launch.attempt ??= attemptOf(labels)
    this.#all.set(id, launch)
    return launch
  }

  #isDone({ record, settled, acknowledged }: Launch) {
    return record !== undefined && settled && acknowledged
  }

  #forget(ids: string[]) {
    if (ids.length === 0) return
    for (const id of ids) this.#remove(id)
    this.#options.forget(ids)
  }

  #remove(id: string) {
    const launch = this.#all.get(id)
    this.#all.delete(id)
    this.#due.delete(id)
    if (launch && this.#ended.delete(launch)) this.#heldBytes -= costOf(launch)
  }
}
