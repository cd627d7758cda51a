import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import { silentLog } from '../../platform/log.ts'
import { requireSafeEtcd } from './etcd-version.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Answers as a member of etcd of this version does. */
async function member(version: string): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/version' ? 200 : 404
    response.end(JSON.stringify({ etcdserver: version, etcdcluster: version, storage: version }))
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const judge = (endpoints: string[], signal = new AbortController().signal) =>
  requireSafeEtcd({ endpoints, tls: undefined, clock: systemClock, log: silentLog }, signal)
/** Nobody listens there. */
const AWAY = 'http://127.0.0.1:1'

test('an old member is refused and named, also beside good ones', async () => {
  const old = await member('3.6.13')
  await expect(judge([await member('3.6.16'), old])).rejects.toMatchObject({
    field: '--endpoints',
    message: `${old} is etcd 3.6.13, which is too old; use 3.6.14 or later, or 3.7.1 or later`,
  })
})

test('a member that is away does not matter as long as another one answers', async () => {
  await expect(judge([AWAY, await member('3.7.1')])).resolves.toBeUndefined()
})

test('it waits for an etcd that is away, until it is told to stop', async () => {
  const stop = new AbortController()
  const waiting = judge([AWAY], stop.signal)
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})
