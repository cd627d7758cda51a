import { InvalidInput } from '../core/errors.ts'
import { createKeys } from '../core/keys.ts'
import { systemClock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { giveBackMemory } from '../platform/garbage-collection.ts'
import { createLog, type Log } from '../platform/log.ts'
import { version } from '../platform/version.ts'
import { connectEtcd } from '../store/etcd/client.ts'
import { type Agent, startAgent } from './agent.ts'
import { createReadyFile } from './health/ready-file.ts'
import { doubtWhenStale, keptIdentity } from './identity/agent-identity.ts'
import { RefusedByOperator } from './identity/ask-operator.ts'
import { type IdentitySettings, usableIdentity } from './identity/usable-identity.ts'
import { buildOf, containerHelper, type LauncherProgram, launcherProgram } from './launcher/binaries.ts'
import { copyToHost } from './launcher/detach.ts'
import { ensureLauncher, type LauncherOptions } from './launcher/start.ts'
import type { AgentOptions } from './options.ts'
import { connectIngest, type IngestClient } from './output/ingest-client.ts'
import { type OutputOptions, startOutput } from './output/output.ts'
import { type AgentConfig, configFor, isInPod, readConfig } from './startup/config.ts'
import type { Identity } from './startup/identity.ts'
import { readLocalPolicy } from './startup/local-policy.ts'
import { lockState } from './startup/lock-state.ts'
import { stopAgent } from './stop-agent.ts'

export { join } from './join/join.ts'
export { leave } from './join/leave.ts'
export { launcherProgram }

/** Runs an agent until `stop` aborts. Takes settings as `readConfig` does. */
export async function main(settings: Record<string, unknown>, stop: AbortSignal): Promise<void> {
  const given = readConfig(settings)
  const own = { clock: systemClock, log: createLog(given.logLevel, { part: 'agent' }) }
  const unlock = await lockState(given.state, given.trust)
  try {
    const identity = await usableIdentity(identitySettings(given), own, stop).catch(unlessStopped(stop))
    if (identity) await run(configFor(given, identity.agent), identity, stop)
  } finally {
    unlock()
  }
}

function identitySettings(of: ReturnType<typeof readConfig>): IdentitySettings {
  const { identity: dir, identityTrust: trust, operator, enrolTokenFile, ca: caFile } = of
  return { dir, trust, operator, enrolTokenFile, caFile }
}

function unlessStopped(stop: AbortSignal): (error: unknown) => undefined {
  return error => {
    if (stop.aborted) return undefined
    if (error instanceof RefusedByOperator)
      throw new InvalidInput('--identity', error.message, { cause: error })
    throw error
  }
}

async function run(config: AgentConfig, identity: Identity, stop: AbortSignal): Promise<void> {
  const log = createLog(config.logLevel, { part: 'agent', agent: config.name, pool: config.pool })
  const policy = await readLocalPolicy(config.policyPath, {
    mustExist: !config.defaultPolicy,
    ownUser: config.user,
    trust: config.trust,
  })
  const { program, helper } = await programsFor(config, log)
  const etcd = connectEtcd({ endpoints: config.endpoints, tls: identity.tls, log })
  const client = ingestClientOf(config, identity)
  const ended = new AbortController()
  const kept = keptIdentity({ config, identity, etcd, client, log }, () =>
    ended.abort(new Error('this identity has ended')),
  )
  try {
    const output = await startOutput(outputOptions(config, client, log), ended.signal)
    // Output fails only because of a bug. The agent then ends, and awaiting `done` below throws the error.
    output.done.catch(error => ended.abort(error))
    const how = { ...launcherLifetime(config), openFiles: config.openFiles }
    const limited = { ...program, command: [...program.command, ...pidsLimitOf(config)] }
    const options: AgentOptions = {
      etcd,
      keys: createKeys(config.prefix),
      pool: config.pool,
      agent: config.name,
      version,
      stateDir: config.state,
      operatorKey: identity.operatorKey,
      poolKeys: () => kept.current().poolKeys,
      onSealKey: pem => kept.sealKeyIs(pem),
      lacksPoolKey: () => kept.lacksPoolKey(),
      policy,
      containers: { helper, endpoints: config.runtimeEndpoint, podsOnly: isOnNode(config) },
      clock: systemClock,
      log,
      output,
      launcher: signal => ensureLauncher({ stateDir: config.state, log, program: limited, signal, ...how }),
      launcherBuild: program.build,
      ...readyFileOf(config),
    }
    void kept.run(ended.signal)
    const agent = await startUnlessStopped(options, ended.signal, stop)
    if (!agent) return
    void giveBackMemory(systemClock, () => agent.running === 0, ended.signal)
    void doubtWhenStale(agent, kept, ended.signal)
    await aborted(AbortSignal.any([stop, ended.signal]))
    await stopAgent(agent, output, { drainSeconds: config.drainSeconds, log })
    ended.abort(new Error('the agent was told to stop'))
    await Promise.all([agent.done, output.done])
  } finally {
    // Whatever failed, nothing of the agent may keep the process alive.
    ended.abort(new Error('the agent has ended'))
    client?.close()
    await etcd.close()
  }
}

function readyFileOf({ readyFile: path }: AgentConfig): Pick<AgentOptions, 'onReady'> {
  return path === undefined ? {} : { onReady: createReadyFile(path).set }
}

function pidsLimitOf({ pidsLimit }: AgentConfig): string[] {
  return pidsLimit === undefined ? [] : ['--pids-limit', String(pidsLimit)]
}

/** undefined: no operator is set, so output stays on this machine. */
function ingestClientOf(
  { operator: url, pool, name: agent }: AgentConfig,
  { tls }: Identity,
): IngestClient | undefined {
  return url === undefined ? undefined : connectIngest({ url, tls, pool, agent })
}

function outputOptions(config: AgentConfig, client: IngestClient | undefined, log: Log): OutputOptions {
  return {
    client,
    quota: config.spoolQuota,
    stateDir: config.state,
    clock: systemClock,
    log,
    random: Math.random,
  }
}

/** An agent that drains leaves nothing behind. Otherwise the launcher outlives the agent, and its runs go on for the next one. */
function launcherLifetime({
  drainSeconds,
  hostNamespaces,
  trust,
}: AgentConfig): Pick<LauncherOptions, 'dieWith' | 'owners' | 'surroundings'> {
  const outlivesAgent = drainSeconds === undefined
  return {
    owners: [...trust.owners].filter(uid => uid !== 0 && uid !== trust.caller),
    ...(outlivesAgent ? {} : { dieWith: process.ppid }),
    ...(outlivesAgent || hostNamespaces ? { surroundings: { hostNamespaces } } : {}),
  }
}

/** undefined: `stop` aborted before the agent had read its pool. It has claimed nothing, and its runs go on for the next agent. */
async function startUnlessStopped(
  options: AgentOptions,
  signal: AbortSignal,
  stop: AbortSignal,
): Promise<Agent | undefined> {
  try {
    return await startAgent(options, signal, stop)
  } catch (error) {
    if (!stop.aborted) throw error
    options.log.info({ error: messageOf(error) }, 'agent.stoppedEarly')
    return undefined
  }
}

function isOnNode({ hostNamespaces }: AgentConfig): boolean {
  return hostNamespaces || isInPod()
}

/** The launcher to start and the helper for containers; where commands run on the host of a pod, they lie there too. */
async function programsFor(
  config: AgentConfig,
  log: Log,
): Promise<{ program: LauncherProgram; helper?: string }> {
  const program = await launcherProgram()
  const helper = await containerHelper()
  if (!config.hostNamespaces) return { program, ...(helper ? { helper } : {}) }
  const onHost = (path: string) => copyToHost(path, config.state, log)
  const launcher = await onHost(program.command[0] ?? '')
  return {
    program: { ...program, build: await buildOf(launcher), command: [launcher] },
    ...(helper ? { helper: await onHost(helper) } : {}),
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
