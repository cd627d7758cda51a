import { type Command, commandSchema } from '../../core/records/entry.ts'
import type { Template } from '../../core/schema/template.ts'
import { bytesOf, millisOf } from '../../core/schema/values.ts'

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
    host: host && { user: host.user, group: host.group, resources: resourcesOf(host.resources) },
    container,
    shell: spec.shell,
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

function resourcesOf(resources: NonNullable<Template['spec']['host']>['resources']) {
  return (
    resources && {
      ...(resources.cpu === undefined ? {} : { cpuMillis: millisOf(resources.cpu) }),
      ...(resources.memory === undefined ? {} : { memoryBytes: bytesOf(resources.memory) }),
      ...(resources.pids === undefined ? {} : { pids: resources.pids }),
    }
  )
}
