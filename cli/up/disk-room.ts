import { statfs } from 'node:fs/promises'
import { InvalidInput } from '../../core/errors.ts'
import { Unavailable } from '../../platform/errors.ts'

/** Below this a disk counts as full, bytes. etcd needs some room to open its files. */
const ROOM = 8 * 1024 * 1024
const NO_SPACE = /no space left on device|disk quota exceeded|ENOSPC|EDQUOT/i

/** Whether the disk of an existing directory is full. */
export async function isFull(dir: string): Promise<boolean> {
  const found = await statfs(dir).catch(() => undefined)
  return found !== undefined && found.bavail * found.bsize < ROOM
}

/** Whether this fault, or the output of a child process in its message, is about a full disk. */
export function saysNoSpace(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  return NO_SPACE.test(`${code} ${message}`)
}

/** The fault of a start, or one line if its cause is a full disk. */
export async function explainStart(error: unknown, state: string): Promise<unknown> {
  if (error instanceof InvalidInput || error instanceof Unavailable) return error
  if (!saysNoSpace(error) && !(await isFull(state))) return error
  return new Unavailable(
    `the disk of ${state} is full: free some space there, or name another directory with --state`,
    { cause: error },
  )
}
