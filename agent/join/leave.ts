import { access } from 'node:fs/promises'
import { systemClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { askOperator } from '../identity/ask-operator.ts'
import { type Identity, readIdentity } from '../startup/identity.ts'
import { awaitHeartbeat } from './await-heartbeat.ts'
import { identityIn, type Places, readEnv, removeFiles } from './machine-files.ts'
import { hasUnit, stopUnit } from './unit.ts'

/**
 * Undoes `join`:
 *
 *   unit stopped ─▶ runs drained, output sent ─▶ identity ended at the operator ─▶ files removed
 *
 * A step that fails is told, and the next one is done all the same: the machine may leave although nobody answers.
 */
export interface LeaveOptions {
  places: Places
  /** How long active runs may go on, s. */
  drainSeconds: number
  say(line: string): void
  runAgent(settings: Record<string, unknown>, stop: AbortSignal): Promise<void>
}

const CONNECT_WITHIN_MS = 20_000

export async function leave(options: LeaveOptions): Promise<number> {
  const { places, say } = options
  const identity = await readIdentity(identityIn(places)).catch(() => undefined)
  const env = await readEnv(places)
  if (await hasUnit()) {
    const stopped = await stopUnit()
    say(stopped.ok ? 'ok      shellcron-agent.service is stopped and disabled' : `warning: ${stopped.said}`)
  }
  if (identity && env) {
    await attempt(say, 'runs are ended and recorded, output is stored', () => drain(options, identity, env))
    await attempt(say, 'the identity of this machine has ended', () =>
      askOperator({ url: env.operator, ca: identity.tls.ca, client: identity.tls }, '/v1/leave', {}),
    )
  }
  const { keptPolicy } = await removeFiles(places)
  if (keptPolicy) say(`${places.etc}/agent.yaml stays: it was not made by join`)
  const name = identity?.agent?.agent ?? 'it'
  say(
    `This machine has left. The ShellAgent is still there: delete it with \`kubectl delete shellagent ${name}\`, or without Kubernetes with \`shellcron remove-agent ${name}\` on the operator's machine.`,
  )
  return 0
}

/** Lets an agent take the runs over, end them and send their output. */
async function drain(
  { places, drainSeconds, runAgent }: LeaveOptions,
  identity: Identity,
  { endpoints, operator }: { endpoints: string[]; operator: string },
): Promise<void> {
  // Never joined for long enough to have a state.
  if (
    !(await access(places.state)
      .then(() => true)
      .catch(() => false))
  )
    return
  const stop = new AbortController()
  let runs = true
  const settings = {
    endpoints,
    operator,
    identity: identityIn(places),
    state: places.state,
    drainSeconds,
    logLevel: 'error',
  }
  const since = systemClock.now()
  const running = runAgent(settings, stop.signal).finally(() => (runs = false))
  const found = await Promise.race([
    awaitHeartbeat({
      identity,
      endpoints,
      clock: systemClock,
      since,
      withinMs: CONNECT_WITHIN_MS,
      stillWaits: () => runs,
    }),
    running.then(() => undefined),
  ]).finally(() => stop.abort(new Error('the machine leaves')))
  await running
  if (found?.kind === 'none') throw new Error('etcd did not answer, so its session ends by itself')
}

async function attempt(say: LeaveOptions['say'], what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
    say(`ok      ${what}`)
  } catch (error) {
    say(`warning: not done: ${what}: ${messageOf(error)}`)
  }
}
