import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import { agentOf, agentUser } from '../../core/records/agent-user.ts'
import { userOf } from '../../operator/identity/access.ts'
import { OPERATOR_USER, openAuthority } from '../../operator/identity/authority.ts'
import { fileKeyStore, keysDir } from '../../operator/identity/keystore.ts'
import { issue } from '../../platform/certificates.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLog } from '../../platform/log.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import { eventually } from '../fault/eventually.ts'
import { ask } from '../fixtures/server.ts'
import { type Server, type Servers, startServers } from '../fixtures/servers.ts'

/** Plain servers that join a fleet without Kubernetes, and leave it. */
const keys = createKeys()
const END_WITHIN_MS = 10_000
let servers: Servers
let root: Etcd

beforeAll(async () => {
  servers = await startServers()
  const authority = await openAuthority(await fileKeyStore(keysDir(servers.state)))
  const tls = { ca: authority.caCert, ...(await authority.client(OPERATOR_USER, 1)) }
  root = connectEtcd({ endpoints: [(await settings(await servers.join('web-0'))).etcd], tls, log: silentLog })
})
afterAll(async () => {
  await root?.close()
  await servers?.close()
})

/** What a server was told. */
async function settings({ etc }: Pick<Server, 'etc'>): Promise<{ etcd: string; operator: string }> {
  const text = await readFile(join(etc, 'agent.env'), 'utf8')
  const valueOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return { etcd: valueOf('ENDPOINTS'), operator: valueOf('OPERATOR') }
}

async function tlsOf({ etc }: Pick<Server, 'etc'>): Promise<{ ca: string; cert: string; key: string }> {
  const read = (name: string) => readFile(join(etc, 'identity', name), 'utf8')
  return { ca: await read('ca.crt'), cert: await read('tls.crt'), key: await read('tls.key') }
}

const job = (name: string, agent: string, template: object = {}) =>
  JSON.stringify({
    apiVersion: 'shellcron.dev/v1alpha1',
    kind: 'ShellCronJob',
    metadata: { name, namespace: 'ops' },
    spec: {
      schedule: '* * * * * *',
      template: {
        spec: {
          target: { mode: 'All', agents: [agent] },
          host: { user: 'nobody' },
          script: 'true',
          ...template,
        },
      },
    },
  })
const succeeded = (name: string, since = 0) =>
  servers.outcomes().filter(each => each.name === name && each.outcome === 'Succeeded' && each.time >= since)

/** Whether etcd and the operator refuse this identity. */
async function isRefused(server: Pick<Server, 'etc'>): Promise<boolean> {
  const { operator, etcd: endpoint } = await settings(server)
  const tls = await tlsOf(server)
  const said = await ask(`${operator}/v1/ingest`, { method: 'POST', body: '', ...tls })
  const etcd = connectEtcd({ endpoints: [endpoint], tls, log: silentLog })
  const read = await etcd.get(keys.beacon).then(
    () => 'allowed',
    (error: { code?: string }) => error.code,
  )
  await etcd.close()
  return said.status === 403 && said.body.includes('has ended') && read === 'PermissionDenied'
}

test('a server that joins says each step and the verdict, runs jobs as the safe default allows, and has rights of its own pool only', async () => {
  const server = await servers.join('web-1')
  expect(server.lines().join('\n')).toMatch(/web-1 has joined: it is Ready, with its first heartbeat after/)
  const { validToDate } = new X509Certificate((await tlsOf(server)).cert)
  const hoursLeft = (validToDate.getTime() - systemClock.now()) / 3_600_000
  expect(hoursLeft).toBeGreaterThan(23)
  expect(hoursLeft).toBeLessThanOrEqual(24)
  await servers.write('one.yaml', job('one', 'web-1'))
  await eventually('it runs', () => succeeded('one').length > 0)
  await servers.write('as-root.yaml', job('as-root', 'web-1', { host: {} }))
  await eventually('root is refused', () =>
    servers.outcomes().some(({ name, reason }) => name === 'as-root' && reason === 'RefusedByAgent'),
  )
  await servers.remove('as-root.yaml')
  const { etcd: endpoint } = await settings(server)
  const etcd = connectEtcd({ endpoints: [endpoint], tls: await tlsOf(server), log: silentLog })
  expect((await etcd.list(keys.jobs('default'))).items.length).toBeGreaterThan(0)
  const denied = { code: 'PermissionDenied' }
  await expect(etcd.list(keys.jobs('other'))).rejects.toMatchObject(denied)
  await expect(etcd.get(keys.identity('default', 'web-1'))).rejects.toMatchObject(denied)
  for (const key of [
    keys.job({ pool: 'default', namespace: 'ops', name: 'one' }),
    keys.member('default', 'web-1'),
  ])
    await expect(etcd.txn({ compare: [], then: [{ put: key, value: 'x' }] })).rejects.toMatchObject(denied)
  await etcd.close()
})

