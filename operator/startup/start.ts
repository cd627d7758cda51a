import { join } from 'node:path'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import type { Clock } from '../../platform/clock.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import type { Log } from '../../platform/log.ts'
import { type Health, serveHealth } from '../api/health.ts'
import type { Context } from '../context.ts'
import type { Access } from '../identity/access.ts'
import type { Authority } from '../identity/authority.ts'
import { type LeaderTask, leadOperator } from '../operator.ts'
import { createDirectoryResources } from '../resources/directory/resources.ts'
import { createEtcdStatusStore } from '../resources/directory/status-store.ts'
import { createKubernetesResources } from '../resources/kubernetes/resources.ts'
import type { Resources } from '../resources/port.ts'
import { createOutcomeNotifier, type OutcomeNotifier } from '../upkeep/outcome-notifier.ts'
import type { OperatorConfig } from './config.ts'
import { waitForOutbox } from './last-drain.ts'
import { lead } from './leader-election.ts'
import { localIdentities, type MadeAgents, readAgents, withAgents } from './local-agents.ts'
import { type Opened, open } from './open.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { reportDenials } from './report-denials.ts'

export interface StartOptions {
  config: OperatorConfig
  clock: Clock
  log: Log
  /** Tasks that run while this operator leads. */
  tasks(of: AcrossTerms): readonly LeaderTask[]
}

/** What tasks share from one term of leadership to the next. */
export interface AcrossTerms {
  outcomes: OutcomeNotifier
  stateDir: string
  authority: Authority
  /** undefined: etcd is used without users. */
  access: Access | undefined
  /** undefined: standalone. */
  api: KubeApi | undefined
  /** Standalone: agents that the directory does not have. Set while this operator leads. */
  made(): MadeAgents | undefined
}

export interface Operator {
  /** undefined while another operator leads, or until etcd and the objects have been read. */
  context(): Context | undefined
  setDraining(draining: boolean): void
  readonly healthPort: number | undefined
  /** Resolves after the signal has aborted and everything is closed; rejects on a fault that ends the operator. */
  readonly done: Promise<void>
}

const LEASE = 'shellcron-operator'

/**
 *   opened ─▶ candidate ─▶ leading: objects and etcd read, tasks run ─▶ candidate again
 *                              └ signal aborts ─▶ outbox drained, for seconds at most ─▶ closed
 */
export async function startOperator(options: StartOptions, signal: AbortSignal): Promise<Operator> {
  const opened = await open(options, signal)
  const operator = new RunningOperator(options, opened)
  const { health } = options.config
  const server =
    health &&
    (await serveHealth({
      ...health,
      ill: () => undefined,
      unready: () => operator.readiness.unready(operator.context),
      state: () => (operator.context ? 'ok' : 'candidate'),
    }))
  return {
    context: () => operator.context,
    setDraining: draining => operator.setDraining(draining),
    healthPort: server?.port,
    done: operator.run(signal, server),
  }
}

class RunningOperator {
  readonly #options: StartOptions
  readonly #opened: Opened
  readonly #outcomes: OutcomeNotifier
  #draining: boolean
  #context: Context | undefined
  #enqueueAll: (() => void) | undefined
  #made: MadeAgents | undefined
  readonly #readiness = createReadiness()

  constructor(options: StartOptions, opened: Opened) {
    this.#options = options
    this.#opened = opened
    this.#draining = options.config.draining
    this.#outcomes = createOutcomeNotifier(opened.logStore)
  }

  get context(): Context | undefined {
    return this.#context
  }

