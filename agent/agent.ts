import type { KeyObject } from 'node:crypto'
import type { Keys } from '../core/keys.ts'
import type { Trouble } from '../core/records/state.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { createReadiness } from './health/readiness.ts'
import type { Launcher } from './launcher/launcher.ts'
import type { Output } from './output/output.ts'
import { observe } from './pool/world.ts'
import type { ContainerSettings } from './runs/container-command.ts'
import { handOverSeconds, moveTo } from './session/hand-over.ts'
import { holdSessions, type Session, type SessionOptions } from './session/session.ts'
import { type Current, createPart, runningIn } from './session/session-work.ts'
import type { LocalPolicy } from './startup/local-policy.ts'

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

const RECONNECT_MS = 1_000

/** Rejects with the reason of `giveUp` if that aborts before it has seen its pool, as when there is no etcd to be had. */
export async function startAgent(
  options: AgentOptions,
  signal: AbortSignal,
  giveUp: AbortSignal = signal,
): Promise<Agent> {
  const { etcd, keys, pool, agent, log, clock, version, stateDir } = options
  const world = await observe(options, AbortSignal.any([signal, giveUp]))
  let connected: Launcher | undefined
  let claiming = true
  const leaving = new AbortController()
  const startedAt = clock.now()
  const current: Current = {}
  const running = () => runningIn(current)
  const troubles = new Set<Trouble>()
  const readiness = createReadiness({ world, keys, clock, pool, agent }, { running, troubles })
  let isHeld = false
  let isHandedOver = false
  let handOver: ((session: Session) => Promise<void>) | undefined
  const registration = ({ instance }: Launcher) => ({
    version,
    instance,
    startedAt,
    tzdata: process.versions.tz ?? '',
  })
  const inSession = createPart(
    {
      options,
      world,
      readiness,
      troubles,
      registration,
      mayClaim: () => claiming && !isHeld && readiness.refusal() === undefined,
      hold: () => {
        isHeld = true
        return () => void (isHeld = false)
      },
    },
    current,
  )

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
      registration: () => registration(launcher),
      // A keepalive of the lease that is left says nothing any more.
      fence: (session, until) => void (isHandedOver || fence(session, until)),
    }
    handOver = async session => {
      isHandedOver = true
      await moveTo({ ...held, fence }, session, handOverSeconds(session))
    }
    await holdSessions(held, AbortSignal.any([closed.signal, signal]), (session, lost) =>
      inSession(session, launcher, lost),
    )
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
      if (current.part) return true
      const known = await connected?.runs(signal).catch(() => undefined)
      return known?.every(({ id }) => options.output.isSettled(id)) ?? false
    },
    get running() {
      return running()
    },
    handOver: async () => {
      const { part } = current
      if (part && running() > 0) await handOver?.(part.session)
    },
    killAll: reason => current.part?.runs.killAll(reason) ?? 0,
    leave: async () => {
      leaving.abort(new Error('the agent leaves'))
      const lease = current.part?.session.lease
      await connected?.stop(false)
      if (lease) await etcd.revoke(lease)
    },
    done,
  }
}