test('a token works once, for its agent only, and only at the operator that made it', async () => {
  const line = await servers.line('web-2')
  const [, url = '', token = ''] = line
  const to = (folder: string) => [
    '--etc',
    join(servers.dir, folder, 'etc'),
    '--state',
    join(servers.dir, folder, 'state'),
    '--no-start',
  ]
  const parsed = JSON.parse(Buffer.from(token.slice(4), 'base64url').toString()) as Record<string, string>
  const changed = (over: object) =>
    `sc1.${Buffer.from(JSON.stringify({ ...parsed, ...over })).toString('base64url')}`

  const elsewhere = await servers.cli('join', url, changed({ ca: 'ab'.repeat(32) }), ...to('x'))
  expect(elsewhere).toMatchObject({
    code: 1,
    text: expect.stringContaining('is not the operator that made this token') as string,
  })
  const other = await servers.cli('join', url, changed({ agent: 'web-1' }), ...to('x'))
  expect(other).toMatchObject({ code: 1, text: expect.stringContaining('the token is unknown') as string })
  await expect(access(join(servers.dir, 'x', 'etc', 'identity', 'tls.crt'))).rejects.toThrow()

  expect(await servers.cli(...line, ...to('web-2'))).toMatchObject({ code: 0 })
  const again = await servers.cli(...line, ...to('x'))
  expect(again).toMatchObject({
    code: 1,
    text: expect.stringContaining('it was used, has expired') as string,
  })
  expect((await root.list(`${keys.prefix}tokens/`)).items).toEqual([])
})

test('an operator that does not answer ends join with the step and the remedy, soon', async () => {
  const [, , token = ''] = await servers.line('web-2')
  const { code, text } = await servers.cli(
    'join',
    'https://127.0.0.1:1',
    token,
    '--etc',
    join(servers.dir, 'y'),
    '--state',
    join(servers.dir, 'z'),
  )
  expect(code).toBe(1)
  expect(text).toMatch(/FAILED {2}cannot reach the operator at 127.0.0.1:1: .*firewall/)
})

