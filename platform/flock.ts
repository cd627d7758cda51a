import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

export type Lock =
  /** Ours until `release` or the end of this process, however it ends. */
  | { kind: 'locked'; release(): void }
  /** Another process has it. */
  | { kind: 'held' }
  /** This machine has no `flock` program. */
  | { kind: 'unsupported' }

/**
 * flock(2) on a file, which is made if it is missing. Node has no call for it: the program `flock` locks our own open file,
 * and the lock stays with us when the program ends.
 */
export async function flock(path: string): Promise<Lock> {
  const fd = openSync(path, 'a', 0o600)
  const locker = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
  const result = await new Promise<number | 'missing'>(resolve => {
    locker.once('error', () => resolve('missing'))
    locker.once('exit', code => resolve(code ?? 1))
  })
  if (result === 0) return { kind: 'locked', release: () => closeSync(fd) }
  closeSync(fd)
  return { kind: result === 'missing' ? 'unsupported' : 'held' }
}
