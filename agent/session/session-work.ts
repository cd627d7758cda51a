import { FIRST_PACE_MS } from '../../core/fires/wave-timing.ts'
import { type CellRef, WAVE } from '../../core/keys.ts'
import type { Registration, Trouble } from '../../core/records/state.ts'
import { createBatcher } from '../../store/etcd/batcher.ts'
import { watchEtcdQuota } from '../health/etcd-quota.ts'
import { watchLauncher } from '../health/launcher-watchdog.ts'
import type { Readiness } from '../health/readiness.ts'
import { reportTrouble } from '../health/report-trouble.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { LauncherEvent } from '../launcher/messages.ts'
import { upgradeWhenIdle } from '../launcher/upgrade.ts'
import type { AgentOptions } from '../options.ts'
import { createCellCache } from '../pool/cell-cache.ts'
import type { World } from '../pool/world.ts'
import { createNotifier, type Notifier } from '../recovery/notifier.ts'
import { runRecovery } from '../recovery/recovery-loop.ts'
import { takeStock } from '../recovery/take-stock.ts'
import { Runs } from '../runs/supervisor.ts'
import { ContainerPresence } from '../schedule/container-presence.ts'
import { MainLoop } from '../schedule/main-loop.ts'
import { Requests } from '../schedule/requests.ts'
import type { Context } from './context.ts'
import type { Session } from './session-options.ts'

/** What outlives sessions, and what an agent lends to each. */
export interface AgentState {
  options: AgentOptions
  world: World
  readiness: Readiness
  troubles: Set<Trouble>
  registration(launcher: Launcher): Registration
  mayClaim(): boolean
  /** Stops claiming until the returned function is called. */
  hold(): () => void
}

/** The work of a session that listens to changes: from the end of stock-taking on. */
interface Listening {
  session: Session
  runs: Runs
  fires: MainLoop
  requests: Requests
}

/**
 * The work that lives as long as one session on one launcher:
 *
 *   session held ─▶ take stock ─▶ claims, requests, recovery, health checks … until the session or the launcher is lost
 */
export class SessionWork {
  readonly #state: AgentState
  readonly #died: Notifier = createNotifier()
  #listening: Listening | undefined
  /** From the beginning of stock-taking on: a run may already be this session's while its claim is in flight. */
  #owned: { runs: Runs; claiming: ReadonlySet<string> } | undefined

  constructor(state: AgentState) {
    this.#state = state
    const { agents } = state.world
    agents.onChange((_, now, before) =>
      this.#died.notify(before !== undefined && now?.value.session !== before.value.session),
    )
    this.#forwardChanges(state.world)
  }

  /** Runs that the agent has or is claiming. */
  get running(): number {
    return this.#owned ? this.#owned.runs.size + this.#owned.claiming.size : 0
  }

  /** The session whose work goes on now, if stock is taken. */
  get session(): Session | undefined {
    return this.#listening?.session
  }

  /** Answers the longest time that a run may take to end, ms. */
  killAll(reason: string): number {
    return this.#listening?.runs.killAll(reason) ?? 0
  }

  /** Works until `lost` aborts. */
  async run(session: Session, launcher: Launcher, lost: AbortSignal): Promise<void> {
    const { etcd, keys, pool } = this.#state.options
    const context = this.#contextOf(session, launcher, lost)
    context.cells.putAll((await etcd.list(keys.cells(pool), lost)).items)
    const runs = new Runs(context, ref => ref.kind === 'job' && this.#listening?.fires.wake(keys.job(ref)))
    this.#owned = { runs, claiming: context.claiming }
    const events = bufferEvents(launcher, runs)
    try {
      await takeStock(context, runs)
      events.flush()
      const { mayClaim } = this.#state
      const fires = new MainLoop(context, { runs, mayClaim })
      const requests = new Requests(context, { runs, fires, mayClaim })
      this.#listening = { session, runs, fires, requests }
      // Changes are forwarded from here on. Those since the beginning of stock-taking were not.
      runs.recheck()
      this.#state.options.onReady?.(true)
      this.#watchHealth(context, runs)
      // An edit of the pool may change it.
      const everyMs = () => session.ttlSeconds * 1_000
      // Both end with `lost`. They are not awaited: a request in flight to an etcd that is gone must not delay the next session.
      void fires.run()
      void requests.run()
      await runRecovery(context, runs, { everyMs, died: this.#died })
    } finally {
      this.#listening = undefined
      this.#owned = undefined
      events.stop()
      this.#state.options.onReady?.(false)
    }
  }

  #contextOf(session: Session, launcher: Launcher, signal: AbortSignal): Context {
    const { options, world } = this.#state
    const { keys } = options
    const batcher = createBatcher(options.etcd)
    return {
      ...options,
      session: session.id,
      batcher,
      world,
      cells: createCellCache(batcher, key => isRemembered(keys.parseCell(key))),
      claiming: new Set(),
      presence: new ContainerPresence(options.containers, options.clock),
      pace: { ms: FIRST_PACE_MS },
      launcher,
      signal,
    }
  }

  #watchHealth(context: Context, runs: Runs): void {
    const { options, readiness, troubles, registration, hold } = this.#state
    const { etcd, clock, log, launcherBuild: build } = options
    const { launcher, signal } = context
    const report = (trouble: Trouble) => (isThere: boolean) =>
      void (isThere ? troubles.add(trouble) : troubles.delete(trouble))
    const isBusy = () => this.running > 0
    if (build !== undefined) void upgradeWhenIdle({ launcher, build, isBusy, hold, clock, log, signal })
    void watchLauncher({ runs, launcher, clock, log }, signal, report('LauncherSilent'))
    void watchEtcdQuota({ etcd, clock, log }, signal, report('EtcdFull'))
    void reportTrouble(context, { readiness, registration: () => registration(launcher) })
  }

  /** Forwards changes of the pool to the work that goes on now. A later session begins with the pool as it is then. */
  #forwardChanges(world: World): void {
    world.jobs.onChange((key, now) => {
      this.#listening?.runs.onEntryChange(key, now)
      this.#listening?.fires.wake(key)
    })
    world.runs.onChange((key, now) => this.#listening?.runs.onEntryChange(key, now))
    world.requests.onChange((key, now) => this.#listening?.requests.onChange(key, now))
    world.own.onChange((_, now) => now && this.#listening?.runs.onOwnActive(now))
    world.onMembership(() => {
      this.#listening?.fires.wakeAll()
      this.#listening?.requests.lookAgain()
    })
  }
}

/** A ShellRun's cell is used once, and a wave's cell is changed by other agents all the time: both are always read. */
function isRemembered(ref: CellRef | undefined): boolean {
  return ref?.kind === 'job' && ref.target !== WAVE
}

/** Keeps the launcher's events until stock is taken, so that none is lost in between. */
function bufferEvents(launcher: Launcher, runs: Runs): { flush(): void; stop(): void } {
  const early: LauncherEvent[] = []
  let onEvent = (event: LauncherEvent): void => void early.push(event)
  const stop = launcher.onEvent(event => onEvent(event))
  return {
    flush() {
      onEvent = event => runs.onLauncherEvent(event)
      for (const event of early) onEvent(event)
    },
    stop,
  }
}
