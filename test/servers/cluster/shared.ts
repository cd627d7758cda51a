import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestProject } from 'vitest/node'
import { messageOf } from '../../../platform/errors.ts'
import { type Cluster, startCluster } from '../cluster.ts'
import { temporaryDirectory } from '../directory.ts'

declare module 'vitest' {
  interface ProvidedContext {
    clusterSocket: string
  }
}

/**
 * Runs once for all test files. It owns the cluster that they share, and starts it when the first one asks: a connection to the socket is
 * answered with the cluster's directory, or with `error: ` and the reason.
 */
export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const directory = await temporaryDirectory('shellcron-shared-')
  const path = join(directory.path, 'socket')
  let cluster: Promise<Cluster> | undefined
  const server = createServer(socket => {
    socket.on('error', () => {})
    cluster ??= startCluster()
    cluster.then(
      ({ dir }) => socket.end(dir),
      error => socket.end(`error: ${messageOf(error)}`),
    )
  })
  server.listen(path)
  await once(server, 'listening')
  server.unref()
  provide('clusterSocket', path)
  return async () => {
    server.close()
    await directory.remove()
    await cluster?.then(
      running => running.stop(),
      () => {},
    )
  }
}

/** Asks the owner for the directory of the shared cluster. */
export async function askForCluster(path: string): Promise<string> {
  const answer = await text(connect(path))
  if (!answer || answer.startsWith('error: ')) throw new Error(answer || 'the owner of the cluster has ended')
  return answer
}
