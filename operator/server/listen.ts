import type { Server } from 'node:https'
import { InvalidInput } from '../../core/errors.ts'
import { messageOf } from '../../platform/errors.ts'
import { listenPrivately } from '../../platform/private-socket.ts'
import type { Listen } from '../startup/addresses.ts'

/** Returns the function that removes what is left after the server is closed. Throws InvalidInput that names the flag. */
export async function listenOn(server: Server, listen: Listen): Promise<() => Promise<void>> {
  const on = (at: { path: string } | { host?: string; port: number }) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(at, () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    if ('path' in listen) return (await listenPrivately(listen.path, path => on({ path }))).remove
    await on(listen)
    return () => Promise.resolve()
  } catch (error) {
    const where = 'path' in listen ? listen.path : `port ${listen.port}`
    const message = `cannot listen on ${where}: ${messageOf(error)}; use another one`
    throw new InvalidInput('--listen', message, { cause: error })
  }
}
