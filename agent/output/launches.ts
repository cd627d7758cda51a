import type { Arm, ExitRecord, LauncherEvent, LauncherRun } from '../launcher/messages.ts'
import { attemptOf } from './attempt-labels.ts'
import { costOf, type Launch, newLaunch } from './launch.ts'

/**
 * The launches that the launcher holds. The launcher forgets a launch when both its result is recorded and its output is stored, in
 * either order:
 *
 *   armed ─▶ running ─▶ ended ──┬─ its result is recorded (recordResults) ──┬─▶ forgotten
 *                               └─ its output is stored   (acknowledge)   ──┘
 */
export interface Launches {
  /** Whether the result of the launch is recorded: how it ended, or that it did not start. */
  isResultRecorded(id: string): boolean
  /** Whether a launch is about to start. Other work on the processor would delay it. */
  isStarting(now: number): boolean
  /**
   * The launches to drop so that unacknowledged output fits in `bytes`: those that ended first. A launch whose result is not recorded
   * stays.
   */
  overQuota(bytes: number): Launch[]
  /** How many launches have ended and are not acknowledged. */
  readonly unacknowledged: number
  /** The agent arms these. */
  onArm(runs: readonly Arm[]): void
  onEvent(event: LauncherEvent): void
  /** A new connection: launches that it does not name before the end of `reconcile` no longer exist. */
  onConnected(): void
  /** Takes the launcher's list of all launches. */
  reconcile(runs: readonly LauncherRun[]): void
  recordResults(ids: readonly string[]): void
  acknowledge(launches: readonly Launch[]): void
}

export interface LaunchesOptions {
  /** Makes the launcher forget these launches and delete their spools. */
  forget(ids: string[]): void
  /** The launch is running, so there may be output. `isNew`: it has only just started. */
  onRunning(launch: Launch, isNew: boolean): void
  onEnded(launch: Launch): void
}

/** Applies however small the launches are: launcher and agent keep each in memory, and the launcher lists them on each new connection. */
const MAX_ENDED = 20_000
/** A launch that is later than this is not waiting for the processor, ms. */
const MAX_LATENESS_MS = 5_000
const STARTS_SOON_MS = 20

export function createLaunches(options: LaunchesOptions): Launches {
  return new LaunchTable(options)
}

class LaunchTable implements Launches {
  readonly #options: LaunchesOptions
  readonly #all = new Map<string, Launch>()
  /** Ended and not acknowledged, in the order of their ends. */
  readonly #ended = new Set<Launch>()
  /** When armed launches start, Unix ms. */
  readonly #startTimes = new Map<string, number>()
  /** Launches of the connection before, which this one has not named yet. */
  #unconfirmed = new Set<string>()
  /** What the ended launches cost. */
  #endedBytes = 0

  constructor(options: LaunchesOptions) {
    this.#options = options
  }

  get unacknowledged() {
    return this.#ended.size
  }

  isResultRecorded(id: string) {
    return this.#all.get(id)?.resultRecorded ?? false
  }

  isStarting(now: number) {
    for (const at of this.#startTimes.values())
      if (at <= now + STARTS_SOON_MS && at > now - MAX_LATENESS_MS) return true
    return false
  }

  overQuota(bytes: number) {
    const excess: Launch[] = []
    let remaining = this.#endedBytes
    const isOver = () => remaining > bytes || this.#ended.size - excess.length > MAX_ENDED
    if (!isOver()) return excess
    for (const launch of this.#ended) {
      if (!isOver()) break
      if (!launch.resultRecorded) continue
      remaining -= costOf(launch)
      excess.push(launch)
    }
    return excess
  }

  onArm(runs: readonly Arm[]) {
    for (const { id, at, labels } of runs) {
      this.#unconfirmed.delete(id)
      if (this.#all.has(id)) continue
      // It has not started, so the operator has stored nothing of it.
      this.#all.set(id, { ...newLaunch(id), attempt: attemptOf(labels), storedOffset: 0, storedBytes: 0 })
      this.#startTimes.set(id, at)
    }
  }

  onEvent(event: LauncherEvent) {
    const { id } = event
    this.#unconfirmed.delete(id)
    if (event.type !== 'armed') this.#startTimes.delete(id)
    if (event.type === 'refused' || event.type === 'unknown') this.#remove(id)
    else if (event.type === 'ended') this.#end(id, event.record)
    else if (event.type === 'started') this.#run(this.#launchOf(id, undefined))
  }

  onConnected() {
    this.#unconfirmed = new Set(this.#all.keys())
    for (const launch of this.#all.values()) launch.isRunning = false
  }

  reconcile(runs: readonly LauncherRun[]) {
    for (const { id, state, record, labels } of runs) {
      this.#unconfirmed.delete(id)
      if (record) {
        this.#end(id, record)
        continue
      }
      const launch = this.#launchOf(id, labels)
      if (launch.isRunning || state === 'running') this.#run(launch)
    }
    for (const id of this.#unconfirmed) this.#remove(id)
    this.#unconfirmed.clear()
  }

  recordResults(ids: readonly string[]) {
    const done = ids.filter(id => {
      const launch = this.#all.get(id)
      if (launch) launch.resultRecorded = true
      return !launch || this.#isDone(launch)
    })
    this.#forget(done)
  }

  acknowledge(launches: readonly Launch[]) {
    for (const launch of launches) {
      if (this.#ended.delete(launch)) this.#endedBytes -= costOf(launch)
      launch.acknowledged = true
    }
    this.#forget(launches.filter(launch => this.#isDone(launch)).map(({ id }) => id))
  }

  /** If an earlier agent armed the launch, its `started` event has no labels. Then `reconcile` calls this again, with the labels set. */
  #run(launch: Launch) {
    if (launch.record || (launch.isRunning && launch.storedOffset !== undefined)) return
    launch.isRunning = true
    this.#options.onRunning(launch, launch.storedOffset === 0)
  }

  #end(id: string, record: ExitRecord) {
    const launch = this.#launchOf(id, record.labels)
    if (launch.record) return
    launch.record = record
    launch.isRunning = false
    if (record.startedAt === null || !launch.attempt) return this.acknowledge([launch])
    this.#ended.add(launch)
    this.#endedBytes += costOf(launch)
    this.#options.onEnded(launch)
  }

  #launchOf(id: string, labels: Record<string, string> | undefined): Launch {
    const launch = this.#all.get(id) ?? newLaunch(id)
    launch.attempt ??= attemptOf(labels)
    this.#all.set(id, launch)
    return launch
  }

  #isDone({ record, resultRecorded, acknowledged }: Launch) {
    return record !== undefined && resultRecorded && acknowledged
  }

  #forget(ids: string[]) {
    if (ids.length === 0) return
    for (const id of ids) this.#remove(id)
    this.#options.forget(ids)
  }

  #remove(id: string) {
    const launch = this.#all.get(id)
    this.#all.delete(id)
    this.#startTimes.delete(id)
    if (launch && this.#ended.delete(launch)) this.#endedBytes -= costOf(launch)
  }
}
