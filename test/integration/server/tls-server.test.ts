import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { Agent as Connections } from 'node:https'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { agentUser } from '../../../core/records/agent-user.ts'
import { answerJson, refuse } from '../../../operator/server/answers.ts'
import { certificateOf } from '../../../operator/server/start-server.ts'
import { createCa, issue, type KeyPair } from '../../../platform/certificates.ts'
import { systemClock } from '../../../platform/clock.ts'
import { type ServerFixture, startServer } from '../../fixtures/server.ts'

const HOUR = 3_600_000
const AGENT = { pool: 'default', agent: 'a', id: '0a1b2c3d' }
let fixture: ServerFixture

beforeAll(async () => {
  fixture = await startServer({
    handlers: peerAgent => ({
      'GET /v1/who': ({ request, response }) => {
        const peer = peerAgent(request.socket)
        if (peer.kind === 'agent') answerJson(response, peer.agent)
        else refuse(response, 403, peer.why)
      },
      'GET /v1/late': ({ request, response }) => {
        const peer = peerAgent(request.socket, { expiredMs: 2 * HOUR })
        if (peer.kind === 'agent') answerJson(response, peer.agent)
        else refuse(response, 403, peer.why)
      },
    }),
  })
})
afterAll(() => fixture.close())

/** The certificate of an agent, as this authority would have issued it `hoursAgo`. */
const pairOf = (ca: KeyPair, hoursAgo = 0, hours = 1) =>
  issue(ca, {
    commonName: agentUser(AGENT),
    usage: 'client',
    hours,
    now: systemClock.now() - hoursAgo * HOUR,
  })

/** The server's chain, as its clients see it. */
async function chain(): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port: fixture.server.port, ca: fixture.authority.caCert })
  await once(socket, 'secureConnect')
  const first = socket.getPeerCertificate(true)
  socket.destroy()
  const serials = (at: DetailedPeerCertificate): string[] =>
    at.issuerCertificate && at.issuerCertificate !== at
      ? [at.serialNumber, ...serials(at.issuerCertificate)]
      : [at.serialNumber]
  return serials(first)
}

test('it presents its certificate and the authority that signed it, without which a client cannot compare its hash', async () => {
  const socket = connect({ host: '127.0.0.1', port: fixture.server.port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { issuerCertificate } = socket.getPeerCertificate(true)
  expect(issuerCertificate.raw).toEqual(new X509Certificate(fixture.authority.caCert).raw)
  socket.destroy()
})

test("an agent's certificate names the agent; a request without one is refused with the reason", async () => {
  const pair = await pairOf(fixture.authority.pair)
  expect(await fixture.ask('/v1/who', { ...pair })).toMatchObject({
    status: 200,
    body: JSON.stringify(AGENT),
  })
  expect(await fixture.ask('/v1/who')).toMatchObject({
    status: 403,
    body: expect.stringContaining('needs the client certificate of an agent') as string,
  })
})

test('a certificate that has expired counts only where that is allowed, and only for so long', async () => {
  const expired = await pairOf(fixture.authority.pair, 2)
  expect(await fixture.ask('/v1/who', { ...expired })).toMatchObject({
    status: 403,
    body: expect.stringContaining('expired at') as string,
  })
  expect(await fixture.ask('/v1/late', { ...expired })).toMatchObject({ status: 200 })
  const old = await pairOf(fixture.authority.pair, 4)
  expect(await fixture.ask('/v1/late', { ...old })).toMatchObject({ status: 403 })
})

test("another authority's certificate is refused, also if it has expired and has our authority's name", async () => {
  const stranger = await createCa({ commonName: 'ShellCron', days: 1 })
  for (const [hoursAgo, hours] of [
    [0, 1],
    [1, 0.5],
  ] as const) {
    const pair = await pairOf(stranger, hoursAgo, hours)
    expect(await fixture.ask('/v1/late', { ...pair })).toMatchObject({
      status: 403,
      body: expect.stringContaining('not of this operator') as string,
    })
  }
})

test('a certificate of this authority that is not one of an agent is refused', async () => {
  const { authority } = fixture
  const pairs = [
    await authority.client('shellcron-operator', 1),
    await authority.client('agent:default', 1),
    await issue(authority.pair, { commonName: agentUser(AGENT), usage: 'server', hours: 1 }),
  ]
  for (const pair of pairs)
    expect(await fixture.ask('/v1/who', { ...pair })).toMatchObject({
      status: 403,
      body: expect.stringContaining('is not that of an agent') as string,
    })
})

test('a new certificate is served to new connections, and the present ones go on', async () => {
  const kept = new Connections({ keepAlive: true, maxSockets: 1 })
  const pair = await pairOf(fixture.authority.pair)
  const ask = () => fixture.ask('/v1/who', { ...pair, agent: kept })
  expect((await ask()).status).toBe(200)
  const sockets = () => Object.values(kept.freeSockets).flatMap(all => all ?? [])
  const [socket] = sockets()
  const [before] = await chain()
  fixture.server.certify(await certificateOf(fixture.authority, ['localhost', '127.0.0.1']))
  const [after, ca] = await chain()
  expect(after).not.toBe(before)
  expect(ca).toBeDefined()
  expect((await ask()).status).toBe(200)
  expect(sockets()).toEqual([socket])
  kept.destroy()
})

test('an unknown path is answered with 404', async () => {
  expect(await fixture.ask('/v1/nothing?x=1')).toMatchObject({
    status: 404,
    body: expect.stringContaining('GET /v1/nothing') as string,
  })
})
