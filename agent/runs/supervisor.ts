import type { CellRef } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import { type Active, activeSchema } from '../../core/records/state.ts'
import { type RunEvent, type RunState, stepRun } from '../../core/runs/attempt-state.ts'
import { type End, verdictOf, withMessage } from '../../core/runs/outcome.ts'
import { messageOf } from '../../platform/errors.ts'
import type { KeyValue } from '../../store/etcd/types.ts'
import { restamp } from '../../store/protocol/restamp.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { ExitRecord, LauncherEvent, LauncherRun } from '../launcher/messages.ts'
import type { Context } from '../session/context.ts'
import { endOf } from './container-command.ts'
import { conclude, type EndFacts } from './finish.ts'
import { launchId, launchOrder, secretValues } from './launch-order.ts'
import { redactRecord } from './redact-record.ts'

/** The runs that this session has, from claim to result. What each event means for one of them is core/runs/attempt-state.ts's to say. */
export interface Runs {
  readonly size: number
  has(run: string): boolean
  /** How many were to start before this instant, Unix ms, and have not, nor ended. */
  unstarted(before: number): number
  /** A claim was won: arm it. */
  start(active: Versioned<Active>, entry: Entry): void
  /** A run that the launcher already has. */
  adopt(active: Versioned<Active>, known: LauncherRun): void
  /** An attempt of mine that no launcher was told of, read just now: armed if its entry still stands. */
  resume(active: Versioned<Active>): void
  kill(run: string, reason: string): void
  /** Answers how long one of them may take to end, ms. */
  killAll(reason: string): number
  onLauncherEvent(event: LauncherEvent): void
  onEntryChange(entryKey: string, now: Versioned<Entry> | undefined): void
  onOwnActive(now: Versioned<Active>): void
  /** Looks at every run's entry and marks as they are now: what changed before anybody listened. */
  recheck(): void
}

/** A restamp was refused: the watch has so long to tell of the entry that changed, ms. */
const REFUSED_PAUSE_MS = 50

interface Live {
  active: Versioned<Active>
  entryKey: string
  launch: string
  state: RunState
  /** As it was claimed, or adopted; what ends is judged by it, and its Secrets are masked. */
  entry: Entry | undefined
  /** When it was to start, as far as I know it, Unix ms. */
  startsAt: number
}

