import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { flock } from '../../platform/flock.ts'

/**
 * Locks the state directory for this agent, and creates it if it is missing. Returns the function that unlocks it. Throws InvalidInput if
 * another agent uses the directory. On a machine without the `flock` program nothing is locked.
 */
export async function lockState(dir: string): Promise<() => void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
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
