import { ANYWHERE } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { CreatedRun } from '../pool/world.ts'
import type { Context } from '../session/context.ts'

/**
 * Waiting ShellRuns of a job start in the order of their creation: creation time first, then the create revision of the entry, because
 * Kubernetes gives times in whole seconds. A ShellRun waits while its request is there. One that no living agent may run holds back no
 * other.
 */
export function isBehindOlder(
  { world, keys, pool, clock }: Pick<Context, 'world' | 'keys' | 'pool' | 'clock'>,
  { value: entry }: Versioned<CreatedRun>,
  target: string,
): boolean {
  const now = clock.now()
  for (const { value: request } of world.requests.entries()) {
    if (request.kind !== 'run' || request.target !== target || request.namespace !== entry.namespace) continue
    const other = world.runs.get(keys.run({ ...request, pool }))?.value
    if (other?.uid !== request.uid || !isSameJob(other, entry) || !isOlder(other, entry)) continue
    if (other.blocked || now > other.deadline) continue
    const able = world.rankedAgents(other, target)
    if (isForEach(other, target) ? able.includes(target) : able.length > 0) return true
  }
  return false
}

function isSameJob({ jobRef }: RunEntry, other: RunEntry): boolean {
  return jobRef !== undefined && jobRef.uid === other.jobRef?.uid
}

function isOlder(a: CreatedRun, b: CreatedRun): boolean {
  return a.createdAt === b.createdAt ? a.created < b.created : a.createdAt < b.createdAt
}

/** Mode All: the target is the agent that runs it. */
function isForEach({ command }: RunEntry, target: string): boolean {
  return command.placement.mode === 'All' && target !== ANYWHERE
}
