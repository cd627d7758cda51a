/**
 * A program that runs in the network namespace of a cluster. Its parent sends it listening sockets of this machine's loopback interface;
 * a socket stays in the network in which it was made. Each connection is connected to an address of the cluster.
 */
import { connect, type Server } from 'node:net'

export interface Target {
  host: string
  port: number
}

process.on('message', ({ host, port }: Target, server: unknown) => {
  // A client may end its request before the answer.
  Object.assign(server as Server, { allowHalfOpen: true }).on('connection', here => {
    const there = connect({ host, port, allowHalfOpen: true })
    here.pipe(there).pipe(here)
    here.on('error', () => there.destroy())
    there.on('error', () => here.destroy())
    here.on('close', () => there.destroy())
    there.on('close', () => here.destroy())
  })
  process.send?.('relaying')
})
process.on('disconnect', () => process.exit(0))
