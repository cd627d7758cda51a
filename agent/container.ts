import * as z from 'zod'
import type { End } from '../core/outcome.ts'
import type { Command, Entry } from '../core/records/entry.ts'
import type { Arm, ExitRecord } from './launcher/messages.ts'

/** Commands in containers: a launcher runs a helper (launcher/cmd/exec), which runs them through the container's runtime. */

export interface ContainerSettings {
  /** The helper; undefined: none was built for this machine. */
  helper: string | undefined
  /** `unix://` sockets of runtimes; empty: the helper looks where they usually are. */
  endpoints: readonly string[]
  /** This machine is a node of Kubernetes: only Pods are looked for, whatever else runs containers. */
  podsOnly: boolean
}

export type Container = NonNullable<Command['container']>

/** The parts of an `Arm` that differ from a command on the host. Values go by stdin: nobody sees them. */
export function inContainer(
  container: Container,
  { command, namespace }: Pick<Entry, 'command' | 'namespace'>,
  { settings, env }: { settings: ContainerSettings & { helper: string }; env: Record<string, string> },
): Pick<Arm, 'argv' | 'workingDir' | 'stdin' | 'notes'> {
  const request = {
    ...selection(container, namespace, settings),
    shell: command.shell,
    script: command.script,
    env,
    workingDir: command.workingDir ?? '/',
    tty: command.tty ? { columns: 80, rows: 24 } : undefined,
    successExitCodes: command.successExitCodes,
  }
  return {
    argv: [settings.helper],
    workingDir: '/',
    stdin: Buffer.from(JSON.stringify(request)).toString('base64'),
    notes: true,
  }
}

/** Which containers, as the helper is asked. */
export function selection(container: Container, namespace: string, settings: ContainerSettings) {
  const { selector, name = '', pick } = container
  const { endpoints, podsOnly } = settings
  return { endpoints, podsOnly, namespace, selector, name, pick }
}

const told = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  oom: z.boolean().optional(),
})

/** How a run ended, with what its helper told of it. What the launcher ended, the launcher knows best. */
export function endOf({ cause, oom, told: text }: ExitRecord): End {
  if (cause.kind === 'exited' && text !== undefined) {
    const { reason, message, oom: inside } = parseTold(text)
    if (reason !== undefined) return { kind: 'failed', reason, message }
    return { ...cause, ...(inside ? { oom: true } : {}), message }
  }
  return oom && (cause.kind === 'exited' || cause.kind === 'signaled') ? { ...cause, oom } : cause
}

/** What a helper told, with its message as `show` makes it. What is no such thing becomes nothing. */
export function showTold(text: string, show: (message: string) => string): string {
  const { message, ...rest } = parseTold(text)
  return JSON.stringify(message === undefined ? rest : { ...rest, message: show(message) })
}

function parseTold(text: string): z.infer<typeof told> {
  try {
    return told.parse(JSON.parse(text))
  } catch {
    return {}
  }
}
