import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import { request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BatchPiece } from '../../../core/output/batch.ts'
import { agentUser } from '../../../core/records/agent-user.ts'
import type { KeyPair } from '../../../platform/certificates.ts'
import { systemClock } from '../../../platform/clock.ts'
import { eventually } from '../../fault/eventually.ts'
import { type IngestFixture, startIngest, VALID_ID } from '../../fixtures/ingest.ts'

/** Clients that hold what they are given must not keep other agents waiting. */
let ingest: IngestFixture
let rude: { destroy(): void }[]
let pairs: Map<string, Promise<KeyPair>>
const signal = new AbortController().signal

beforeEach(async () => {
  rude = []
  pairs = new Map()
  ingest = await startIngest()
})
afterEach(async () => {
  for (const each of rude) each.destroy()
  await ingest.close()
})

/** An agent's batches are answered in a second or two, on a new connection each time. Here all clients share one busy process. */
const PROMPT_MS = 25_000

async function othersAreAnswered(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const client = await ingest.client('good')
    const startedAt = systemClock.monotonic()
    expect(await client.send([question(`ns.job.${i}`)], signal)).toMatchObject({ kind: 'answered' })
    expect(systemClock.monotonic() - startedAt).toBeLessThan(PROMPT_MS)
    client.close()
  }
}

/** A piece without output asks how much of an attempt is stored. */
const question = (run: string): BatchPiece => ({
  uid: 'u',
  run,
  attempt: 1,
  namespace: 'ns',
  name: 'job',
  offset: 0,
  next: 0,
  chunks: Buffer.alloc(0),
})

const pairOf = (agent: string) => {
  const pair =
    pairs.get(agent) ?? ingest.authority.client(agentUser({ pool: 'default', agent: agent, id: VALID_ID }), 1)
  pairs.set(agent, pair)
  return pair
}

/** A POST that sends one byte a second of the body that it announces, until it is cut off. */
async function trickle(agent: string): Promise<ClientRequest> {
  const pair = await pairOf(agent)
  const headers = { 'content-length': 100_000 }
  const options = { method: 'POST', headers, ca: ingest.authority.caCert, ...pair, agent: false as const }
  const sent = request(`https://127.0.0.1:${ingest.port}/v1/ingest`, options)
  rude.push(sent)
  sent.on('error', () => undefined)
  sent.flushHeaders()
  void (async () => {
    while (!sent.destroyed) {
      sent.write('x')
      await systemClock.sleep(1_000)
    }
  })()
  return sent
}

test('a thousand half-open TCP connections keep nobody waiting, and are closed', async () => {
  const open = new Set<Socket>()
  for (let i = 0; i < 1_000; i++) {
    const socket = connectTcp({ host: '127.0.0.1', port: ingest.port })
    rude.push(socket)
    socket.on('error', () => undefined)
    socket.on('connect', () => open.add(socket))
    socket.on('close', () => open.delete(socket))
  }
  await eventually('they are connected', () => open.size > 0)
  await othersAreAnswered(5)
  await eventually('the handshakes that never come are given up', () => open.size === 0, 30_000)
})

test('a thousand TLS connections without a request keep nobody waiting', async () => {
  const opened = Array.from({ length: 1_000 }, async () => {
    const { caCert: ca } = ingest.authority
    const socket = connectTls({ host: '127.0.0.1', port: ingest.port, ca })
    rude.push(socket)
    socket.on('error', () => undefined)
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]).catch(() => undefined)
  })
  await othersAreAnswered(3)
  await Promise.all(opened)
  await othersAreAnswered(3)
})

test('eight certificates with one POST of a byte a second each keep no other agent waiting, and are cut off', async () => {
  const slow = await Promise.all(Array.from({ length: 8 }, (_, i) => trickle(`slow-${i}`)))
  const ends = slow.map(async sent => {
    const [response] = await once(sent, 'response')
    return (response as { statusCode: number }).statusCode
  })
  await othersAreAnswered(5)
  expect(await Promise.all(ends)).toEqual(Array(8).fill(503))
})

test('1,100 such POSTs of one agent keep no other agent waiting', async () => {
  await Promise.all(Array.from({ length: 1_100 }, () => trickle('greedy')))
  await othersAreAnswered(5)
})

test("an agent's own batch is answered while a connection of its earlier process hangs", async () => {
  await trickle('again')
  const client = await ingest.client('again')
  const answers = async () => (await client.send([question('ns.job.1')], signal)).kind === 'answered'
  await eventually('it is answered', answers, 60_000)
  client.close()
})
