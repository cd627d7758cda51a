import { createHash, type KeyObject } from 'node:crypto'
import type { Command, Entry } from '../../core/records/entry.ts'
import { sealingContext } from '../../core/records/sealing-context.ts'
import type { Active } from '../../core/records/state.ts'
import { unseal } from '../../platform/sealing.ts'
import type { Arm } from '../launcher/messages.ts'
import { outputLabels } from '../output/attempt-labels.ts'
import type { LocalPolicy } from '../startup/local-policy.ts'
import { type ContainerSettings, inContainer } from './container-command.ts'
import { defaultVariables } from './default-variables.ts'
import { launcherLacks } from './launcher-lacks.ts'
import { limited } from './process-limits.ts'

/** The order with which a launcher starts an attempt. */

/**
 * The id of a launch: an attempt under one generation of its template. An attempt that is claimed again after an edit is another launch.
 * So a launcher starts each id at most once, even if an order is sent twice.
 */
export function launchId({
  run,
  attempt,
  generation,
}: Pick<Active, 'run' | 'attempt' | 'generation'>): string {
  return `${run}#${attempt}@${generation}`
}

/**
 * The variable by which a launcher recognises its processes among all of the machine. Another ShellCron on the machine may run a job of the
 * same name at the same time, so the value has the launcher's instance beside the launch id.
 */
const MARK = 'SHELLCRON_LAUNCH'
const SEALED_LABEL = 'sealed'

interface Executor {
  agent: string
  poolKeys(): readonly KeyObject[]
  launcher: { features: ReadonlySet<string>; instance: string }
  containers: ContainerSettings
  policy: Pick<LocalPolicy, 'env'>
}

/** Why an attempt cannot be started. */
interface Refusal {
  reason: string
  message: string
}

export function launchOrder(entry: Entry, active: Active, by: Executor): Arm | Refusal {
  const { command } = entry
  const secrets = openSealed(entry, by.poolKeys())
  if (!secrets)
    return {
      reason: 'SecretsUnreadable',
      message:
        "the job's Secrets cannot be opened: they are sealed for another key than this agent's pool key; enrol the agent again",
    }
  const env = defaultVariables(command, by.policy.env)
  for (const { name, value } of command.env) env[name] = value
  Object.assign(env, secrets, parametersOf(entry), contextOf(entry, active, by.agent))
  const sealed = sealedLabel(entry)
  const mark = `${launchId(active)}/${by.launcher.instance}`
  env[MARK] = mark
  const how = command.container
    ? containerParts(command.container, entry, { by, env })
    : hostParts(command, { by, env })
  if ('reason' in how) return how
  return {
    id: launchId(active),
    session: String(active.session),
    at: active.notBefore,
    ...how,
    ...(command.activeDeadlineSeconds === undefined
      ? {}
      : { deadlineMs: command.activeDeadlineSeconds * 1_000 }),
    graceMs: command.terminationGracePeriodSeconds * 1_000,
    outputLimit: command.outputLimit,
    ...(command.leftovers === 'Leave' ? { leftovers: 'Leave' as const } : {}),
    fenced: active.buryAfter === undefined,
    mark: `${MARK}=${mark}`,
    labels: { ...outputLabels(active), ...sealed },
  }
}

type Settings = { by: Executor; env: Record<string, string> }
type Parts = Pick<Arm, 'argv' | 'env' | 'workingDir'> & Partial<Arm>

function hostParts(command: Command, { by, env }: Settings): Parts | Refusal {
  const { host = {}, interpreter } = command
  const message = launcherLacks(command, by.launcher.features)
  if (message !== undefined) return { reason: 'Unsupported', message }
  return {
    argv: limited(interpreter ?? [...command.shell, command.script], host.limits),
    ...(interpreter ? { script: command.script } : {}),
    env,
    workingDir: command.workingDir ?? '/',
    ...(host.user ? { user: host.user } : {}),
    ...(host.group ? { group: host.group } : {}),
    userEnv: true,
    ...(host.allowPrivilegeEscalation ? { allowPrivilegeEscalation: true } : {}),
    ...(command.tty ? { tty: { columns: 80, rows: 24 } } : {}),
    ...(host.resources ? { resources: present(host.resources) } : {}),
  }
}

