import { type Command, commandSchema } from '../../core/records/entry.ts'
import { interpreterOf } from '../../core/schema/interpreter.ts'
import type { Template } from '../../core/schema/template.ts'
import { bytesOf, millisOf } from '../../core/schema/values.ts'

const DEFAULT_SHELL = ['/bin/sh', '-c']

/** The command that agents execute, without its environment. Pure. */
export function commandOf({ metadata, spec }: Template): Omit<Command, 'env'> {
  const { target, host, container } = spec
  const { env: _, ...command } = commandSchema.parse({
    labels: metadata?.labels ?? {},
    placement: {
      mode: target.mode,
      shards: target.shards,
      selector: target.selector,
      agents: target.agents ?? [],
      maxParallel: target.maxParallel,
    },
    host: host && {
      user: host.user,
      group: host.group,
      resources: resourcesOf(host.resources),
      limits: limitsOf(host.limits),
      allowPrivilegeEscalation: host.allowPrivilegeEscalation || undefined,
    },
    container,
    shell: spec.shell ?? DEFAULT_SHELL,
    interpreter: spec.shell ? undefined : interpreterOf(spec.script),
    script: spec.script,
    workingDir: spec.workingDir,
    tty: spec.tty,
    leftovers: spec.leftovers,
    successExitCodes: spec.successExitCodes,
    activeDeadlineSeconds: spec.activeDeadlineSeconds,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    onDisconnect: spec.onDisconnect,
    backoffLimit: spec.backoffLimit,
    outputLimit: bytesOf(spec.outputLimit),
  })
  // The same as when it is read back from etcd: fields that are undefined are absent.
  return JSON.parse(JSON.stringify(command)) as typeof command
}

function limitsOf(limits: NonNullable<Template['spec']['host']>['limits']) {
  return (
    limits && { nofile: limits.nofile, core: limits.core === undefined ? undefined : bytesOf(limits.core) }
  )
}

function resourcesOf(resources: NonNullable<Template['spec']['host']>['resources']) {
  return (
    resources && {
      ...(resources.cpu === undefined ? {} : { cpuMillis: millisOf(resources.cpu) }),
      ...(resources.memory === undefined ? {} : { memoryBytes: bytesOf(resources.memory) }),
      ...(resources.pids === undefined ? {} : { pids: resources.pids }),
    }
  )
}
