import { closeSync, constants, openSync } from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname } from 'node:path'

/** The kernel's limit on a socket's path (`sun_path`), less its closing zero. */
const LONGEST_PATH = platform() === 'linux' ? 107 : 103

export interface SocketPath {
  path: string
  /** Call when the socket is connected, or closed for a server's. */
  done(): void
}

/** A path for a Unix socket that a deep folder does not make too long: on Linux it leads through the folder's descriptor. */
export function socketPath(path: string): SocketPath {
  if (Buffer.byteLength(path) <= LONGEST_PATH) return { path, done: () => {} }
  if (platform() !== 'linux')
    throw new Error(`the socket's path is longer than ${LONGEST_PATH} bytes: ${path}`)
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${folder}/${basename(path)}`, done: () => closeSync(folder) }
}
