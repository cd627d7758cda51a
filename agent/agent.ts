import type { KeyObject } from 'node:crypto'
import { type CellRef, type Keys, WAVE } from '../core/keys.ts'
import type { Trouble } from '../core/records/state.ts'
import { FIRST_PACE_MS } from '../core/wave.ts'
import type { Clock } from '../runtime/clock.ts'
import { messageOf } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { createBatcher } from '../store/etcd/batcher.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { createBell } from './bell.ts'
import { createCells } from './cells.ts'
import { type Claims, createClaims } from './claims.ts'
import type { ContainerSettings } from './container.ts'
import type { Context } from './context.ts'
import { watchFullness } from './fullness.ts'
import { handOverSeconds, moveTo } from './hand-over.ts'
import type { Launcher } from './launcher/launcher.ts'
import type { LauncherEvent } from './launcher/messages.ts'
import { replaceWhenIdle } from './launcher/replace.ts'
import { createRuns, type Runs } from './live.ts'
import type { Output } from './output/output.ts'
import type { LocalPolicy } from './policy.ts'
import { createPresence } from './presence.ts'
import { createReadiness } from './readiness.ts'
import { takeStock } from './reconcile.ts'
import { createRequests, type Requests } from './requests.ts'
import { holdSessions, type Session, type SessionOptions } from './session.ts'
import { watchSilence } from './silence.ts'
import { tellTrouble } from './tell-trouble.ts'
import { tend } from './tend.ts'
import { observe, type World } from './world.ts'

/**
 * One agent: watches its pool, holds a session, and within it claims, runs, records and buries.
 *
 *   observe ─▶ launcher connected ─▶ session held ─▶ stock taken ─▶ claims, requests, burial … until the session or the launcher goes
 */
export interface AgentOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  version: string
  stateDir: string
  operatorKey: KeyObject
  poolKey: KeyObject
  policy: LocalPolicy
  containers: ContainerSettings
  clock: Clock
  log: Log
  output: Output
  /** Connects to the living launcher or starts one. */
  launcher(signal: AbortSignal): Promise<Launcher>
  /** Which program it would start: another one that lives is replaced when it is idle. */
  launcherBuild?: string | undefined
}

export interface Agent {
  /** Claims nothing more. */
  stopClaiming(): void
  /**
   * Whether nothing is claimed, being claimed, running or still to be recorded. Between two sessions the launcher says that; without it
   * nobody knows, and it is not so.
   */
  isIdle(): Promise<boolean>
  /**
   * For the next agent on this machine: the session goes on for 120 s without this one, so that no run is fenced meanwhile. Only for who
   * ends right after it. Does nothing without a session, or without runs. Rejects if etcd does not answer.
   */
  handOver(): Promise<void>
  /** Ends every run with this reason. Answers the longest grace of them, ms. */
  killAll(reason: string): number
  /** Ends the session, if there is one, and the launcher for good: nothing is left to be resumed. */
  leave(): Promise<void>
  /** Runs that it has or asks for. */
  readonly running: number
  /** Resolves when `signal` has aborted and everything is let go. */
  readonly done: Promise<void>
}

/** What lives as long as one session on one launcher. */
interface Part {
  session: Session
  runs: Runs
  claims: Claims
  requests: Requests
}

const RECONNECT_MS = 1_000

