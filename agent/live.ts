import type { CellRef } from '../core/keys.ts'
import { verdictOf } from '../core/outcome.ts'
import type { Entry } from '../core/records/entry.ts'
import type { Active } from '../core/records/state.ts'
import { messageOf } from '../runtime/errors.ts'
import type { Held } from '../store/protocol/held.ts'
import { restamp } from '../store/protocol/retry.ts'
import type { Context } from './context.ts'
import { conclude, type EndFacts } from './finish.ts'
import { launchId, launchOf } from './launch.ts'
import type { LauncherEvent, LauncherRun } from './launcher/messages.ts'

/**
 * The runs that this session has claimed, from claim to result.
 *
 *   claimed ─arm─▶ armed ─▶ running ─▶ ended ─finish─▶ gone
 *                   │ edit: cancel, claim anew, arm        (a retry of our own starts over at armed)
 *                   └ suspend, delete: cancel ─▶ Cancelled
 */
interface Live {
  active: Held<Active>
  entryKey: string
  launch: string
  state: 'armed' | 'running' | 'ended'
  /** The template changed before the start: once the cancel is answered, arm the new one. */
  rearm?: boolean
  cancelReason?: string
}

export interface Runs {
  readonly size: number
  has(run: string): boolean
  /** A claim was won, or a pending attempt taken: arm it. */
  start(active: Held<Active>, entry: Entry): void
  /** A run that the launcher already has. */
  adopt(active: Held<Active>, known: LauncherRun): void
  /** An attempt of mine that no launcher was told of, read just now: armed if its entry still stands. */
  resume(active: Held<Active>): void
  kill(run: string, reason: string): void
  killAll(reason: string): void
  onLauncherEvent(event: LauncherEvent): void
  onEntryChange(entryKey: string, now: Held<Entry> | undefined): void
  onOwnActive(now: Held<Active>): void
}

