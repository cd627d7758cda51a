import { closeSync, constants, openSync } from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname } from 'node:path'

/** The kernel's limit of a socket's path (`sun_path`), without its terminating NUL. */
const LONGEST_PATH = platform() === 'linux' ? 107 : 103

export interface SocketPath {
  path: string
  /** Call it when a client is connected, or when a server is closed. */
  done(): void
}

/** A path for a Unix socket within the kernel's limit. On Linux a path that is too long goes through the folder's descriptor. */
export function socketPath(path: string): SocketPath {
  if (Buffer.byteLength(path) <= LONGEST_PATH) return { path, done: () => {} }
  if (platform() !== 'linux')
    throw new Error(`the socket's path is longer than ${LONGEST_PATH} bytes: ${path}: use a shorter --state`)
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${folder}/${basename(path)}`, done: () => closeSync(folder) }
}
