import type { Registration, Trouble } from '../core/records/state.ts'
import { messageOf } from '../platform/errors.ts'
import { createReadiness, type Readiness } from './health/readiness.ts'
import type { Launcher } from './launcher/launcher.ts'
import type { AgentOptions } from './options.ts'
import { observe, type World } from './pool/world.ts'
import { handOverSeconds, moveTo } from './session/hand-over.ts'
import { holdSessions } from './session/session.ts'
import type { SessionOptions } from './session/session-options.ts'
import { SessionWork } from './session/session-work.ts'

const DEFAULT_TTL_SECONDS = 30
const RECONNECT_MS = 1_000

/**
 * Starts an agent, which works until `signal` aborts. Rejects with the reason of `giveUp` if that aborts before the agent has seen its pool,
 * for example because etcd cannot be reached.
 */
export async function startAgent(
  options: AgentOptions,
  signal: AbortSignal,
  giveUp: AbortSignal = signal,
): Promise<Agent> {
  const world = await observe(options, AbortSignal.any([signal, giveUp]))
  return new Agent(options, world, signal)
}

/**
 * One agent: it watches its pool, holds a session, and within the session claims, runs, records and buries.
 *
 *   observe ─▶ connect to the launcher ─▶ hold a session ─▶ session-work.ts … until the session or the launcher is lost, then again
 */
export class Agent {
  readonly #options: AgentOptions
  readonly #world: World
  readonly #signal: AbortSignal
  readonly #leaving = new AbortController()
  readonly #startedAt: number
  readonly #troubles = new Set<Trouble>()
  readonly #readiness: Readiness
  readonly #work: SessionWork
  #launcher: Launcher | undefined
  #isStopped = false
  #isHeld = false
  #isHandedOver = false
  /** Resolves when the signal has aborted and everything is released. */
  readonly done: Promise<void>

  constructor(options: AgentOptions, world: World, signal: AbortSignal) {
    const { keys, clock, pool, agent } = options
    this.#options = options
    this.#world = world
    this.#signal = signal
    this.#startedAt = clock.now()
    this.#readiness = createReadiness(
      { world, keys, clock, pool, agent },
      {
        running: () => this.running,
        troubles: this.#troubles,
        lacksPoolKey: () => options.lacksPoolKey?.() ?? false,
      },
    )
    this.#work = new SessionWork({
      options,
      world,
      readiness: this.#readiness,
      troubles: this.#troubles,
      registration: launcher => this.#registration(launcher),
      mayClaim: () => !this.#isStopped && !this.#isHeld && this.#readiness.refusal() === undefined,
      hold: () => {
        this.#isHeld = true
        return () => void (this.#isHeld = false)
      },
    })
    this.#tellSealKey()
    this.done = this.#run()
  }

  #tellSealKey(): void {
    const { keys, pool, onSealKey } = this.#options
    const tell = () => onSealKey?.(this.#world.pools.get(keys.pool(pool))?.value.sealKey ?? '')
    this.#world.pools.onChange(tell)
    tell()
  }

  /** How long nothing has proved that the watches are alive, ms. */
  staleForMs(): number {
    return this.#world.staleForMs()
  }

  /** Runs that it has or is claiming. */
  get running(): number {
    return this.#work.running
  }

  stopClaiming(): void {
    this.#isStopped = true
  }

  /**
   * Whether nothing is claimed, being claimed, running or waiting to be recorded. Between two sessions the launcher knows that; without a
   * launcher the answer is no.
   */
  async isIdle(): Promise<boolean> {
    if (this.running > 0) return false
    if (this.#work.session) return true
    const known = await this.#launcher?.runs(this.#signal).catch(() => undefined)
    return known?.every(({ id }) => this.#options.output.isResultRecorded(id)) ?? false
  }

  /**
   * Keeps the session for 120 s without this process, for the next agent on this machine, so that no run is fenced meanwhile. For a process
   * that ends right afterwards. Does nothing without a session or without runs. Rejects if etcd does not answer.
   */
  async handOver(): Promise<void> {
    const { session } = this.#work
    const launcher = this.#launcher
    if (!session || !launcher || this.running === 0) return
    const options = this.#sessionOptions(launcher)
    // A keepalive of the lease that is left behind must not lower the fence any more.
    this.#isHandedOver = true
    await moveTo(options, session, handOverSeconds(session))
  }

  /** Ends every run with this reason. Answers the longest grace period of them, ms. */
  killAll(reason: string): number {
    return this.#work.killAll(reason)
  }

  /** Ends the session, if there is one, and the launcher: nothing is left to be resumed. */
  async leave(): Promise<void> {
    // The loop must not start another launcher in place of the one that is ended here.
    this.#leaving.abort(new Error('the agent leaves'))
    const lease = this.#work.session?.lease
    await this.#launcher?.stop(false)
    if (lease) await this.#options.etcd.revoke(lease)
  }

  async #run(): Promise<void> {
    const { output, launcher: connect, log, clock } = this.#options
    while (!this.#signal.aborted && !this.#leaving.signal.aborted) {
      try {
        const { launcher, off } = output.attach(await connect(this.#signal))
        this.#launcher = launcher
        await this.#onLauncher(launcher).finally(() => {
          this.#launcher = undefined
          off()
          launcher.close()
        })
      } catch (error) {
        if (this.#signal.aborted) break
        log.error({ error: messageOf(error) }, 'launcher.unavailable')
        await clock.sleep(RECONNECT_MS, this.#signal).catch(() => undefined)
      }
    }
    await this.#world.close()
  }

  async #onLauncher(launcher: Launcher): Promise<void> {
    const { log } = this.#options
    if (!launcher.features.has('resources'))
      log.info({ launcher: launcher.implementation }, 'launcher.withoutLimits')
    const closed = new AbortController()
    launcher.onClosed(reason => closed.abort(new Error(`launcher: ${reason}`)))
    const options = this.#sessionOptions(launcher)
    const renewing: SessionOptions = {
      ...options,
      // Nor may its session move to a lease of another TTL.
      ttlSeconds: () =>
        (this.#isHandedOver ? this.#work.session?.ttlSeconds : undefined) ?? options.ttlSeconds(),
      fence: (session, until) => {
        if (!this.#isHandedOver) options.fence(session, until)
      },
    }
    await holdSessions(renewing, AbortSignal.any([closed.signal, this.#signal]), (session, lost) =>
      this.#work.run(session, launcher, lost),
    )
  }

  #sessionOptions(launcher: Launcher): SessionOptions {
    const { keys, pool } = this.#options
    return {
      ...this.#options,
      ttlSeconds: () => this.#world.pools.get(keys.pool(pool))?.value.ttlSeconds ?? DEFAULT_TTL_SECONDS,
      registration: () => this.#registration(launcher),
      fence: (session, until) => launcher.fence(String(session), until),
    }
  }

  #registration({ instance }: Launcher): Registration {
    return {
      version: this.#options.version,
      instance,
      startedAt: this.#startedAt,
      tzdata: process.versions.tz ?? '',
    }
  }
}
