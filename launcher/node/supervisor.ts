import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { bootId } from '../../platform/boottime.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { parseArm } from './arm.ts'
import { startCommand } from './command.ts'
import { DueRuns } from './due.ts'
import { type Entry, infoOf, latestEvent, newEntry, recordOf } from './entry.ts'
import { Fences } from './fence.ts'
import { type Journal, silent } from './journal.ts'
import { LiveRun } from './live-run.ts'
import { killAllNoted, makeNotes, withNotes } from './notes.ts'
import type { Pipes } from './pipes.ts'
import type { Arm, EndCause, ExitRecord, LauncherEvent, RunInfo } from './protocol.ts'
import { rules } from './rules.ts'
import type { TreeSignaller } from './signal-tree.ts'
import { Spool, spoolName } from './spool.ts'

export interface SupervisorDeps {
  clock: Clock
  log: Log
  journal: Journal
  pipes: Pipes
  signaller: TreeSignaller
  spoolDir: string
  notesDir: string
}

/**
 * The runs of this machine:
 *
 *     armed ──its instant──> running ──> ended ──forget──> (gone)
 *       └──cancel, kill, fence, cannot be started──> ended
 *
 * An end is told when it is on the disk.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #entries = new Map<string, Entry>()
  readonly #due: DueRuns
  readonly #fences = new Fences()
  readonly #boot = bootId()
  readonly #stopped = Promise.withResolvers<void>()
  #stopping: 'no' | 'whenIdle' | 'now' = 'no'
  #tell: (event: LauncherEvent) => void = () => {}

  /** `left`: what has ended under an earlier launcher and is not forgotten. */
  constructor(deps: SupervisorDeps, left: readonly Entry[]) {
    this.#deps = deps
    this.#due = new DueRuns(deps.clock)
    for (const entry of left) this.#entries.set(entry.id, entry)
  }

  /** Resolves when it was told to stop and nothing is armed or running. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  set onEvent(listener: (event: LauncherEvent) => void) {
    this.#tell = listener
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  list(): RunInfo[] {
    return [...this.#entries.values()].map(infoOf)
  }

  /** Every run's latest event, for an agent that has just come. */
  latest(): LauncherEvent[] {
    return [...this.#entries.values()].map(latestEvent)
  }

  /** Starts what is due and enforces the fences, until the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#fences.watch(this.#deps.clock, session => this.#enforce(session), signal),
      this.#due.work(entry => this.#start(entry), signal),
    ])
  }

  arm(orders: readonly unknown[]) {
    const fresh: Entry[] = []
    for (const order of orders) {
      const arm = parseArm(order)
      if ('reason' in arm) this.#tell({ type: 'refused', ...arm })
      else fresh.push(...this.#admit(arm))
    }
    this.#announce(fresh)
    this.#due.add(fresh)
    this.#deps.pipes.prepare(fresh.length * 2).catch(() => {})
  }

  /** Lets the next launcher find what this one starts, however soon it dies. */
  #announce(fresh: readonly Entry[]) {
    const lines = fresh.flatMap(({ id, arm }) =>
      arm?.mark || arm?.notes ? [{ type: 'armed' as const, id, boot: this.#boot, mark: arm.mark ?? '' }] : [],
    )
    if (lines.length > 0) this.#deps.journal.append(...lines)
  }

  /** An order is admitted if it is new and its session may arm. One that is known is told again. */
  #admit(arm: Arm): Entry[] {
    const known = this.#entries.get(arm.id)
    if (known) {
      this.#tell(latestEvent(known))
      return []
    }
    const refusal =
      this.#stopping === 'now'
        ? { reason: 'Stopping', message: 'this launcher ends' }
        : this.#fences.refusal(arm.session)
    if (refusal) {
      this.#tell({ type: 'refused', id: arm.id, ...refusal })
      return []
    }
    const entry = newEntry(arm)
    this.#entries.set(arm.id, entry)
    this.#tell({ type: 'armed', id: arm.id })
    return [entry]
  }

  cancel(ids: readonly string[]) {
    for (const entry of this.#named(ids))
      if (!entry.live) this.#endUnstarted(entry, { kind: 'cancelled' }, null)
  }

  kill(ids: readonly string[], reason: string) {
    for (const entry of this.#named(ids))
      this.#end(entry, { kind: 'killed', reason }, entry.arm?.graceMs ?? 0)
  }

  fence(session: string, until: number) {
    this.#fences.set(session, until)
    if (this.#fences.isOver(session)) this.#enforce(session)
  }

  forget(ids: readonly string[]) {
    const gone = ids.filter(id => this.#entries.get(id)?.record)
    if (gone.length === 0) return
    for (const id of gone) {
      this.#entries.delete(id)
      for (const dir of [this.#deps.spoolDir, this.#deps.notesDir])
        rmSync(join(dir, spoolName(id)), { force: true })
    }
    this.#deps.journal.append({ type: 'forgotten', ids: gone })
    this.#fences.keep(new Set([...this.#entries.values()].map(entry => entry.session)))
  }

  stop(whenIdle: boolean) {
    if (this.#stopping !== 'now') this.#stopping = whenIdle ? 'whenIdle' : 'now'
    if (!whenIdle)
      for (const entry of this.#entries.values()) this.#end(entry, { kind: 'killed', reason: 'Stopped' }, 0)
    this.#stopIfIdle()
  }

  /** When the launcher breaks: nobody will be there to enforce deadlines and fences. */
  killAllNow() {
    for (const { live, record } of this.#entries.values()) if (!record) live?.killNow()
    killAllNoted(this.#deps.notesDir)
  }

  *#named(ids: readonly string[]): Generator<Entry> {
    for (const id of ids) {
      const entry = this.#entries.get(id)
      if (!entry) this.#tell({ type: 'unknown', id })
      else yield entry
    }
  }

  #end(entry: Entry, cause: EndCause, graceMs: number) {
    if (entry.live) entry.live.end(cause, graceMs)
    else this.#endUnstarted(entry, cause, null)
  }

  #enforce(session: string) {
    for (const entry of this.#entries.values()) {
      if (entry.session !== session || !entry.fenced || entry.isEnding) continue
      if (!entry.live && !rules.dropsArmed()) continue
      this.#end(entry, { kind: 'fenced' }, rules.graceMs(entry.arm?.graceMs ?? 0))
    }
  }

  async #start(entry: Entry) {
    const { arm, identity } = entry
    if (!arm) return
    if (identity && 'reason' in identity) return this.#failToStart(entry, { ...identity, code: null })
    const noResources = (error: unknown) =>
      this.#failToStart(entry, { reason: 'NoResources', message: messageOf(error), code: null })
    try {
      await this.#deps.pipes.prepare(2)
    } catch (error) {
      return noResources(error)
    }
    if (entry.fenced && this.#fences.isOver(entry.session)) this.#enforce(entry.session)
    if (entry.isEnding) return
    let notes: ReturnType<typeof makeNotes> | undefined
    try {
      notes = arm.notes ? makeNotes(join(this.#deps.notesDir, spoolName(entry.id))) : undefined
    } catch (error) {
      return noResources(error)
    }
    const command = await startCommand(notes ? withNotes(arm, notes) : arm, identity, this.#deps.pipes)
    if ('reason' in command) return this.#failToStart(entry, command)
    const spool = new Spool(join(this.#deps.spoolDir, spoolName(entry.id)), arm.outputLimit)
    spool.onWritten = () => this.#wakeReaders(entry)
    entry.live = new LiveRun(command, arm, { ...this.#deps, spool, notes })
    this.#afterStart(entry, arm, entry.live)
  }

  #failToStart(entry: Entry, failure: { reason: string; message: string; code: number | null }) {
    const { reason, message, code } = failure
    this.#endUnstarted(entry, { kind: 'startFailed', reason, message }, code)
  }

  #afterStart(entry: Entry, { mark, labels }: Arm, live: LiveRun) {
    const { id, session, at, fenced } = entry
    const { pid, ticks, startedAt } = live
    const optional = { ...(mark ? { mark } : {}), ...(labels ? { labels } : {}) }
    this.#deps.journal.append({
      type: 'started',
      id,
      session,
      at,
      startedAt,
      fenced,
      pid,
      ticks,
      boot: this.#boot,
      ...optional,
    })
    this.#tell({ type: 'started', id, at: startedAt, pid })
    live.ended
      .then(outcome => this.#settle(entry, recordOf(entry, { ...outcome, startedAt })))
      .catch(error => this.#deps.log.error({ run: id, error: messageOf(error) }, 'run.unsettled'))
  }

  #endUnstarted(entry: Entry, cause: EndCause, code: number | null) {
    if (entry.isEnding) return
    const record = recordOf(entry, { cause, code, endedAt: this.#deps.clock.now() })
    this.#settle(entry, record).catch(error =>
      this.#deps.log.error({ run: entry.id, error: messageOf(error) }, 'run.unsettled'),
    )
  }

  async #settle(entry: Entry, record: ExitRecord) {
    entry.isEnding = true
    const { journal } = this.#deps
    journal.append({ type: 'ended', at: entry.at, fenced: entry.fenced, record: silent(record) })
    await journal.durable()
    entry.record = record
    entry.arm = undefined
    entry.live = undefined
    this.#tell({ type: 'ended', id: entry.id, record })
    this.#wakeReaders(entry)
    this.#stopIfIdle()
  }

  #wakeReaders(entry: Entry) {
    for (const wake of entry.readers) wake()
  }

  #stopIfIdle() {
    if (this.#stopping === 'no') return
    if ([...this.#entries.values()].every(entry => entry.record)) this.#stopped.resolve()
  }
}
