import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type KeptIdentity, keepIdentity } from '../../../agent/identity/keep-identity.ts'
import { type Identity, readIdentity } from '../../../agent/startup/identity.ts'
import { createKeys } from '../../../core/keys.ts'
import type { Context } from '../../../operator/context.ts'
import { enrolmentHandlers } from '../../../operator/enrolment/handlers.ts'
import { issueIdentity, writeIdentity } from '../../../operator/identity/enrol.ts'
import { type Identity as Keys, openIdentity } from '../../../operator/identity/identity.ts'
import { fileKeyStore } from '../../../operator/identity/keystore.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLog } from '../../../platform/log.ts'
import { trustIn } from '../../../platform/trust.ts'
import { eventually } from '../../fault/eventually.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'
import { type ServerFixture, startServer } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../servers/directory.ts'

/** When an agent renews its identity, at a real operator's server. */
const AGENT = { pool: 'default', agent: 'a', id: '0a1b2c3d' }
/** Certificates are valid from 5 minutes ago. Of this life two thirds have passed in 8 s. */
const SHORT_HOURS = ((300 + 8) * (3 / 2) - 300) / 3_600
const kept: AbortController[] = []
let dir: string
let remove: () => Promise<void>
let server: ServerFixture
let keys: Keys
const { etcd } = etcdForAll()
const stored = createKeys('/renewal/v1/')

beforeAll(async () => {
  const identity = {
    put: stored.identity(AGENT.pool, AGENT.agent),
    value: JSON.stringify({ id: AGENT.id, uid: 'u' }),
  }
  await etcd.txn({ compare: [], then: [identity] })
  ;({ path: dir, remove } = await temporaryDirectory('shellcron-renewal-'))
  keys = await openIdentity(await fileKeyStore(join(dir, 'keys')))
  server = await startServer({
    handlers: peerAgent =>
      enrolmentHandlers({
        authority: {
          get caCert() {
            return server.authority.caCert
          },
          get pair() {
            return server.authority.pair
          },
        } as ServerFixture['authority'],
        access: undefined,
        reach: { etcd: [], operator: '' },
        reviewNode: undefined,
      })({ identity: keys, etcd, keys: stored, clock: systemClock, log: silentLog } as Context, peerAgent),
  })
})
afterEach(() => {
  for (const each of kept.splice(0)) each.abort(new Error('the test is over'))
})
afterAll(async () => {
  await server?.close()
  await remove?.()
})

/** An agent's identity, kept from now on. */
async function keep(name: string, hours: number) {
  const folder = join(dir, name)
  await writeIdentity(
    folder,
    await issueIdentity({ identity: keys, authority: server.authority }, { ...AGENT, hours }),
  )
  const stop = new AbortController()
  kept.push(stop)
  const renewed: Identity[] = []
  const ended: string[] = []
  const identity = await readIdentity(folder, trustIn())
  const keeper: KeptIdentity = keepIdentity({
    dir: folder,
    trust: trustIn(),
    operator: server.url,
    identity,
    clock: systemClock,
    log: silentLog,
    random: () => 0,
    onRenewed: one => void renewed.push(one),
    onEnded: why => void ended.push(why),
  })
  void keeper.run(stop.signal)
  return { folder, keeper, identity, renewed, ended }
}

test('when two thirds of its life have passed, the certificate is renewed under the same identity and key', async () => {
  const { folder, identity, renewed } = await keep('two-thirds', SHORT_HOURS)
  expect(renewed).toEqual([])
  const [now] = await eventually('it is renewed', () => renewed.length > 0 && renewed)
  expect(now?.agent).toEqual(AGENT)
  expect(now?.tls.key).toBe(identity.tls.key)
  expect((now?.validTo ?? 0) - systemClock.now()).toBeGreaterThan(23 * 3_600_000)
  const written = new X509Certificate(await readFile(join(folder, 'tls.crt'), 'utf8'))
  expect(written.validToDate.getTime()).toBe(now?.validTo)
})

test("for another key of the pool it is renewed at once, and the agent's connections stay", async () => {
  const { keeper, identity, renewed } = await keep('pool-key', 24)
  keeper.sealKeyIs((await keys.pool('default')).publicPem)
  expect(keeper.lacksPoolKey()).toBe(false)
  await keys.rotatePool('default')
  keeper.sealKeyIs((await keys.pool('default')).publicPem)
  expect(keeper.lacksPoolKey()).toBe(true)
  await eventually('it has the key', () => !keeper.lacksPoolKey())
  const [newest, before] = keeper.current().poolKeys
  expect(before?.equals(identity.poolKeys[0] as NonNullable<typeof newest>)).toBe(true)
  expect(newest?.equals(before as NonNullable<typeof newest>)).toBe(false)
  expect(renewed).toEqual([])
})

test('an identity that the operator refuses is reported as ended', async () => {
  const { folder, keeper, ended } = await keep('refused', 24)
  const { cert, key } = await server.authority.client('agent:default', 1)
  await writeIdentity(folder, { 'tls.crt': cert, 'tls.key': key })
  keeper.doubt()
  await eventually('it has ended', () => ended.length > 0)
  expect(ended[0]).toContain('is not that of an agent')
})
