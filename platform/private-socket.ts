import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { socketPath } from './unix-socket.ts'

export interface PrivateSocket {
  /** Removes the socket's file. Call it when the server is closed. */
  remove(): Promise<void>
}

/**
 * Makes a Unix socket that only its owner can open, whatever the umask. `listen` makes a server listen on the path that it gets. That path is
 * in a new directory of mode 0700; the socket moves to `path` once its mode is 0600. It replaces the socket that a dead process left.
 */
export async function listenPrivately(
  path: string,
  listen: (path: string) => Promise<unknown>,
): Promise<PrivateSocket> {
  const folder = join(dirname(path), `.${basename(path)}`)
  // A process that was killed here has left it.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  const born = join(folder, 's')
  const short = socketPath(born)
  try {
    await listen(short.path)
    await chmod(born, 0o600)
    await rename(born, path)
  } catch (error) {
    short.done()
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return {
    async remove() {
      short.done()
      await rm(path, { force: true })
    },
  }
}
