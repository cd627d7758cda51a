import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { messageOf } from '../../../platform/errors.ts'

const socketIn = (dir: string) => join(dir, 'control')

/** Serves other processes that use the cluster: a connection carries the name of a node to restart, and gets `ok` or an error. */
export async function serveControl(
  dir: string,
  restart: (node: string) => Promise<void>,
): Promise<{ close(): void }> {
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    void text(socket)
      .then(restart)
      .then(
        () => socket.end('ok'),
        error => socket.end(messageOf(error)),
      )
  })
  server.listen(socketIn(dir))
  await once(server, 'listening')
  server.unref()
  return { close: () => void server.close() }
}

/** Asks the process that owns the cluster to restart a node. */
export async function askRestart(dir: string, node: string): Promise<void> {
  const socket = connect({ path: socketIn(dir), allowHalfOpen: true })
  socket.end(node)
  const answer = await text(socket)
  if (answer !== 'ok') throw new Error(`${node} does not restart: ${answer || 'the cluster has ended'}`)
}
