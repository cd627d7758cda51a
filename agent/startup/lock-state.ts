import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { flock } from '../../platform/flock.ts'
import { makeStateDirectory } from '../../platform/state-directory.ts'
import type { Trust } from '../../platform/trust.ts'

/**
 * Locks the state directory for this agent, and creates it if it is missing. Returns the function that unlocks it. Throws InvalidInput if
 * another agent uses the directory, or other users could change what is in it. On a machine without the `flock` program nothing is locked.
 */
export async function lockState(dir: string, trust: Trust): Promise<() => void> {
  const made = await makeStateDirectory(dir, trust)
  if (made.kind === 'distrusted') throw new InvalidInput('--state', made.why)
  const lock = await flock(join(dir, 'agent.lock'))
  if (lock.kind === 'held') {
    throw new InvalidInput(
      '--state',
      `${dir} is in use by another agent; give each agent a state directory of its own`,
    )
  }
  return () => {
    if (lock.kind === 'locked') lock.release()
  }
}
