import { FIRST_PACE_MS } from '../../core/fires/wave-timing.ts'
import { type CellRef, WAVE } from '../../core/keys.ts'
import type { Registration, Trouble } from '../../core/records/state.ts'
import { createBatcher } from '../../store/etcd/batcher.ts'
import type { AgentOptions } from '../agent.ts'
import { watchEtcdQuota } from '../health/etcd-quota.ts'
import { watchLauncher } from '../health/launcher-watchdog.ts'
import type { Readiness } from '../health/readiness.ts'
import { reportTrouble } from '../health/report-trouble.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { LauncherEvent } from '../launcher/messages.ts'
import { upgradeWhenIdle } from '../launcher/upgrade.ts'
import { createCells } from '../pool/cell-cache.ts'
import type { World } from '../pool/world.ts'
import { createNotifier } from '../recovery/notifier.ts'
import { runRecovery } from '../recovery/recovery-loop.ts'
import { takeStock } from '../recovery/take-stock.ts'
import { createRuns, type Runs } from '../runs/supervisor.ts'
import { type Claims, createClaims } from '../schedule/claim-loop.ts'
import { createContainerPresence } from '../schedule/container-presence.ts'
import { createRequests, type Requests } from '../schedule/requests.ts'
import type { Context } from './context.ts'
import type { Session } from './session.ts'

/** What lives as long as one session on one launcher. */
interface Part {
  session: Session
  runs: Runs
  claims: Claims
  requests: Requests
}

/** What there is of it at the moment. */
export interface Current {
  part?: Part | undefined
  /** From the first look of a session on; what is being asked for may be ours already. */
  mine?: { runs: Runs; asked: ReadonlySet<string> } | undefined
}

/** Runs that the agent has or asks for. */
export const runningIn = ({ mine }: Current): number => (mine ? mine.runs.size + mine.asked.size : 0)

/** What outlives sessions. */
interface Whole {
  options: AgentOptions
  world: World
  readiness: Readiness
  troubles: Set<Trouble>
  registration(launcher: Launcher): Registration
  mayClaim(): boolean
  /** Nothing is claimed until what it answers is called. */
  hold(): () => void
}

/** Answers what is to go on during a session, until `lost` aborts; `current` follows it. */
export function createPart(
  whole: Whole,
  current: Current,
): (session: Session, launcher: Launcher, lost: AbortSignal) => Promise<void> {
  const { options, world, mayClaim } = whole
  const { etcd, keys, pool, clock } = options
  const died = createNotifier()
  world.agents.onChange((_, now, before) =>
    died.notify(before !== undefined && now?.value.session !== before.value.session),
  )
  forwardChanges(world, current)

  return async (session, launcher, lost) => {
    const batcher = createBatcher(etcd)
    const context: Context = {
      ...options,
      session: session.id,
      batcher,
      world,
      cells: createCells(batcher, key => isRemembered(keys.parseCell(key))),
      asked: new Set(),
      presence: createContainerPresence(options.containers, clock),
      pace: { ms: FIRST_PACE_MS },
      launcher,
      signal: lost,
    }
    let claims: Claims | undefined
    context.cells.sawAll((await etcd.list(keys.cells(pool), lost)).items)
    const runs = createRuns(context, (ref: CellRef) => ref.kind === 'job' && claims?.wake(keys.job(ref)))
    current.mine = { runs, asked: context.asked }
    const events = listen(launcher, runs)
    let requests: Requests | undefined
    try {
      await takeStock(context, runs)
      events.pass()
      claims = createClaims(context, runs, mayClaim)
      requests = createRequests(context, { runs, claims, mayClaim })
      current.part = { session, runs, claims, requests }
      // From here on changes are forwarded; those since stock was taken are not.
      runs.recheck()
      watchOver(whole, { context, runs, isBusy: () => runningIn(current) > 0 })
      await runRecovery(context, runs, { everyMs: session.ttlSeconds * 1_000, died })
    } finally {
      current.part = undefined
      current.mine = undefined
      claims?.close()
      requests?.close()
      events.stop()
    }
  }
}

/** What is looked at again and again while a session lives. */
function watchOver(
  { options, readiness, troubles, registration, hold }: Whole,
  of: { context: Context; runs: Runs; isBusy(): boolean },
): void {
  const { etcd, clock, log, launcherBuild: build } = options
  const { context, runs, isBusy } = of
  const { launcher, signal } = context
  const trouble = (which: Trouble) => (isIn: boolean) =>
    void (isIn ? troubles.add(which) : troubles.delete(which))
  if (build !== undefined) void upgradeWhenIdle({ launcher, build, isBusy, hold, clock, log, signal })
  void watchLauncher({ runs, launcher, clock, log }, signal, trouble('LauncherSilent'))
  void watchEtcdQuota({ etcd, clock, log }, signal, trouble('EtcdFull'))
  void reportTrouble(context, { readiness, registration: () => registration(launcher) })
}

/** A ShellRun's cell is of use once, and a wave is always another one's. */
function isRemembered(ref: CellRef | undefined): boolean {
  return ref?.kind === 'job' && ref.target !== WAVE
}

/** What the launcher tells while stock is taken is looked at after it, so that nothing falls in between. */
function listen(launcher: Launcher, runs: Runs): { pass(): void; stop(): void } {
  const early: LauncherEvent[] = []
  let hear = (event: LauncherEvent): void => void early.push(event)
  const stop = launcher.onEvent(event => hear(event))
  return {
    pass() {
      hear = event => runs.onLauncherEvent(event)
      for (const event of early) hear(event)
    },
    stop,
  }
}

/** Changes of the pool go to the part that lives now; the next one begins with everything as it is. */
function forwardChanges(world: World, current: Current): void {
  world.jobs.onChange((key, now) => {
    current.part?.runs.onEntryChange(key, now)
    current.part?.claims.wake(key)
  })
  world.runs.onChange((key, now) => current.part?.runs.onEntryChange(key, now))
  world.requests.onChange((key, now) => current.part?.requests.onChange(key, now))
  world.own.onChange((_, now) => now && current.part?.runs.onOwnActive(now))
  world.onMembership(() => {
    current.part?.claims.wakeAll()
    current.part?.requests.lookAgain()
  })
}
