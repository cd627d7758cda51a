import { withdrawnBy } from '../../core/fires/withdrawn.ts'
import type { CellRef } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'
import { type RunEvent, stepRun } from '../../core/runs/attempt-state.ts'
import { type End, verdictOf, withMessage } from '../../core/runs/outcome.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { ExitRecord, LauncherEvent, LauncherRun } from '../launcher/messages.ts'
import type { Context } from '../session/context.ts'
import { endOf } from './container-command.ts'
import { type EndFacts, endFactsOf } from './end-facts.ts'
import { finishAttempt } from './finish.ts'
import { launchId, launchOrder, secretValues } from './launch-order.ts'
import { missedAfterClaim } from './missed-after-claim.ts'
import { redactRecord } from './redact-record.ts'
import { restampAttempt } from './restamp.ts'
import { RunTable, type SupervisedRun } from './run-table.ts'

/**
 * Supervises the runs of one session, from claim to result. core/runs/attempt-state.ts says what each event means for a run:
 *
 *   start, resume, adopt ─▶ event of the launcher, edit, kill ─▶ stepRun ─▶ order: cancel, kill, rearm, conclude
 */
export class Runs {
  readonly #context: Context
  readonly #onFree: (ref: CellRef) => void
  readonly #table = new RunTable()

  /** `onFree`: a cell has one active run less. */
  constructor(context: Context, onFree: (ref: CellRef) => void) {
    this.#context = context
    this.#onFree = onFree
  }

  get size(): number {
    return this.#table.size
  }

  has(run: string): boolean {
    return this.#table.get(run) !== undefined
  }

