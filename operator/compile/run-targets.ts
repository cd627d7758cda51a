import type { ShellRun } from '../../core/schema/objects.ts'
import type { Template } from '../../core/schema/template.ts'
import { type Blocked, blocked } from './blocked.ts'

/** The targets that a ShellRun names. In mode All they are fixed now: a member that joins later has no part in this run. */
export function namedTargets(
  { spec }: ShellRun,
  template: Template,
  membersOf: (template: Template) => readonly string[],
): { names: readonly string[] } | Blocked {
  const asked = spec.targets ?? []
  const { mode, shards = 1, pool } = template.spec.target
  switch (mode) {
    case 'One':
      return asked.length === 0
        ? { names: [] }
        : blocked(
            'InvalidTargets',
            'spec.targets: a job of mode One chooses its agent itself; remove the targets',
          )
    case 'Shards':
      return shardsAmong(asked, shards)
    case 'All':
      return membersAmong(asked, membersOf(template), pool)
    default:
      return mode satisfies never
  }
}

function shardsAmong(asked: readonly string[], shards: number): { names: readonly string[] } | Blocked {
  const unknown = asked.find(target => !/^\d+$/.test(target) || Number(target) >= shards)
  return unknown === undefined
    ? { names: asked }
    : blocked('InvalidTargets', `spec.targets: "${unknown}" is not a shard; use 0 to ${shards - 1}`)
}

function membersAmong(
  asked: readonly string[],
  members: readonly string[],
  pool: string,
): { names: readonly string[] } | Blocked {
  const unknown = asked.find(target => !members.includes(target))
  if (unknown !== undefined)
    return blocked(
      'TargetNotFound',
      `spec.targets: the job selects no agent ${unknown} in pool ${pool}; remove this target`,
      true,
    )
  const names = asked.length > 0 ? asked : [...members]
  return names.length > 0
    ? { names }
    : blocked(
        'NoTargets',
        `spec.template.spec.target: selects no agent of pool ${pool}; change it, or add agents`,
        true,
      )
}
