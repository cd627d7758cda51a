import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { issue } from '../../platform/certificates.ts'
import { silentLog } from '../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { type EtcdCluster, startEtcd, type Tls } from './etcd.ts'

let cluster: EtcdCluster | undefined
let client: Etcd | undefined

afterEach(async () => {
  await client?.close()
  await cluster?.stop()
  client = cluster = undefined
})

const connect = (to: EtcdCluster, tls: Tls = to.tls) =>
  connectEtcd({ endpoints: to.endpoints, tls, log: silentLog })

const put = async (to: Etcd | undefined, key: string, value: string) =>
  to?.txn({ compare: [], then: [{ put: key, value }] })

test('a single member keeps its data when it is killed', async () => {
  cluster = await startEtcd()
  client = connect(cluster)
  await put(client, 'a', '1')
  await cluster.member(0).kill()
  await cluster.member(0).start()
  expect((await eventually('it answers', () => client?.get('a').catch(() => undefined)))?.value).toBe('1')
})

test('a client without a certificate of the authority is refused', async () => {
  cluster = await startEtcd()
  const other = await startEtcd()
  const stranger = await issue(other.ca, { commonName: 'root', usage: 'client', hours: 1 })
  await other.stop()
  client = connect(cluster, { ...stranger, ca: cluster.ca.cert })
  await expect(client.get('a')).rejects.toThrow()
})

test('three members elect a new leader when theirs dies, and the old one rejoins', async () => {
  cluster = await startEtcd({ members: 3 })
  client = connect(cluster)
  const first = await cluster.leader()
  await first.kill()
  const second = await cluster.leader()
  expect(second.name).not.toBe(first.name)
  await eventually('a write', () =>
    put(client, 'a', '2').then(
      () => true,
      () => false,
    ),
  )
  await first.start()
  expect(await first.isLeader()).toBe(false)
})

test('a frozen leader is replaced, and follows when it thaws', async () => {
  cluster = await startEtcd({ members: 3 })
  const first = await cluster.leader()
  first.pause()
  const second = await cluster.leader()
  expect(second.name).not.toBe(first.name)
  first.resume()
  await eventually('it follows', async () => !(await first.isLeader()))
})

test('its directory is removed when it stops', async () => {
  cluster = await startEtcd()
  await cluster.stop()
  await expect(stat(dirname(cluster.files.ca))).rejects.toThrow('ENOENT')
})