  /** How many runs should have started before this instant, Unix ms, and have neither started nor ended. */
  unstarted(before: number): number {
    let count = 0
    for (const { state, startsAt } of this.#table.all())
      if (state.phase === 'armed' && startsAt < before) count++
    return count
  }

  /** A claim was won: arms the run. */
  start(active: Versioned<Active>, entry: Entry): void {
    this.#arm(this.#add(active, { launch: launchId(active.value), state: { phase: 'armed' }, entry }), entry)
  }

  /** Takes over a run that the launcher already has, after a restart of this agent. */
  adopt(active: Versioned<Active>, { id, state, record }: LauncherRun): void {
    const entry = this.#entryOf(active.value)
    // An earlier process may have ended between the cancel for an edit and the claim under the new template.
    const isEdited =
      record?.cause.kind === 'cancelled' && withdrawnBy(entry?.value, active.value.uid) === undefined
    const run = this.#add(active, {
      launch: id,
      state: isEdited
        ? { phase: 'cancelling', why: undefined }
        : { phase: state === 'armed' ? 'armed' : 'running' },
      entry: entry?.value,
    })
    if (record) this.#onEnded(run, record)
    else this.#recheck(run)
  }

  /**
   * Arms an attempt of this agent that no launcher was told of; `active` was just read. It is first stamped with this launcher and the
   * present template, by a transaction that compares, so that doing this twice, or late, arms nothing.
   */
  resume(active: Versioned<Active>): void {
    if (this.has(active.value.run)) return
    const entry = this.#entryOf(active.value)
    const launch = launchId(active.value)
    const run = this.#add(active, { launch, state: { phase: 'armed' }, entry: entry?.value })
    const kill = this.#killMark(run)
    if (kill) return this.#step(run, { type: 'ended', end: { kind: 'killed', reason: kill.reason } })
    const reason = withdrawnBy(entry?.value, active.value.uid)
    if (!entry || reason !== undefined)
      return this.#step(run, { type: 'ended', end: { kind: 'cancelled', reason } })
    void this.#restampAndArm(run, entry)
  }

  kill(run: string, reason: string): void {
    const known = this.#table.get(run)
    if (known) this.#step(known, { type: 'kill', reason })
  }

  /** Answers the longest time that one of the runs may take to end, ms. */
  killAll(reason: string): number {
    const all = [...this.#table.all()]
    for (const run of all) this.#step(run, { type: 'kill', reason })
    return Math.max(0, ...all.map(({ entry }) => entry?.command.terminationGracePeriodSeconds ?? 0)) * 1_000
  }

  onLauncherEvent(event: LauncherEvent): void {
    const run = this.#table.ofLaunch(event.id)
    // Its run was buried meanwhile: another outcome is recorded, and the launcher may delete its output.
    if (!run && event.type === 'ended') return this.#context.launcher.forget([event.id])
    if (!run) return
    if (event.type === 'started') this.#step(run, { type: 'started' })
    else if (event.type === 'refused') this.#step(run, { type: 'refused', reason: event.reason })
    else if (event.type === 'ended') this.#onEnded(run, event.record)
  }

  onEntryChange(entryKey: string, now: Versioned<Entry> | undefined): void {
    for (const run of this.#table.all()) if (run.entryKey === entryKey) this.#onEntry(run, now)
  }

  onOwnActive(now: Versioned<Active>): void {
    const run = this.#table.get(now.value.run)
    if (!run) {
      if (now.value.attempt > 1 && now.value.session === this.#context.session) this.resume(now)
      return
    }
    if (now.mod > run.active.mod && now.value.attempt === run.active.value.attempt) run.active = now
    if (now.value.kill) this.#step(run, { type: 'kill', reason: now.value.kill.reason })
  }

  /** Looks at every run's entry and kill mark: changes from before this session listened. */
  recheck(): void {
    for (const run of this.#table.all()) this.#recheck(run)
  }

  #recheck(run: SupervisedRun): void {
    this.#onEntry(run, this.#entryOf(run.active.value))
    const kill = this.#killMark(run)
    if (kill) this.#step(run, { type: 'kill', reason: kill.reason })
  }

  #arm(run: SupervisedRun, entry: Entry): void {
    const { policy, launcher } = this.#context
    const kill = this.#killMark(run)
    if (kill) return this.#step(run, { type: 'ended', end: { kind: 'killed', reason: kill.reason } })
    const missed = missedAfterClaim(entry, run.active.value, this.#context.clock.now())
    if (missed) return this.#step(run, { type: 'ended', end: missed })
    const refusal = policy.refusal(entry)
    const order =
      refusal === undefined
        ? launchOrder(entry, run.active.value, this.#context)
        : { reason: 'RefusedByAgent', message: refusal }
    if ('reason' in order) return this.#step(run, { type: 'ended', end: { kind: 'startFailed', ...order } })
    launcher.arm([order])
    // An edit may have overtaken the answer to the claim.
    this.#onEntry(run, this.#entryOf(run.active.value))
  }

  async #restampAndArm(run: SupervisedRun, entry: Versioned<Entry>): Promise<void> {
    const answer = await restampAttempt(this.#context, run.active, entry)
    if (answer.kind === 'mine') {
      this.#table.deleteLaunch(run)
      const launch = launchId(answer.active.value)
      const armed = this.#add(answer.active, { launch, state: { phase: 'armed' }, entry: entry.value })
      return this.#arm(armed, entry.value)
    }
    if (answer.kind === 'ended') return
    // Forgotten, so that recovery finds it, or resumed under the entry as it is now.
    this.#forget(run)
    if (answer.kind === 'changed') this.resume(answer.active)
  }

  #step(run: SupervisedRun, event: RunEvent, facts: EndFacts = {}): void {
    const { launcher } = this.#context
    const { state, order } = stepRun(run.state, event)
    run.state = state
    switch (order.do) {
      case 'nothing':
        return
      case 'cancel':
        return launcher.cancel([run.launch])
      case 'kill':
        return launcher.kill([run.launch], order.reason)
      case 'rearm':
        this.#forget(run)
        return this.resume(run.active)
      case 'conclude':
        return void this.#conclude(run, order.end, facts)
      default:
        order satisfies never
    }
  }

  /** Only the redacted record goes further. */
  #onEnded(run: SupervisedRun, record: ExitRecord): void {
    const redacted = redactRecord(record, secretValues(run.entry, record.labels, this.#context.poolKeys()))
    this.#step(run, { type: 'ended', end: endOf(redacted) }, endFactsOf(redacted))
  }

  /** Applies an entry that may have changed. */
  #onEntry(run: SupervisedRun, now: Versioned<Entry> | undefined): void {
    const why = withdrawnBy(now?.value, run.active.value.uid)
    if (why !== undefined) this.#step(run, { type: 'withdrawn', why })
    else if (now?.value.generation !== run.active.value.generation) this.#step(run, { type: 'edited' })
  }

  async #conclude(run: SupervisedRun, end: End, facts: EndFacts): Promise<void> {
    const { log, signal } = this.#context
    const entry = run.entry ?? this.#entryOf(run.active.value)?.value
    const verdict = withMessage(verdictOf(end, entry?.command ?? { successExitCodes: [0] }), facts.message)
    try {
      const concluded = await finishAttempt(this.#context, run.active, { verdict, facts })
      this.#forget(run)
      if (concluded.kind === 'again') this.resume(concluded.active)
      for (const ref of concluded.freed) this.#onFree(ref)
    } catch (error) {
      // When the session ends meanwhile, its burial settles this run.
      if (!signal.aborted)
        log.error({ run: run.active.value.run, error: messageOf(error) }, 'run.notConcluded')
    }
  }

  #add(active: Versioned<Active>, of: Pick<SupervisedRun, 'launch' | 'state' | 'entry'>): SupervisedRun {
    const { keys, pool, clock } = this.#context
    const { kind, namespace, name, notBefore } = active.value
    const entryKey = keys[kind]({ pool, namespace, name })
    return this.#table.add({ active, entryKey, startsAt: Math.max(notBefore, clock.now()), ...of })
  }

  #forget(run: SupervisedRun): void {
    this.#table.delete(run)
    this.#context.launcher.forget([run.launch])
  }

  #entryOf({ kind, namespace, name }: Active): Versioned<Entry> | undefined {
    const { world, keys, pool } = this.#context
    return kind === 'job'
      ? world.jobs.get(keys.job({ pool, namespace, name }))
      : world.runs.get(keys.run({ pool, namespace, name }))
  }

  /** The order to end a run, from whoever marked its active entry. The mark can come before the answer that made the attempt mine. */
  #killMark({ active: { key, value } }: SupervisedRun): Active['kill'] {
    const seen = this.#context.world.own.get(key)?.value
    const isSame = seen?.uid === value.uid && seen.attempt === value.attempt
    return value.kill ?? (isSame ? seen.kill : undefined)
  }
}
