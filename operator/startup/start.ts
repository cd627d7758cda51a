import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { createKeys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import { flock } from '../../platform/flock.ts'
import type { Log } from '../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import type { Tls } from '../../store/etcd/connection.ts'
import { serveHealth } from '../api/health.ts'
import type { Context } from '../context.ts'
import { type Authority, OPERATOR_USER, openAuthority } from '../identity/authority.ts'
import { openIdentity } from '../identity/identity.ts'
import { fileKeyStore, type KeyStore } from '../identity/keystore.ts'
import { secretKeyStore } from '../identity/keystore-secret.ts'
import { type LeaderTask, leadOperator } from '../operator.ts'
import { createDirectoryResources } from '../resources/directory/resources.ts'
import { createEtcdStatusStore } from '../resources/directory/status-store.ts'
import type { KubeApi } from '../resources/kubernetes/api.ts'
import { connectKubernetes } from '../resources/kubernetes/connect.ts'
import { createKubernetesResources } from '../resources/kubernetes/resources.ts'
import type { Resources } from '../resources/port.ts'
import { createOutcomeNotifier, type OutcomeNotifier } from '../upkeep/outcome-notifier.ts'
import type { OperatorConfig } from './config.ts'
import { lead } from './leader-election.ts'
import { localAgents, withAgents } from './local-agents.ts'
import { usableLogStore } from './open-log-store.ts'

export interface StartOptions {
  config: OperatorConfig
  clock: Clock
  log: Log
  /** What lives as long as this operator leads. */
  parts(of: AcrossTerms): readonly LeaderTask[]
}

/** What lasts from one term to the next. */
export interface AcrossTerms {
  outcomes: OutcomeNotifier
  stateDir: string
  authority: Authority
}

export interface Operator {
  /** Undefined while another one leads, or nothing was seen yet. */
  context(): Context | undefined
  setDraining(draining: boolean): void
  readonly healthPort: number | undefined
  /** Resolves when the signal has aborted and all is let go; rejects when it cannot go on. */
  readonly done: Promise<void>
}

/** How long the operator's own certificate for etcd is good, h: it gets another one at each start. */
const CERTIFICATE_HOURS = 24 * 365
const LEASE = 'shellcron-operator'
const KEYS = 'shellcron-keys'
/** Sources that say nothing for so long are not to be relied on, ms. */
const SILENT_MS = 300_000
/** How long the end may wait for the outbox, ms. */
const LAST_DRAIN_MS = 3_000

export async function startOperator(options: StartOptions, signal: AbortSignal): Promise<Operator> {
  const { config, clock, log } = options
  const { mode } = config
  await mkdir(mode.stateDir, { recursive: true, mode: 0o700 })
  const lock = await flock(join(mode.stateDir, 'operator.lock'))
  if (lock.kind === 'held')
    throw new InvalidInput('--state', `${mode.stateDir} is in use by another operator`)
  const release = () => void (lock.kind === 'locked' && lock.release())
  const of = { stateDir: mode.stateDir, clock, log }
  const over = new AbortController()
  const { logStore, settled } = await usableLogStore(
    config.logStore,
    of,
    AbortSignal.any([signal, over.signal]),
  ).catch((error: unknown) => {
    release()
    throw error
  })
  const api = mode.kind === 'kubernetes' ? connectKubernetes(mode.kubeconfig) : undefined
  const store = await keyStoreOf(config, api)
  const identity = await openIdentity(store)
  const authority = await openAuthority(store)
  const keys = createKeys(config.prefix)
  const tls = await tlsOf(config, authority)
  const etcd = connectEtcd({ endpoints: config.endpoints, log, ...(tls ? { tls } : {}) })
  const lasting: AcrossTerms = {
    outcomes: createOutcomeNotifier(logStore),
    stateDir: mode.stateDir,
    authority,
  }
  const state: { context?: Context | undefined; lookAtAll?: () => void; draining: boolean } = {
    draining: config.draining,
  }

  const whileLeading = async (leading: AbortSignal): Promise<void> => {
    const term = new AbortController()
    const until = AbortSignal.any([leading, term.signal])
    const resources = await resourcesOf()
    try {
      await resources.start(until)
      await leadOperator(
        {
          etcd,
          keys,
          clock,
          log,
          identity,
          resources,
          memory: logStore,
          allowWithoutPolicy: mode.kind === 'directory',
          draining: () => state.draining,
          parts: options.parts(lasting),
          onLeading: (context, lookAtAll) => {
            Object.assign(state, { context, lookAtAll })
            log.info({ mode: mode.kind }, 'operator.ready')
          },
        },
        until,
      )
    } finally {
      state.context = undefined
      term.abort(new Error('the term is over'))
    }
  }

  async function resourcesOf(): Promise<Resources> {
    if (mode.kind === 'kubernetes') return createKubernetesResources({ api: api as KubeApi, clock, log })
    const resources = createDirectoryResources({
      directory: mode.directory,
      made: join(mode.stateDir, 'runs'),
      given: mode.secrets,
      store: createEtcdStatusStore(etcd, keys),
      clock,
      log,
    })
    return withAgents(resources, await localAgents(mode.stateDir))
  }

  const health =
    config.health &&
    (await serveHealth({
      ...config.health,
      ill: () => undefined,
      unready: () => unready(state.context),
    }))

  const run = async () => {
    const ending = new AbortController()
    const told = () =>
      void lastDrain(etcd, { prefix: keys.results, clock }).finally(() => ending.abort(signal.reason))
    if (signal.aborted) ending.abort(signal.reason)
    else signal.addEventListener('abort', told, { once: true })
    settled.catch((error: unknown) => ending.abort(error))
    try {
      if (mode.kind === 'kubernetes') {
        const { namespace, identity: self } = mode
        const election = { api: api as KubeApi, clock, log, namespace, name: LEASE, identity: self }
        await lead(election, ending.signal, whileLeading)
      } else await whileLeading(ending.signal)
      // Not told to end, and ended: the log store is not one that may be used.
      if (!signal.aborted) ending.signal.throwIfAborted()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', told)
      over.abort(new Error('the operator ends'))
      await health?.close()
      await etcd.close()
      await logStore.close()
      release()
    }
  }
  return {
    context: () => state.context,
    setDraining(draining) {
      state.draining = draining
      if (state.context) state.lookAtAll?.()
    },
    healthPort: health?.port,
    done: run(),
  }
}

/** What agents recorded just before we were told to end is stored yet, if that is a matter of moments. */
async function lastDrain(etcd: Etcd, { prefix, clock }: { prefix: string; clock: Clock }): Promise<void> {
  const until = clock.monotonic() + LAST_DRAIN_MS
  try {
    while (clock.monotonic() < until && (await etcd.list(prefix)).items.length > 0) await clock.sleep(50)
  } catch {
    // Then the next one does it.
  }
}

function unready(context: Context | undefined): string | undefined {
  if (!context) return 'does not lead'
  if (!context.mirrors.synced()) return 'etcd is out of reach'
  return context.resources.silence() > SILENT_MS ? 'objects are out of reach' : undefined
}

async function keyStoreOf({ mode }: OperatorConfig, api: KubeApi | undefined): Promise<KeyStore> {
  return mode.kind === 'kubernetes' && api
    ? secretKeyStore({ api, namespace: mode.namespace, name: KEYS })
    : fileKeyStore(keysDir(mode.stateDir))
}

/** Where a standalone operator keeps its keys. */
export function keysDir(stateDir: string): string {
  return join(stateDir, 'keys')
}

async function tlsOf(config: OperatorConfig, authority: Authority): Promise<Tls | undefined> {
  if (config.etcdIdentity !== undefined) {
    const dir = config.etcdIdentity
    const read = async (name: string) => {
      try {
        return await readFile(join(dir, name), 'utf8')
      } catch (error) {
        throw new InvalidInput('--etcd-identity', `${dir} has no readable ${name}`, { cause: error })
      }
    }
    return { ca: await read('ca.crt'), cert: await read('tls.crt'), key: await read('tls.key') }
  }
  if (!config.endpoints.some(endpoint => endpoint.startsWith('https:'))) return undefined
  return { ca: authority.caCert, ...(await authority.client(OPERATOR_USER, CERTIFICATE_HOURS)) }
}
