import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

export type Lock =
  /** Locked until `release`, or until this process ends. */
  | { kind: 'locked'; release(): void }
  /** Another process holds the lock. */
  | { kind: 'held' }
  /** This machine has no `flock` program. */
  | { kind: 'unsupported' }

/**
 * Locks a file with flock(2), and creates it if it is missing. Node has no such call: the program `flock` locks this process's open file, and
 * the lock stays when that program ends.
 */
export async function flock(path: string): Promise<Lock> {
  const fd = openSync(path, 'a', 0o600)
  const locker = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
  const result = await new Promise<number | 'missing'>((resolve, reject) => {
    // Any other error says nothing about the lock, for example EAGAIN: the machine has no room for a process.
    locker.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve('missing') : reject(error),
    )
    locker.once('exit', code => resolve(code ?? 1))
  })
  if (result === 0) return { kind: 'locked', release: () => closeSync(fd) }
  closeSync(fd)
  return { kind: result === 'missing' ? 'unsupported' : 'held' }
}
