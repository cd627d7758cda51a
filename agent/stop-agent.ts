import { systemClock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Agent } from './agent.ts'
import type { Output } from './output/output.ts'

/** After a kill, how long beyond their grace runs may take to end and to be recorded, ms. */
const RECORD_WITHIN_MS = 15_000
/** How long their output may then take to be stored, ms. */
const FLUSH_WITHIN_MS = 10_000
const POLL_MS = 50

/** While ShellCron is uninstalled, how long active runs may go on: no other agent comes after this one. */
const UNINSTALL_SECONDS = 10

/**
 * Drains the agent if `drainSeconds` is set, or if its pool drains because ShellCron is uninstalled. Otherwise hands its session over to the next
 * agent on this machine.
 */
export async function stopAgent(
  agent: Agent,
  output: Output,
  { drainSeconds, log }: { drainSeconds: number | undefined; log: Log },
): Promise<void> {
  agent.stopClaiming()
  const seconds = drainSeconds ?? (agent.isPoolDraining ? UNINSTALL_SECONDS : undefined)
  if (seconds !== undefined) await drain(agent, output, seconds * 1_000)
  else await handOver(agent, log)
}

/** Without a hand-over the next agent has only the rest of the lease's TTL to take the session back. */
async function handOver(agent: Agent, log: Log): Promise<void> {
  try {
    await agent.handOver()
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'session.notHandedOver')
  }
}

/** Waits for runs, then kills the rest. Each run is recorded and its output is stored before the session ends. */
async function drain(agent: Agent, output: Output, limitMs: number): Promise<void> {
  await idle(agent, limitMs)
  const grace = agent.killAll('AgentStopped')
  await idle(agent, grace + RECORD_WITHIN_MS)
  await output.flush(FLUSH_WITHIN_MS)
  await agent.leave()
}

/** Resolves when the agent is idle, or after `limitMs`. */
async function idle(agent: Agent, limitMs: number): Promise<void> {
  const until = systemClock.monotonic() + limitMs
  while (!(await agent.isIdle()) && systemClock.monotonic() < until) await systemClock.sleep(POLL_MS)
}
