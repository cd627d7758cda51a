import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import { agentUser } from '../../../core/records/agent-user.ts'
import { createAccess } from '../../../operator/identity/access.ts'
import { issue } from '../../../platform/certificates.ts'
import { silentLog } from '../../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import { eventually } from '../../fault/eventually.ts'
import { type EtcdCluster, startEtcd } from '../../servers/etcd.ts'

// What the certificate of an agent may do in etcd (DESIGN §7).

const keys = createKeys()
const web = { pool: 'default', agent: 'web-1', id: '0a1b2c3d' }
let cluster: EtcdCluster
let root: Etcd
let agent: Etcd

beforeAll(async () => {
  cluster = await startEtcd()
  root = connectEtcd({ endpoints: cluster.endpoints, tls: cluster.tls, log: silentLog })
  const access = createAccess({ auth: root.auth, keys, ownUser: 'root' })
  await access.enable()
  await access.admit(web)
  await access.admit({ ...web, pool: 'default-2' })
  agent = await clientOf(agentUser(web))
})
afterAll(async () => {
  await agent?.close()
  await root?.close()
  await cluster?.stop()
})

async function clientOf(user: string): Promise<Etcd> {
  const pair = await issue(cluster.ca, { commonName: user, usage: 'client', hours: 1 })
  return connectEtcd({ endpoints: cluster.endpoints, tls: { ca: cluster.ca.cert, ...pair }, log: silentLog })
}

const put = (key: string) => ({ compare: [], then: [{ put: key, value: 'x' }] })
const denied = { name: 'Unavailable', code: 'PermissionDenied' }
const ref = { pool: 'default', namespace: 'ns', name: 'job' }

/** Keys of a pool, by who writes them. */
const ofAgents = (pool: string) => [
  keys.cell({ ...ref, pool, kind: 'job', target: '-' }),
  keys.agent(pool, 'web-1'),
  keys.active(pool, 'web-1', 'ns.job.1'),
  keys.result(pool, 'ns.job.1', 1),
  keys.request(pool, 'r'),
]
const ofOperator = (pool: string) => [
  keys.job({ ...ref, pool }),
  keys.run({ ...ref, pool }),
  keys.member(pool, 'web-1'),
  keys.pool(pool),
]

test('an agent writes what agents record of its pool, and reads what the operator writes for it', async () => {
  for (const key of ofAgents('default')) {
    expect((await agent.txn(put(key))).ok).toBe(true)
    expect(await agent.get(key)).toMatchObject({ value: 'x' })
  }
  for (const key of [...ofOperator('default'), keys.beacon]) {
    await root.txn(put(key))
    expect(await agent.get(key)).toMatchObject({ value: 'x' })
  }
})

test('an agent writes no job, run, member, pool, beacon, identity or token', async () => {
  for (const key of [
    ...ofOperator('default'),
    keys.beacon,
    keys.identity('default', 'web-1'),
    keys.token('ab'),
    keys.status('ShellCronJob', 'ns', 'job'),
    'elsewhere',
  ]) {
    await expect(agent.txn(put(key))).rejects.toMatchObject(denied)
    await expect(agent.txn({ compare: [], then: [{ delete: key }] })).rejects.toMatchObject(denied)
  }
})

test('an agent reads and watches no other pool, and no identity or token', async () => {
  const foreign = [...ofAgents('default-2'), ...ofOperator('default-2')]
  for (const key of [...foreign, keys.identity('default', 'web-1'), keys.token('ab')]) {
    await expect(agent.get(key)).rejects.toMatchObject(denied)
    await expect(agent.txn({ compare: [{ key, mod: 0 }], then: [] })).rejects.toMatchObject(denied)
  }
  for (const prefix of ['', keys.jobs(), keys.pools, keys.pool('default'), keys.jobs('default-2')])
    await expect(agent.list(prefix)).rejects.toMatchObject(denied)
  const view = agent.view(keys.jobs())
  const own = agent.view({ key: keys.pool('default') })
  await own.ready()
  expect(own.items.size).toBe(1)
  await root.txn(put(keys.pool('default')))
  await eventually('the change', () => (own.items.get(keys.pool('default'))?.mod ?? 0) > 1)
  expect(view.synced).toBe(false)
  await Promise.all([view.close(), own.close()])
})

test('an agent keeps a lease and reads the status of etcd', async () => {
  const { id } = await agent.lease(60)
  await agent.txn({ compare: [], then: [{ put: keys.agent('default', 'web-1'), value: '{}', lease: id }] })
  expect(await agent.keepAlive(id, 5_000)).toBe(60)
  expect((await agent.status()).dbSize).toBeGreaterThan(0)
  await agent.revoke(id)
})

test('an agent cannot change users, roles or authentication', async () => {
  await expect(agent.auth.users()).rejects.toMatchObject(denied)
  await expect(agent.auth.addUser('x', 'root')).rejects.toMatchObject(denied)
  await expect(agent.auth.deleteUser('root')).rejects.toMatchObject(denied)
  await expect(agent.auth.putRole('pool:default', [])).rejects.toMatchObject(denied)
  await expect(agent.auth.enable()).rejects.toMatchObject(denied)
})

test('a certificate without a user can do nothing', async () => {
  const stranger = await clientOf('agent:default:web-2:ffffffff')
  await expect(stranger.get(keys.beacon)).rejects.toMatchObject(denied)
  await expect(stranger.txn(put(keys.agent('default', 'web-2')))).rejects.toMatchObject(denied)
  await stranger.close()
})

test('admission may be repeated, and gives a role exactly its rights again', async () => {
  await root.auth.putRole('pool:default', [{ keys: { prefix: '' }, write: true }])
  expect((await agent.txn(put('elsewhere'))).ok).toBe(true)
  const access = createAccess({ auth: root.auth, keys, ownUser: 'root' })
  await access.enable()
  await access.admit(web)
  await expect(agent.txn(put('elsewhere'))).rejects.toMatchObject(denied)
  expect((await access.admitted()).map(({ pool }) => pool).toSorted()).toEqual(['default', 'default-2'])
})

test('an expelled agent has no rights, and the role of a pool that is gone is deleted', async () => {
  const { id } = await agent.lease(60)
  await agent.txn({ compare: [], then: [{ put: keys.agent('default', 'web-1'), value: '{}', lease: id }] })
  const access = createAccess({ auth: root.auth, keys, ownUser: 'root' })
  await access.expel(web)
  await access.keepRoles(new Set(['default']))
  await expect(agent.get(keys.beacon)).rejects.toMatchObject(denied)
  await expect(agent.txn(put(keys.agent('default', 'web-1')))).rejects.toMatchObject(denied)
  expect(await root.auth.roles()).toEqual(['pool:default'])
  // So its session ends, and its runs are fenced and buried.
  await expect(agent.keepAlive(id, 5_000)).rejects.toMatchObject(denied)
})
