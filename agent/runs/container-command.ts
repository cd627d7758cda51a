import * as z from 'zod'
import type { Command, Entry } from '../../core/records/entry.ts'
import type { End } from '../../core/runs/outcome.ts'
import type { Arm, ExitRecord } from '../launcher/messages.ts'

/** Commands in containers: the launcher runs a helper (launcher/cmd/exec), which runs the command through the container's runtime. */

export interface ContainerSettings {
  /** The path of the helper; undefined: there is none for this machine. */
  helper: string | undefined
  /** `unix://` sockets of container runtimes; empty: the helper tries the usual places. */
  endpoints: readonly string[]
  /** On a Kubernetes node: only containers of Pods are found. */
  podsOnly: boolean
}

export type Container = NonNullable<Command['container']>

/** The parts of a launch order that differ from a command on the host. Values go through stdin, where no other process can read them. */
export function inContainer(
  container: Container,
  { command, namespace }: Pick<Entry, 'command' | 'namespace'>,
  { settings, env }: { settings: ContainerSettings & { helper: string }; env: Record<string, string> },
): Pick<Arm, 'argv' | 'workingDir' | 'stdin' | 'notes'> {
  const request = {
    ...selection(container, namespace, settings),
    shell: command.interpreter ?? command.shell,
    scriptIsFile: command.interpreter !== undefined,
    script: command.script,
    env,
    workingDir: command.workingDir ?? '/',
    tty: command.tty ? { columns: 80, rows: 24 } : undefined,
    successExitCodes: command.successExitCodes,
    leftovers: command.leftovers,
    graceMs: command.terminationGracePeriodSeconds * 1_000,
  }
  return {
    argv: [settings.helper],
    workingDir: '/',
    stdin: Buffer.from(JSON.stringify(request)).toString('base64'),
    notes: true,
  }
}

/** The helper's request for the containers that a command means. */
export function selection(container: Container, namespace: string, settings: ContainerSettings) {
  const { selector, name = '', pick } = container
  const { endpoints, podsOnly } = settings
  return { endpoints, podsOnly, namespace, selector, name, pick }
}

const helperNote = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  oom: z.boolean().optional(),
})

/** How a run ended, from the launcher's record and the helper's note. If the launcher ended the run, its own cause counts. */
export function endOf({ cause, oom, told: text }: ExitRecord): End {
  if (cause.kind === 'exited' && text !== undefined) {
    const { reason, message, oom: inside } = parseNote(text)
    if (reason !== undefined) return { kind: 'failed', reason, message }
    return { ...cause, ...(inside ? { oom: true } : {}), message }
  }
  return oom && (cause.kind === 'exited' || cause.kind === 'signaled') ? { ...cause, oom } : cause
}

/** Whether the kernel killed a process of the run, on the host or in its container. */
export function ranOutOfMemory({ oom, told }: ExitRecord): boolean {
  return oom === true || (told !== undefined && parseNote(told).oom === true)
}

/** A helper's note with its message redacted by `show`. A note that cannot be parsed becomes empty. */
export function redactNote(text: string, show: (message: string) => string): string {
  const { message, ...rest } = parseNote(text)
  return JSON.stringify(message === undefined ? rest : { ...rest, message: show(message) })
}

function parseNote(text: string): z.infer<typeof helperNote> {
  try {
    return helperNote.parse(JSON.parse(text))
  } catch {
    return {}
  }
}