export function createRuns(context: Context, onFree: (ref: CellRef) => void): Runs {
  const { launcher, keys, pool, world, log } = context
  const byRun = new Map<string, Live>()
  const byLaunch = new Map<string, Live>()

  const entryOf = ({ kind, namespace, name }: Active): Versioned<Entry> | undefined =>
    kind === 'job'
      ? world.jobs.get(keys.job({ pool, namespace, name }))
      : world.runs.get(keys.run({ pool, namespace, name }))

  const remember = (
    active: Versioned<Active>,
    of: { launch: string; state: RunState; entry: Entry | undefined },
  ): Live => {
    const { kind, namespace, name, run } = active.value
    const startsAt = Math.max(active.value.notBefore, context.clock.now())
    const live = { active, entryKey: keys[kind]({ pool, namespace, name }), startsAt, ...of }
    byRun.set(run, live)
    byLaunch.set(live.launch, live)
    return live
  }
  const forget = (live: Live) => {
    byRun.delete(live.active.value.run)
    byLaunch.delete(live.launch)
    launcher.forget([live.launch])
  }

  const happen = (live: Live, event: RunEvent, facts: EndFacts = {}): void => {
    const { state, order } = stepRun(live.state, event)
    live.state = state
    if (order.do === 'cancel') launcher.cancel([live.launch])
    else if (order.do === 'kill') launcher.kill([live.launch], order.reason)
    else if (order.do === 'conclude') record(live, order.end, facts)
    else if (order.do === 'rearm') {
      forget(live)
      resume(live.active)
    } else order.do satisfies 'nothing'
  }

  const record = (live: Live, end: End, facts: EndFacts) => {
    const command = (live.entry ?? entryOf(live.active.value)?.value)?.command ?? { successExitCodes: [0] }
    const verdict = withMessage(verdictOf(end, command), facts.message)
    void conclude(context, live.active, { verdict, facts }).then(
      concluded => {
        forget(live)
        if (concluded.kind === 'again') resume(concluded.active)
        for (const ref of concluded.freed) onFree(ref)
      },
      error => {
        // The session ended meanwhile: whoever buries it settles this run.
        if (!context.signal.aborted)
          log.error({ run: live.active.value.run, error: messageOf(error) }, 'run.notConcluded')
      },
    )
  }

  /** What of it may be seen is what says nothing of its Secrets. */
  const happenEnded = (live: Live, record: ExitRecord) => {
    const seen = redactRecord(record, secretValues(live.entry, record.labels, context.poolKey))
    happen(live, { type: 'ended', end: endOf(seen) }, factsOf(seen))
  }

  /** What an entry that may have changed means for one of its runs. */
  const reconsider = (live: Live, now: Versioned<Entry> | undefined): void => {
    if (!now || now.value.uid !== live.active.value.uid) happen(live, { type: 'withdrawn', why: 'Deleted' })
    else if (isSuspended(now.value)) happen(live, { type: 'withdrawn', why: 'Suspended' })
    else if (now.value.generation !== live.active.value.generation) happen(live, { type: 'edited' })
  }

  /** The mark of somebody who wants it ended. It may have come before the answer that made the attempt mine. */
  const killOf = ({ active: { key, value } }: Live): Active['kill'] => {
    const seen = world.own.get(key)?.value
    const same = seen?.uid === value.uid && seen.attempt === value.attempt
    return value.kill ?? (same ? seen.kill : undefined)
  }

  const arm = (live: Live, entry: Entry): void => {
    const kill = killOf(live)
    if (kill) return happen(live, { type: 'ended', end: { kind: 'killed', reason: kill.reason } })
    const refusal = context.policy.refusal(entry)
    const launch =
      refusal === undefined
        ? launchOrder(entry, live.active.value, context)
        : { reason: 'RefusedByAgent', message: refusal }
    if ('reason' in launch) happen(live, { type: 'ended', end: { kind: 'startFailed', ...launch } })
    else {
      launcher.arm([launch])
      // An edit may have overtaken the answer to the claim.
      reconsider(live, entryOf(live.active.value))
    }
  }

  /**
   * An attempt under my name that nobody has armed: first said to be mine under this launcher and template, behind comparisons, so that
   * doing it twice, or late, arms nothing.
   */
  const resume = (active: Versioned<Active>): void => {
    if (byRun.has(active.value.run)) return
    const entry = entryOf(active.value)
    const live = remember(active, {
      launch: launchId(active.value),
      state: { phase: 'armed' },
      entry: entry?.value,
    })
    const kill = killOf(live)
    if (kill) return happen(live, { type: 'ended', end: { kind: 'killed', reason: kill.reason } })
    if (!entry || isSuspended(entry.value)) {
      const reason = entry ? 'Suspended' : 'Deleted'
      happen(live, { type: 'ended', end: { kind: 'cancelled', reason } })
      return
    }
    const { txn, active: next } = restamp(
      active,
      { instance: launcher.instance, now: context.clock.now() },
      entry,
    )
    void context.batcher.txn(txn).then(
      answer => {
        byLaunch.delete(live.launch)
        if (!answer.ok) {
          refused(live, answer.gets[0]).catch(() => undefined)
          return
        }
        const mine = { ...active, mod: answer.revision, value: next }
        arm(
          remember(mine, { launch: launchId(next), state: { phase: 'armed' }, entry: entry.value }),
          entry.value,
        )
      },
      error => {
        // Whether it was written or not: it is unknown to me again, and looked at as such.
        log.warn({ run: active.value.run, error: messageOf(error) }, 'attempt.unclear')
        forget(live)
      },
    )
  }

  /** The entry changed again, or the attempt was marked: if it is still mine it is resumed as it is now. */
  async function refused(live: Live, item: KeyValue | undefined): Promise<void> {
    const { key, value } = live.active
    await context.clock.sleep(REFUSED_PAUSE_MS, context.signal)
    forget(live)
    const now = parseVersioned(activeSchema, key, item)
    const mine = now.value?.session === context.session && now.value.attempt === value.attempt
    if (now.value && mine) resume({ ...now, value: now.value })
  }

  /** What may have happened to a run while nobody listened. */
  const catchUp = (live: Live): void => {
    reconsider(live, entryOf(live.active.value))
    const kill = killOf(live)
    if (kill) happen(live, { type: 'kill', reason: kill.reason })
  }

  function onLauncherEvent(event: LauncherEvent): void {
    const live = byLaunch.get(event.id)
    // Of a run that was buried meanwhile: its outcome is recorded, what it wrote may go.
    if (!live && event.type === 'ended') return launcher.forget([event.id])
    if (!live) return
    if (event.type === 'started') happen(live, { type: 'started' })
    else if (event.type === 'refused') happen(live, { type: 'refused', reason: event.reason })
    else if (event.type === 'ended') happenEnded(live, event.record)
  }

  return {
    get size() {
      return byRun.size
    },
    has: run => byRun.has(run),
    unstarted: before =>
      [...byRun.values()].filter(({ state, startsAt }) => state.phase === 'armed' && startsAt < before)
        .length,
    start: (active, entry) =>
      arm(remember(active, { launch: launchId(active.value), state: { phase: 'armed' }, entry }), entry),
    adopt(active, { id, state, record }) {
      const entry = entryOf(active.value)
      // The agent may have gone away between the cancel of an edit and the claim of the new template.
      const editing = record?.cause.kind === 'cancelled' && entry && !isSuspended(entry.value)
      const phase: RunState = editing
        ? { phase: 'cancelling', why: undefined }
        : { phase: state === 'armed' ? 'armed' : 'running' }
      const live = remember(active, { launch: id, state: phase, entry: entry?.value })
      if (record) happenEnded(live, record)
      else catchUp(live)
    },
    resume,
    kill(run, reason) {
      const live = byRun.get(run)
      if (live) happen(live, { type: 'kill', reason })
    },
    killAll(reason) {
      const all = [...byRun.values()]
      for (const live of all) happen(live, { type: 'kill', reason })
      return Math.max(0, ...all.map(({ entry }) => entry?.command.terminationGracePeriodSeconds ?? 0)) * 1_000
    },
    onLauncherEvent,
    onEntryChange(entryKey, now) {
      for (const live of byRun.values()) {
        if (live.entryKey === entryKey) reconsider(live, now)
      }
    },
    onOwnActive(now) {
      const live = byRun.get(now.value.run)
      if (!live) {
        if (now.value.attempt > 1 && now.value.session === context.session) resume(now)
        return
      }
      if (now.mod > live.active.mod && now.value.attempt === live.active.value.attempt) live.active = now
      if (now.value.kill) happen(live, { type: 'kill', reason: now.value.kill.reason })
    },
    recheck() {
      for (const live of byRun.values()) catchUp(live)
    },
  }
}

function factsOf(record: ExitRecord): EndFacts {
  const { startedAt, endedAt, tail } = record
  const message = cutMessage(record)
  return {
    ...(startedAt === null ? {} : { startedAt }),
    endedAt,
    ...(tail ? { tail } : {}),
    ...(message ? { message } : {}),
  }
}

function cutMessage({ stdout, stderr, spoolError }: ExitRecord): string | undefined {
  if (stdout.cut + stderr.cut === 0) return undefined
  const why = spoolError === undefined ? 'by outputLimit' : `as they could not be written: ${spoolError}`
  return `${stdout.cut} bytes of stdout and ${stderr.cut} of stderr were cut ${why}`
}

/** A ShellRun runs although its job is suspended; it has no such state of its own. */
function isSuspended(entry: Entry): boolean {
  return entry.kind === 'job' && (entry.suspended || entry.blocked !== undefined)
}