test('a known name joins again by the same command: within 10 s its earlier identity claims, reads and sends nothing, and Secrets are sealed anew', async () => {
  const before = await servers.join('web-3')
  await servers.write(
    'secret.yaml',
    job('secret', 'first', {
      env: [{ name: 'K', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
      script: 'test "$K" = value',
    }),
  )
  await writeSecret('value')
  await servers.write('three.yaml', job('three', 'web-3'))
  await eventually('both run', () => succeeded('three').length > 0 && succeeded('secret').length > 0)
  const sealed = async () =>
    (await root.get(keys.job({ pool: 'default', namespace: 'ops', name: 'secret' })))?.value
  const sealedBefore = await sealed()

  const line = await servers.line('web-3')
  const folder = join(servers.dir, 'web-3-new')
  const joined = servers.cli(
    ...line,
    '--etc',
    join(folder, 'etc'),
    '--state',
    join(folder, 'state'),
    '--no-start',
  )
  expect(await joined).toMatchObject({ code: 0 })
  await eventually('the old identity is refused', () => isRefused(before), END_WITHIN_MS)
  await eventually('Secrets are sealed anew', async () => (await sealed()) !== sealedBefore, END_WITHIN_MS)
  const since = systemClock.now() + 1_000
  await eventually('the other agent opens them', () => succeeded('secret', since).length > 1)
  await eventually('the old agent says it', () =>
    before.lines().some(line => line.includes('identity.ended')),
  )
  expect(succeeded('three', since)).toEqual([])
})

async function writeSecret(value: string): Promise<void> {
  const { mkdir } = await import('node:fs/promises')
  const folder = join(servers.dir, 'jobs', 'secrets', 'ops', 's')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(join(folder, 'k'), value, { mode: 0o600 })
}

test('an agent that is removed is refused within 10 s; its name can join again', async () => {
  const server = await servers.join('web-4')
  expect(await servers.cli('remove-agent', 'web-4', '--state', servers.state)).toMatchObject({ code: 0 })
  await eventually('it is refused', () => isRefused(server), END_WITHIN_MS)
  const again = await servers.join('web-4', { folder: join(servers.dir, 'web-4-new') })
  expect(again.lines().join('\n')).toContain('web-4 has joined')
  expect(await isRefused(again)).toBe(false)
})

test('a renewal that was under way when the agent was removed gets no key of the pool', async () => {
  const server = await servers.join('web-7')
  const { operator } = await settings(server)
  const tls = await tlsOf(server)
  const { createCsr } = await import('../../platform/certificates.ts')
  const { csr } = await createCsr('agent')
  const body = JSON.stringify({ csr })
  const asked = request(`${operator}/v1/renew`, { method: 'POST', ...tls, agent: false })
  const answered = once(asked, 'response')
  asked.write(body.slice(0, 1))
  expect(await servers.cli('remove-agent', 'web-7', '--state', servers.state)).toMatchObject({ code: 0 })
  await eventually('the identity has ended', () => {
    // So fast that the operator does not take it for a slow client.
    asked.write(' '.repeat(3_000))
    return isRefused(server)
  })
  asked.end(body.slice(1))
  const [response] = (await answered) as [IncomingMessage]
  expect({ status: response.statusCode, body: await text(response) }).toEqual({
    status: 403,
    body: expect.stringContaining('has ended') as string,
  })
})

test('leave ends the identity and removes everything that join has made', async () => {
  const server = await servers.join('web-5')
  const tls = await tlsOf(server)
  const { operator } = await settings(server)
  await server.child.stop(30_000)
  const left = await servers.cli('leave', '--etc', server.etc, '--state', server.state)
  expect(left).toMatchObject({
    code: 0,
    text: expect.stringContaining('the identity of this machine has ended') as string,
  })
  expect(await readdir(server.etc)).toEqual([])
  await expect(access(server.state)).rejects.toThrow()
  await eventually(
    'its certificate is refused',
    async () => (await ask(`${operator}/v1/ingest`, { method: 'POST', body: '', ...tls })).status === 403,
    END_WITHIN_MS,
  )
})

test('a certificate that expired while the machine was off is renewed for 30 days', async () => {
  const server = await servers.join('web-6')
  await server.child.stop(30_000)
  const authority = await openAuthority(await fileKeyStore(keysDir(servers.state)))
  const identity = agentOf(userOf((await tlsOf(server)).cert))
  const renewWith = async (hoursAgo: number) => {
    const now = systemClock.now() - hoursAgo * 3_600_000
    const commonName = agentUser(identity ?? { pool: '', agent: '', id: '' })
    const pair = await issue(authority.pair, { commonName, usage: 'client', hours: 24, now })
    await writeFile(join(server.etc, 'identity', 'tls.crt'), pair.cert)
    await writeFile(join(server.etc, 'identity', 'tls.key'), pair.key)
    const { createCsr } = await import('../../platform/certificates.ts')
    const { csr } = await createCsr('agent', pair.key)
    const { operator } = await settings(server)
    return await ask(`${operator}/v1/renew`, {
      method: 'POST',
      body: JSON.stringify({ csr }),
      ca: authority.caCert,
      ...pair,
    })
  }
  expect(await renewWith(24 * 32)).toMatchObject({
    status: 403,
    body: expect.stringContaining('expired at') as string,
  })
  expect(await renewWith(24 * 29)).toMatchObject({ status: 200 })
})