export function createRuns(context: Context, onFree: (ref: CellRef) => void): Runs {
  const { launcher, keys, pool, log } = context
  const byRun = new Map<string, Live>()
  const byLaunch = new Map<string, Live>()

  const entryKeyOf = ({ kind, namespace, name }: Active) => keys[kind]({ pool, namespace, name })
  const forget = (live: Live) => {
    byRun.delete(live.active.value.run)
    byLaunch.delete(live.launch)
    launcher.forget([live.launch])
  }
  const remember = (live: Live) => {
    byRun.set(live.active.value.run, live)
    byLaunch.set(live.launch, live)
  }

  const arm = (live: Live, entry: Entry) => {
    const launch = launchOf(entry, live.active.value, context)
    const refused = context.policy.refusal(entry)
    if (refused !== undefined)
      ended(live, { kind: 'startFailed', reason: 'RefusedByAgent', message: refused })
    else if ('reason' in launch) ended(live, { kind: 'startFailed', ...launch })
    else launcher.arm([launch])
  }

  const start = (active: Held<Active>, entry: Entry) => {
    const live: Live = {
      active,
      entryKey: entryKeyOf(active.value),
      launch: launchId(active.value),
      state: 'armed',
    }
    remember(live)
    arm(live, entry)
  }

  const ended = (live: Live, end: Parameters<typeof verdictOf>[0], facts: EndFacts = {}) => {
    live.state = 'ended'
    const reason = live.cancelReason
    const command = context.world[live.active.value.kind === 'job' ? 'jobs' : 'runs'].get(live.entryKey)
      ?.value.command
    const verdict = verdictOf(
      end.kind === 'cancelled' && reason ? { ...end, reason } : end,
      command ?? { successExitCodes: [0] },
    )
    void conclude(context, live.active, { verdict, facts }).then(
      concluded => {
        forget(live)
        if (concluded.kind === 'again') takeUp(concluded.active)
        for (const ref of concluded.freed) onFree(ref)
      },
      error => {
        // The session ended meanwhile: whoever buries it settles this run.
        if (!context.signal.aborted)
          log.error({ run: live.active.value.run, error: messageOf(error) }, 'run.notConcluded')
      },
    )
  }

  const takeUp = (active: Held<Active>) => {
    const entry = context.world[active.value.kind === 'job' ? 'jobs' : 'runs'].get(entryKeyOf(active.value))
    if (!byRun.has(active.value.run)) void armPending(active, entry)
  }

  /** A pending attempt under my name: said to be mine under this launcher and template first, so that nobody arms it twice. */
  const armPending = async (active: Held<Active>, entry: Held<Entry> | undefined) => {
    const live: Live = {
      active,
      entryKey: entryKeyOf(active.value),
      launch: launchId(active.value),
      state: 'armed',
    }
    remember(live)
    if (!entry || isSuspended(entry.value)) {
      live.cancelReason = entry ? 'Suspended' : 'Deleted'
      return ended(live, { kind: 'cancelled' })
    }
    const change = { generation: entry.value.generation, instance: launcher.instance }
    const { txn, active: next } = restamp(active, change, entry)
    try {
      const answer = await context.batcher.txn(txn)
      if (!answer.ok) return forget(live)
      byLaunch.delete(live.launch)
      live.active = { ...active, mod: answer.revision, value: next }
      live.launch = launchId(next)
      remember(live)
      arm(live, entry.value)
    } catch (error) {
      // Whether it was written or not: the entry is mine and unknown again, and settled as such.
      log.warn({ run: active.value.run, error: messageOf(error) }, 'retry.unclear')
      forget(live)
    }
  }

  function onLauncherEvent(event: LauncherEvent): void {
    const live = byLaunch.get(event.id)
    if (!live) {
      // Of a run that was buried meanwhile: its outcome is recorded, what it wrote may go.
      if (event.type === 'ended') launcher.forget([event.id])
      return
    }
    if (live.state === 'ended') return
    switch (event.type) {
      case 'started':
        live.state = 'running'
        return
      case 'refused':
        return ended(live, { kind: 'lost', reason: event.reason })
      case 'unknown':
        return
      case 'armed':
        return
      case 'ended': {
        const { record } = event
        if (live.rearm && record.cause.kind === 'cancelled') {
          forget(live)
          return takeUp(live.active)
        }
        return ended(live, record.cause, {
          ...(record.startedAt === null ? {} : { startedAt: record.startedAt }),
          endedAt: record.endedAt,
          ...(record.tail ? { tail: record.tail } : {}),
        })
      }
      default:
        return event satisfies never
    }
  }

  return {
    get size() {
      return byRun.size
    },
    has: run => byRun.has(run),
    start,
    adopt(active, known) {
      const live: Live = {
        active,
        entryKey: entryKeyOf(active.value),
        launch: known.id,
        state: known.state === 'ended' ? 'running' : known.state,
      }
      const entry = context.world[active.value.kind === 'job' ? 'jobs' : 'runs'].get(live.entryKey)
      // The agent went away between the cancel of an edit and the claim of the new template.
      if (known.record?.cause.kind === 'cancelled' && entry && !isSuspended(entry.value)) live.rearm = true
      remember(live)
      if (known.record) onLauncherEvent({ type: 'ended', id: known.id, record: known.record })
    },
    resume: takeUp,
    kill(run, reason) {
      const live = byRun.get(run)
      if (live && live.state !== 'ended') launcher.kill([live.launch], reason)
    },
    killAll(reason) {
      const launches = [...byRun.values()]
        .filter(({ state }) => state !== 'ended')
        .map(({ launch }) => launch)
      if (launches.length > 0) launcher.kill(launches, reason)
    },
    onLauncherEvent,
    onEntryChange(entryKey, now) {
      for (const live of byRun.values()) {
        if (live.entryKey !== entryKey || live.state !== 'armed') continue
        if (!now || isSuspended(now.value) || now.value.uid !== live.active.value.uid) {
          live.cancelReason = now ? 'Suspended' : 'Deleted'
        } else if (now.value.generation !== live.active.value.generation) live.rearm = true
        else continue
        launcher.cancel([live.launch])
      }
    },
    onOwnActive(now) {
      const live = byRun.get(now.value.run)
      if (!live) {
        if (now.value.attempt > 1 && now.value.session === context.session) takeUp(now)
        return
      }
      if (now.mod > live.active.mod && now.value.attempt === live.active.value.attempt) live.active = now
      if (now.value.kill && live.state !== 'ended') launcher.kill([live.launch], now.value.kill.reason)
    },
  }
}

/** A ShellRun runs although its job is suspended; it has no such state of its own. */
function isSuspended(entry: Entry): boolean {
  return entry.kind === 'job' && (entry.suspended || entry.blocked !== undefined)
}