/** The helper carries the mark as any command does. Inside the container it is one more way to find processes that left their tree. */
function containerParts(
  container: NonNullable<Command['container']>,
  entry: Entry,
  { by, env }: Settings,
): Parts | Refusal {
  const { helper } = by.containers
  if (helper === undefined) {
    const message =
      'this agent has no helper for commands in containers: install a complete release, or run `make build` in the checkout'
    return { reason: 'Unsupported', message }
  }
  if (!by.launcher.features.has('notes')) {
    const message =
      'the launcher on this machine is an older version without containers; it is replaced as soon as nothing runs'
    return { reason: 'Unsupported', message }
  }
  const parts = inContainer(container, entry, { settings: { ...by.containers, helper }, env })
  return { ...parts, env: { [MARK]: env[MARK] ?? '' } }
}

/** Identifies the sealed values that a launch was given, so that a later agent process can tell whether the entry still has the same. */
function sealedLabel({ sealed }: Pick<Entry, 'sealed'>): Record<string, string> | undefined {
  return sealed === undefined
    ? undefined
    : { [SEALED_LABEL]: createHash('sha256').update(sealed).digest('base64url') }
}

/**
 * The Secrets' values that a launch was started with, taken from the entry. undefined: the entry has other values now. A launch without the
 * label had no Secrets, or an older agent started it; then the entry's present values are the best guess.
 */
export function secretValues(
  entry: Entry | undefined,
  labels: Readonly<Record<string, string>> | undefined,
  poolKeys: readonly KeyObject[],
): string[] | undefined {
  const told = labels?.[SEALED_LABEL]
  if (told !== undefined && told !== (entry && sealedLabel(entry)?.[SEALED_LABEL])) return undefined
  const values = entry ? openSealed(entry, poolKeys) : {}
  const shown = new Set(entry?.notSecret)
  return values && Object.entries(values).flatMap(([name, value]) => (shown.has(name) ? [] : [value]))
}

function openSealed(entry: Entry, poolKeys: readonly KeyObject[]): Record<string, string> | undefined {
  if (entry.sealed === undefined) return {}
  for (const key of poolKeys) {
    const text = unseal(entry.sealed, key, sealingContext(entry))
    if (text !== undefined) return JSON.parse(text) as Record<string, string>
  }
  return undefined
}

/** Parameters reach a command only as variables, never in the text of its script. */
function parametersOf(entry: Entry): Record<string, string> {
  return Object.fromEntries(Object.entries(entry.parameters).map(([name, value]) => [`PARAM_${name}`, value]))
}

function contextOf(entry: Entry, active: Active, agent: string): Record<string, string> {
  const { placement } = entry.command
  const sharded = placement.mode === 'Shards'
  return {
    SHELLCRON_RUN_ID: active.run,
    SHELLCRON_JOB: active.jobName ?? active.name,
    SHELLCRON_NAMESPACE: active.namespace,
    SHELLCRON_SCHEDULED_TIME: new Date(active.time).toISOString(),
    SHELLCRON_ATTEMPT: String(active.attempt),
    SHELLCRON_AGENT: agent,
    SHELLCRON_SHARD_INDEX: sharded ? active.target : '0',
    SHELLCRON_SHARD_COUNT: String(sharded ? (placement.shards ?? 1) : 1),
    TRACEPARENT: traceparent(active),
  }
}

/** W3C trace context. It is derived, so every component that knows the run knows its trace. */
function traceparent({ uid, run, attempt }: Active): string {
  const trace = createHash('sha256').update(`${uid}/${run}`).digest('hex').slice(0, 32)
  const span = createHash('sha256').update(`${uid}/${run}/${attempt}`).digest('hex').slice(0, 16)
  return `00-${trace}-${span}-01`
}

function present(resources: {
  cpuMillis?: number | undefined
  memoryBytes?: number | undefined
  pids?: number | undefined
}) {
  return {
    ...(resources.cpuMillis === undefined ? {} : { cpuMillis: resources.cpuMillis }),
    ...(resources.memoryBytes === undefined ? {} : { memoryBytes: resources.memoryBytes }),
    ...(resources.pids === undefined ? {} : { pids: resources.pids }),
  }
}
