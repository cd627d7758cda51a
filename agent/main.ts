import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../core/errors.ts'
import { createKeys } from '../core/keys.ts'
import { systemClock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { flock } from '../platform/flock.ts'
import { giveBackMemory } from '../platform/garbage-collection.ts'
import { createLog, type Log } from '../platform/log.ts'
import { version } from '../platform/version.ts'
import { connectEtcd } from '../store/etcd/client.ts'
import { type Agent, startAgent } from './agent.ts'
import { buildOf, containerHelper, type LauncherProgram, launcherProgram } from './launcher/binaries.ts'
import { copyToHost } from './launcher/detach.ts'
import { ensureLauncher } from './launcher/start.ts'
import { connectIngest } from './output/ingest-client.ts'
import { type Output, startOutput } from './output/output.ts'
import { type AgentConfig, readConfig } from './startup/config.ts'
import { readIdentity } from './startup/identity.ts'
import { readLocalPolicy } from './startup/local-policy.ts'

export { launcherProgram }

/** How long killed runs may take to be recorded before the agent leaves, beyond their grace, ms. */
const LAST_WORDS_MS = 15_000
/** And their output to be stored. */
const LAST_OUTPUT_MS = 10_000
const POLL_MS = 50

/** Runs an agent until `stop` aborts. Settings as `readConfig` takes them. */
export async function main(settings: Record<string, unknown>, stop: AbortSignal): Promise<void> {
  const config = readConfig(settings)
  const log = createLog(config.logLevel, { part: 'agent', agent: config.name, pool: config.pool })
  const identity = await readIdentity(config.identity)
  const policy = await readLocalPolicy(config.policyPath, !config.defaultPolicy, config.user)
  await mkdir(config.state, { recursive: true, mode: 0o700 })
  const lock = await flock(join(config.state, 'agent.lock'))
  if (lock.kind === 'held') {
    throw new InvalidInput(
      '--state',
      `${config.state} is in use by another agent; give each agent a state directory of its own`,
    )
  }
  const { program, helper } = await programsFor(config, log)
  const etcd = connectEtcd({ endpoints: config.endpoints, tls: identity.tls, log })
  const ended = new AbortController()
  const client =
    config.operator === undefined
      ? undefined
      : connectIngest({ url: config.operator, tls: identity.tls, pool: config.pool, agent: config.name })
  const output = await startOutput(
    {
      client,
      quota: config.spoolQuota,
      stateDir: config.state,
      clock: systemClock,
      log,
      random: Math.random,
    },
    ended.signal,
  )
  // A bug: the agent ends, and what is thrown is seen below.
  output.done.catch(error => ended.abort(error))
  const isForGood = config.drainSeconds === undefined
  const fate = {
    ...(isForGood ? {} : { dieWith: process.ppid }),
    ...(isForGood || config.hostNamespaces
      ? { surroundings: { hostNamespaces: config.hostNamespaces } }
      : {}),
  }
  try {
    const agent = await startAgent(
      {
        etcd,
        keys: createKeys(config.prefix),
        pool: config.pool,
        agent: config.name,
        version,
        stateDir: config.state,
        operatorKey: identity.operatorKey,
        poolKey: identity.poolKey,
        policy,
        containers: { helper, endpoints: config.runtimeEndpoint, podsOnly: isOnNode(config) },
        clock: systemClock,
        log,
        output,
        launcher: signal => ensureLauncher({ stateDir: config.state, log, program, signal, ...fate }),
        launcherBuild: program.build,
      },
      ended.signal,
      stop,
    ).catch(error => {
      if (!stop.aborted) throw error
      log.info({ error: messageOf(error) }, 'agent.stoppedEarly')
    })
    // It had not seen its pool yet: nothing is claimed, and what runs goes on for the next one.
    if (!agent) return
    void giveBackMemory(systemClock, () => agent.running === 0, ended.signal)
    await aborted(AbortSignal.any([stop, ended.signal]))
    agent.stopClaiming()
    if (config.drainSeconds !== undefined) await drain(agent, output, config.drainSeconds * 1_000)
    else await handOver(agent, log)
    ended.abort(new Error('the agent was told to stop'))
    await Promise.all([agent.done, output.done])
  } finally {
    // What is left of it must not keep the process, whatever failed.
    ended.abort(new Error('the agent has ended'))
    client?.close()
    await etcd.close()
    if (lock.kind === 'locked') lock.release()
  }
}

/** Kubernetes sets this variable in every Pod. */
function isOnNode({ hostNamespaces }: AgentConfig): boolean {
  return hostNamespaces || process.env.KUBERNETES_SERVICE_HOST !== undefined
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

/** Without it the next agent has the rest of the TTL to come. */
async function handOver(agent: Agent, log: Log): Promise<void> {
  try {
    await agent.handOver()
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'session.notHandedOver')
  }
}

/** Waits for runs, then kills what is left, so that each is recorded and its output stored; the session goes with it. */
async function drain(agent: Agent, output: Output, limitMs: number): Promise<void> {
  await settled(agent, limitMs)
  const grace = agent.killAll('AgentStopped')
  await settled(agent, grace + LAST_WORDS_MS)
  await output.flush(LAST_OUTPUT_MS)
  await agent.leave()
}

async function settled(agent: Agent, limitMs: number): Promise<void> {
  const until = systemClock.monotonic() + limitMs
  while (!(await agent.isIdle()) && systemClock.monotonic() < until) await systemClock.sleep(POLL_MS)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
