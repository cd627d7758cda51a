import { join as joinPath } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import type { EnrolmentAnswer } from '../../core/records/enrolment.ts'
import { systemClock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { type JoinToken, parseJoinToken } from '../../platform/join-token.ts'
import { enrol } from '../identity/enrol.ts'
import { type Identity, readIdentity } from '../startup/identity.ts'
import { awaitHeartbeat, whyNoEtcd } from './await-heartbeat.ts'
import { fetchCa } from './fetch-ca.ts'
import { identityIn, makePlaces, makePolicy, type Places, policyIn, writeEnv } from './machine-files.ts'
import { hasUnit, startUnit } from './unit.ts'

/**
 * Joins this machine to a fleet, step by step. Each step prints a line, and the last line is the verdict. The first step that fails ends it.
 *
 *   the operator has the token's authority ─▶ enrolled ─▶ etcd answers ─▶ files ─▶ agent started ─▶ first heartbeat
 */
export interface JoinOptions {
  url: string
  token: string
  places: Places
  allowRoot: boolean
  /** Users of commands on the host. */
  allowUsers: readonly string[]
  /** How the agent runs: its unit if there is one, this process, or not yet. */
  start: 'unit' | 'foreground' | 'no'
  /** How long the first heartbeat may take, ms. */
  withinMs: number
  say(line: string): void
  /** Runs the agent in this process until it is stopped. */
  runAgent(settings: Record<string, unknown>): Promise<void>
}

/** Resolves to the exit code. */
export async function join(options: JoinOptions): Promise<number> {
  const { say } = options
  try {
    const token = tokenOf(options)
    await makePlaces(options.places)
    const answer = await enrolled(options, token)
    const identity = await readIdentity(identityIn(options.places))
    await reachedEtcd(answer, identity)
    say(`ok      etcd answers at ${answer.etcd.join(', ')}`)
    await writeFiles(options, answer)
    return await started(options, answer, identity)
  } catch (error) {
    if (error instanceof InvalidInput) throw error
    say(`FAILED  ${messageOf(error)}`)
    say(`This machine has not joined.`)
    return 1
  }
}

function tokenOf({ token, url }: JoinOptions): JoinToken {
  const parsed = parseJoinToken(token)
  if (!parsed) throw new InvalidInput('TOKEN', 'is not whole; copy the whole line of join-command')
  if (!/^https:\/\/[^/]+\/?$/.test(url))
    throw new InvalidInput('URL', `"${url}" is not like https://operator.example:9443`)
  return parsed
}

async function enrolled(
  { url, token, places, say }: JoinOptions,
  parsed: JoinToken,
): Promise<EnrolmentAnswer> {
  const ca = await fetchCa(url, parsed.ca)
  say(`ok      ${url} is the operator that made the token`)
  const answer = await enrol({ operator: { url, ca }, token, dir: identityIn(places) })
  const whole = { ...answer, operator: answer.operator || url.replace(/\/$/, '') }
  if (whole.etcd.length === 0)
    throw new Error(
      'the operator does not say where servers reach etcd: set --external-etcd on it (in the chart: external.host)',
    )
  say(`ok      enrolled as ${answer.agent} in pool ${answer.pool}`)
  return whole
}

/** The operator's word about etcd is worth nothing if a firewall is between. */
async function reachedEtcd({ etcd }: EnrolmentAnswer, identity: Identity): Promise<void> {
  const why = await whyNoEtcd({ identity, endpoints: etcd })
  if (why === undefined) return
  throw new Error(
    `cannot use etcd at ${etcd.join(', ')}: ${why}. Check the firewall between here and there; then join again with a new line`,
  )
}

async function writeFiles(
  { places, allowRoot, allowUsers, say }: JoinOptions,
  answer: EnrolmentAnswer,
): Promise<void> {
  await writeEnv(places, answer)
  const policy = await makePolicy(places, { users: allowUsers, root: allowRoot })
  const path = joinPath(places.etc, 'agent.yaml')
  const users = allowRoot ? 'any user, root included' : allowUsers.join(', ')
  say(
    policy === 'kept'
      ? `ok      ${path} stays as it is; edit it to change what the machine allows`
      : `ok      ${path} allows commands in containers, and on the host as ${users}`,
  )
}

async function started(options: JoinOptions, answer: EnrolmentAnswer, identity: Identity): Promise<number> {
  const { say, places, start } = options
  const since = systemClock.now()
  const settings = settingsOf(places, answer)
  if (start === 'foreground') {
    let runs = true
    const running = options.runAgent(settings).finally(() => (runs = false))
    await verdict(options, { answer, identity, since, stillWaits: () => runs })
    await running
    return 0
  }
  if (start === 'no' || !(await hasUnit())) {
    const flags = Object.entries(settings).map(([name, value]) => `--${flagOf(name)} ${String(value)}`)
    say(`${answer.agent} is enrolled. systemd has no unit for the agent here, so start it yourself:`)
    say(`  shellcron agent ${flags.join(' ')}`)
    return 0
  }
  const unit = await startUnit()
  if (!unit.ok) throw new Error(`shellcron-agent.service does not start: ${unit.said}`)
  say('ok      shellcron-agent.service runs, now and after each boot')
  return (await verdict(options, { answer, identity, since, stillWaits: () => true })) ? 0 : 1
}

function settingsOf(places: Places, { etcd, operator }: EnrolmentAnswer): Record<string, unknown> {
  return {
    endpoints: etcd,
    operator,
    identity: identityIn(places),
    localPolicy: policyIn(places),
    state: places.state,
  }
}

async function verdict(
  { say, withinMs, places }: JoinOptions,
  of: { answer: EnrolmentAnswer; identity: Identity; since: number; stillWaits(): boolean },
): Promise<boolean> {
  const { answer, identity, since, stillWaits } = of
  const endpoints = answer.etcd
  const heartbeat = await awaitHeartbeat({
    identity,
    endpoints,
    clock: systemClock,
    since,
    withinMs,
    stillWaits,
  })
  const { agent } = answer
  if (heartbeat.kind === 'ready') {
    say(
      `${agent} has joined: it is Ready, with its first heartbeat after ${seconds(systemClock.now() - since)} s.`,
    )
    return true
  }
  if (heartbeat.kind === 'trouble') {
    say(
      `FAILED  ${agent} has joined, but is not Ready: ${heartbeat.reason}. See docs/servers.md, "When the agent claims nothing"`,
    )
    return false
  }
  say(
    `FAILED  ${agent} is enrolled, but sent no heartbeat in ${seconds(withinMs)} s. Look at its log: journalctl -u shellcron-agent; its settings are in ${places.etc}/agent.env`,
  )
  return false
}

function flagOf(setting: string): string {
  return setting.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
