import 'reflect-metadata'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { Etcd3 } from 'etcd3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLog } from '../../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../../store/etcd/client.ts'
import type { Tls } from '../../../store/etcd/connection.ts'
import { type Cluster, startCluster } from '../../fault/etcd/servers.ts'
import { eventually } from '../../fault/eventually.ts'

// etcd with client certificates and roles, as in production.

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

let dir: string
let cluster: Cluster
let root: Etcd3
let agent: Etcd
let agentTls: Tls
let strangerTls: Tls

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-certs-'))
  const ca = await authority()
  const [server, rootTls] = await Promise.all([ca.issue('server'), ca.issue('root')])
  agentTls = await ca.issue('agent')
  strangerTls = { ...(await (await authority()).issue('agent')), ca: ca.pem }
  const file = async (name: string, pem: string) => {
    await writeFile(join(dir, name), pem)
    return join(dir, name)
  }
  cluster = await startCluster(1, [
    '--client-cert-auth',
    `--trusted-ca-file=${await file('ca.pem', ca.pem)}`,
    `--cert-file=${await file('cert.pem', server.cert)}`,
    `--key-file=${await file('key.pem', server.key)}`,
  ])
  agent = connectEtcd({ endpoints: cluster.endpoints, tls: agentTls, log: silentLog })
  await eventually('etcd is up', () => agent.status().catch(() => undefined))
  root = new Etcd3({
    hosts: cluster.endpoints,
    credentials: {
      rootCertificate: Buffer.from(ca.pem),
      certChain: Buffer.from(rootTls.cert),
      privateKey: Buffer.from(rootTls.key),
    },
  })
  await enableRoles()
})
afterAll(async () => {
  root?.close()
  await agent?.close()
  await cluster?.stop()
  await rm(dir, { recursive: true, force: true })
})

async function enableRoles(): Promise<void> {
  await root.auth.userAdd({ name: 'root', password: 'unused' })
  await root.auth.userGrantRole({ user: 'root', role: 'root' })
  await root.auth.roleAdd({ name: 'pool' })
  await grant('a/')
  await root.auth.userAdd({ name: 'agent', password: 'unused' })
  await root.auth.userGrantRole({ user: 'agent', role: 'pool' })
  await root.auth.authEnable()
}

async function grant(prefix: string): Promise<void> {
  const { start, end } = root.range({ prefix })
  const perm = { permType: 'Readwrite' as const, key: start, range_end: end }
  await root.auth.roleGrantPermission({ name: 'pool', perm })
}

const put = (key: string) => ({ compare: [], then: [{ put: key, value: 'x' }] })

test('a role can access its prefix and nothing else', async () => {
  expect((await agent.txn(put('a/1'))).ok).toBe(true)
  await expect(agent.txn(put('b/1'))).rejects.toMatchObject({ name: 'Unavailable', code: 'PermissionDenied' })
  await expect(agent.get('b/1')).rejects.toMatchObject({ code: 'PermissionDenied' })
  const answers = await agent.batch([put('a/2'), put('b/2'), put('a/3')])
  expect(answers).toMatchObject([{ ok: true }, { ambiguous: { code: 'PermissionDenied' } }, { ok: true }])
})

test('a view of a forbidden prefix never becomes ready, and does not disturb others', async () => {
  const allowed = agent.view('a/')
  const forbidden = agent.view('b/')
  let syncs = 0
  allowed.onSync(() => (syncs += 1))
  await allowed.ready()
  await agent.txn(put('a/seen'))
  await eventually('the change', () => allowed.items.has('a/seen'))
  expect(forbidden.synced).toBe(false)
  expect(syncs).toBe(1)
  await Promise.all([allowed.close(), forbidden.close()])
})

test('a change of roles fails no transaction, read or keepalive', async () => {
  const { id } = await agent.lease(60)
  const stop = new AbortController()
  let changes = 0
  const changing = (async () => {
    while (!stop.signal.aborted) await grant(`c/${(changes += 1)}/`)
  })()
  const workers = Array.from({ length: 8 }, async (_, worker) => {
    for (let n = 0; n < 50; n += 1) {
      expect((await agent.txn(put(`a/w${worker}/${n}`))).ok).toBe(true)
      expect(await agent.get(`a/w${worker}/${n}`)).toBeDefined()
      expect(await agent.keepAlive(id, 10_000)).toBe(60)
    }
  })
  await Promise.all(workers).finally(() => stop.abort())
  await changing
  expect(changes).toBeGreaterThan(5)
})

test('a certificate of another authority is refused; new certificates take effect at once', async () => {
  const other = connectEtcd({
    endpoints: cluster.endpoints,
    tls: strangerTls,
    log: silentLog,
    callTimeoutMs: 2_000,
  })
  await expect(other.get('a/1')).rejects.toMatchObject({ code: 'Unreachable' })
  other.useTls(agentTls)
  await other.get('a/1')
  await other.close()
})

test('an agent whose user was removed is denied', async () => {
  await root.auth.userDelete({ name: 'agent' })
  await expect(agent.txn(put('a/1'))).rejects.toMatchObject({ code: 'PermissionDenied' })
  await expect(agent.get('a/1')).rejects.toMatchObject({ code: 'PermissionDenied' })
})

async function authority(): Promise<{ pem: string; issue(name: string): Promise<Tls> }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test authority',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  })
  const pem = ca.toString('pem')
  return {
    pem,
    issue: async name => {
      const own = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      const cert = await x509.X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: ca.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
      })
      const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64')
      return {
        ca: pem,
        cert: cert.toString('pem'),
        key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
      }
    },
  }
}