/** Rejects with the reason of `giveUp` if that aborts before it has seen its pool, as when there is no etcd to be had. */
export async function startAgent(
  options: AgentOptions,
  signal: AbortSignal,
  giveUp: AbortSignal = signal,
): Promise<Agent> {
  const { etcd, keys, pool, agent, log, clock, version, stateDir } = options
  const world = await observe(options, AbortSignal.any([signal, giveUp]))
  let part: Part | undefined
  let connected: Launcher | undefined
  let claiming = true
  const leaving = new AbortController()
  const startedAt = clock.now()
  /** From the first look of a session on; what is being asked for may be ours already. */
  let mine: { runs: Runs; asked: ReadonlySet<string> } | undefined
  const running = () => (mine ? mine.runs.size + mine.asked.size : 0)
  const troubles = new Set<Trouble>()
  const readiness = createReadiness({ world, keys, clock, pool, agent }, { running, troubles })
  let isHeld = false
  let isHandedOver = false
  let handOver: ((session: Session) => Promise<void>) | undefined
  const mayClaim = () => claiming && !isHeld && readiness.refusal() === undefined
  const hold = () => {
    isHeld = true
    return () => void (isHeld = false)
  }
  const died = createBell()
  world.agents.onChange((_, now, before) =>
    died.ring(before !== undefined && now?.value.session !== before.value.session),
  )
  forwardChanges(world, () => part)

  const registrationWith = ({ instance }: Launcher) => ({
    version,
    instance,
    startedAt,
    tzdata: process.versions.tz ?? '',
  })

  const onLauncher = async (launcher: Launcher) => {
    if (!launcher.features.has('resources'))
      log.info({ launcher: launcher.implementation }, 'launcher.withoutLimits')
    const closed = new AbortController()
    launcher.onClosed(reason => closed.abort(new Error(`launcher: ${reason}`)))
    const fence = (session: number, until: number) => launcher.fence(String(session), until)
    const held: SessionOptions = {
      etcd,
      keys,
      pool,
      agent,
      stateDir,
      clock,
      log,
      ttlSeconds: () => world.pools.get(keys.pool(pool))?.value.ttlSeconds ?? 30,
      registration: () => registrationWith(launcher),
      // A keepalive of the lease that is left says nothing any more.
      fence: (session, until) => void (isHandedOver || fence(session, until)),
    }
    handOver = async session => {
      isHandedOver = true
      await moveTo({ ...held, fence }, session, handOverSeconds(session))
    }
    await holdSessions(held, AbortSignal.any([closed.signal, signal]), (session, lost) =>
      duringSession(session, launcher, lost),
    )
  }

  const duringSession = async (session: Session, launcher: Launcher, lost: AbortSignal) => {
    const batcher = createBatcher(etcd)
    const context: Context = {
      ...options,
      session: session.id,
      batcher,
      world,
      cells: createCells(batcher, key => isRemembered(keys.parseCell(key))),
      asked: new Set(),
      presence: createPresence(options.containers, clock),
      pace: { ms: FIRST_PACE_MS },
      launcher,
      signal: lost,
    }
    let claims: Claims | undefined
    context.cells.sawAll((await etcd.list(keys.cells(pool), lost)).items)
    const runs = createRuns(context, (ref: CellRef) => ref.kind === 'job' && claims?.wake(keys.job(ref)))
    mine = { runs, asked: context.asked }
    const events = listen(launcher, runs)
    let requests: Requests | undefined
    try {
      await takeStock(context, runs)
      events.pass()
      claims = createClaims(context, runs, mayClaim)
      requests = createRequests(context, { runs, claims, mayClaim })
      part = { session, runs, claims, requests }
      // From here on changes are forwarded; those since stock was taken are not.
      runs.recheck()
      const { launcherBuild: build } = options
      const isBusy = () => running() > 0
      if (build !== undefined)
        void replaceWhenIdle({ launcher, build, isBusy, hold, clock, log, signal: lost })
      void watchSilence({ runs, launcher, clock, log }, lost, is => setOf(troubles, 'LauncherSilent', is))
      void watchFullness({ etcd, clock, log }, lost, is => setOf(troubles, 'EtcdFull', is))
      const registration = () => registrationWith(launcher)
      void tellTrouble(context, { lease: session.lease, readiness, registration })
      await tend(context, runs, { everyMs: session.ttlSeconds * 1_000, died })
    } finally {
      part = undefined
      mine = undefined
      claims?.close()
      requests?.close()
      events.stop()
    }
  }

  const done = (async () => {
    // Who leaves must not be given another launcher in the place of the one that it ends.
    while (!signal.aborted && !leaving.signal.aborted) {
      try {
        const { launcher, off } = options.output.on(await options.launcher(signal))
        connected = launcher
        await onLauncher(launcher).finally(() => {
          connected = undefined
          off()
          launcher.close()
        })
      } catch (error) {
        if (signal.aborted) break
        log.error({ error: messageOf(error) }, 'launcher.unavailable')
        await clock.sleep(RECONNECT_MS, signal).catch(() => undefined)
      }
    }
    await world.close()
  })()
  return {
    stopClaiming: () => void (claiming = false),
    async isIdle() {
      if (running() > 0) return false
      if (part) return true
      const known = await connected?.runs(signal).catch(() => undefined)
      return known?.every(({ id }) => options.output.isSettled(id)) ?? false
    },
    get running() {
      return running()
    },
    handOver: async () => {
      if (part && running() > 0) await handOver?.(part.session)
    },
    killAll: reason => part?.runs.killAll(reason) ?? 0,
    leave: async () => {
      leaving.abort(new Error('the agent leaves'))
      const lease = part?.session.lease
      await connected?.stop(false)
      if (lease) await etcd.revoke(lease)
    },
    done,
  }
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
function forwardChanges(world: World, part: () => Part | undefined): void {
  world.jobs.onChange((key, now) => {
    part()?.runs.onEntryChange(key, now)
    part()?.claims.wake(key)
  })
  world.runs.onChange((key, now) => part()?.runs.onEntryChange(key, now))
  world.requests.onChange((key, now) => part()?.requests.onChange(key, now))
  world.own.onChange((_, now) => now && part()?.runs.onOwnActive(now))
  world.onMembership(() => {
    part()?.claims.wakeAll()
    part()?.requests.lookAgain()
  })
}

function setOf<T>(set: Set<T>, member: T, isIn: boolean) {
  if (isIn) set.add(member)
  else set.delete(member)
}