  setDraining(draining: boolean): void {
    this.#draining = draining
    if (this.#context) this.#enqueueAll?.()
  }

  get readiness(): Readiness {
    return this.#readiness
  }

  async run(signal: AbortSignal, health: Health | undefined): Promise<void> {
    const ending = new AbortController()
    const onAbort = () => void this.#waitForOutbox().finally(() => ending.abort(signal.reason))
    if (signal.aborted) ending.abort(signal.reason)
    else signal.addEventListener('abort', onAbort, { once: true })
    this.#opened.logStoreChecked.catch((error: unknown) => ending.abort(error))
    try {
      await this.#campaign(ending.signal)
      // It ended without being told to: the log store must not be used.
      if (!signal.aborted) ending.signal.throwIfAborted()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
      await health?.close()
      await this.#opened.close()
    }
  }

  #waitForOutbox(): Promise<void> {
    const { etcd, keys } = this.#opened
    return waitForOutbox(etcd, keys, this.#options.clock)
  }

  /** In directory mode there is no election: the lock on the state directory admits one operator. */
  async #campaign(signal: AbortSignal): Promise<void> {
    const { clock, log, config } = this.#options
    const { mode } = config
    if (mode.kind === 'directory') return this.#serveTerm(signal)
    const { namespace, identity } = mode
    const { onAttempt } = this.#readiness
    const api = this.#opened.api as KubeApi
    const election = { api, clock, log, namespace, name: LEASE, identity, onAttempt }
    await lead(election, signal, leading => this.#serveTerm(leading))
  }

  async #serveTerm(leading: AbortSignal): Promise<void> {
    const { clock, log, config } = this.#options
    const { etcd, keys, identity, logStore, access } = this.#opened
    const term = new AbortController()
    const signal = AbortSignal.any([leading, term.signal])
    const resources = await this.#createResources()
    this.#readiness.onTerm(resources)
    const reporting = this.#reportDenials(resources, signal)
    try {
      await resources.start(signal)
      await leadOperator(
        {
          etcd,
          keys,
          clock,
          log,
          identity,
          resources,
          memory: logStore,
          allowWithoutPolicy: config.mode.kind === 'directory',
          draining: () => this.#draining,
          ...(config.awaitedAgent ? { awaitedAgent: config.awaitedAgent } : {}),
          ...(access ? { identities: { access, localIdentities: () => this.#localIdentities() } } : {}),
          tasks: this.#tasks(),
          onLeading: (context, enqueueAll) => this.#onLeading(context, enqueueAll),
        },
        signal,
      )
    } finally {
      this.#context = undefined
      this.#readiness.onTerm(undefined)
      term.abort(new Error('the term is over'))
      await reporting
    }
  }

  async #localIdentities(): Promise<AgentIdentity[]> {
    const { mode } = this.#options.config
    return mode.kind === 'directory' ? localIdentities(mode.stateDir) : []
  }

  async #reportDenials(resources: Resources, signal: AbortSignal): Promise<void> {
    const { api } = this.#opened
    const { clock, log, config } = this.#options
    const { mode } = config
    if (!api || mode.kind !== 'kubernetes') return
    await reportDenials(
      { api, clock, log, lease: { namespace: mode.namespace, name: LEASE } },
      resources,
      signal,
    )
  }

  #tasks(): readonly LeaderTask[] {
    const { authority, access, api } = this.#opened
    const { stateDir } = this.#options.config.mode
    const made = () => this.#made
    return this.#options.tasks({ outcomes: this.#outcomes, stateDir, authority, access, api, made })
  }

  #onLeading(context: Context, enqueueAll: () => void): void {
    this.#context = context
    this.#enqueueAll = enqueueAll
    this.#options.log.info({ mode: this.#options.config.mode.kind }, 'operator.ready')
  }

  async #createResources(): Promise<Resources> {
    const { clock, log, config } = this.#options
    const { api, etcd, keys } = this.#opened
    const { mode } = config
    if (mode.kind === 'kubernetes') return createKubernetesResources({ api: api as KubeApi, clock, log })
    const resources = createDirectoryResources({
      directory: mode.directory,
      made: join(mode.stateDir, 'runs'),
      given: mode.secrets,
      trust: config.trust,
      store: createEtcdStatusStore(etcd, keys),
      clock,
      log,
    })
    this.#made = withAgents(resources, mode.stateDir, await readAgents(mode.stateDir))
    return this.#made.resources
  }
}
