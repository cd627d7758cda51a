import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../../core/keys.ts'
import { createAccess } from '../../../operator/identity/access.ts'
import { BACKUP_USER } from '../../../operator/identity/authority.ts'
import { backup } from '../../../operator/installation/backup.ts'
import { issue } from '../../../platform/certificates.ts'
import { silentLog } from '../../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import { etcdPrograms } from '../../servers/binaries.ts'
import { type EtcdCluster, startEtcd } from '../../servers/etcd.ts'

/** Snapshots by the user for backups, which exists only if it is asked for. */
const run = promisify(execFile)
const SNAPSHOT = /^etcd-\d{8}T\d{6}Z\.db$/
let cluster: EtcdCluster
let root: Etcd
let dir: string

beforeAll(async () => {
  cluster = await startEtcd()
  root = connectEtcd({ endpoints: cluster.endpoints, tls: cluster.tls, log: silentLog })
  dir = await mkdtemp(join(tmpdir(), 'shellcron-backup-'))
  const pair = await issue(cluster.ca, { commonName: BACKUP_USER, usage: 'client', hours: 1 })
  await mkdir(join(dir, 'identity'))
  for (const [name, text] of Object.entries({
    'ca.crt': cluster.ca.cert,
    'tls.crt': pair.cert,
    'tls.key': pair.key,
  }))
    await writeFile(join(dir, 'identity', name), text)
})
afterAll(async () => {
  await root?.close()
  await cluster?.stop()
  if (dir) await rm(dir, { recursive: true, force: true })
})

const enable = (backups: boolean) =>
  createAccess({ auth: root.auth, keys: createKeys(), ownUser: 'root', backups }).enable()
const save = (to: string, keep = 3) =>
  backup({ endpoints: cluster.endpoints, identity: join(dir, 'identity'), to, keep, within: 60 })

test('etcdutl reads the snapshot; the oldest and what a killed backup left are deleted', async () => {
  await enable(true)
  const to = join(dir, 'snapshots')
  await mkdir(to)
  const old = ['etcd-20200101T000000Z.db', 'etcd-20200102T000000Z.db', 'etcd-20200103T000000Z.db']
  for (const name of [...old, 'etcd-20200104T000000Z.db.part', 'notes.txt'])
    await writeFile(join(to, name), '')
  for (let at = 0; at < 50; at++)
    await root.txn({ compare: [], then: [{ put: `/snapshot/${at}`, value: 'x'.repeat(20_000) }] })
  await save(to)
  const [second, third, made = '', notes, ...others] = (await readdir(to)).toSorted()
  expect([second, third, notes, others]).toEqual([old[1], old[2], 'notes.txt', []])
  expect(made).toMatch(SNAPSHOT)
  const status = ['snapshot', 'status', join(to, made), '--write-out=json']
  const { stdout } = await run(join(await etcdPrograms(), 'etcdutl'), status)
  expect((JSON.parse(stdout) as { totalKey: number }).totalKey).toBeGreaterThanOrEqual(50)
})

test('without the wish for backups their user is gone, and nothing is left of the attempt', async () => {
  await enable(false)
  const to = join(dir, 'refused')
  await mkdir(to)
  await expect(save(to)).rejects.toMatchObject({ code: 'PermissionDenied' })
  expect(await readdir(to)).toEqual([])
})
