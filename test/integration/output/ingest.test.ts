import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectIngest } from '../../../agent/output/ingest-client.ts'
import { type BatchPiece, encodeBatch } from '../../../core/output/batch.ts'
import { agentUser } from '../../../core/records/agent-user.ts'
import { createCa, issue } from '../../../platform/certificates.ts'
import { type IngestFixture, startIngest, VALID_ID } from '../../fixtures/ingest.ts'

/** Which agents may send which output. */
let ingest: IngestFixture
const signal = new AbortController().signal

beforeAll(async () => {
  ingest = await startIngest()
})
afterAll(() => ingest.close())

function piece(
  run: string,
  offset: number,
  texts: readonly string[],
  over: Partial<BatchPiece> = {},
): BatchPiece {
  const chunks = Buffer.concat(
    texts.map(text => {
      const header = Buffer.alloc(13)
      header.writeUInt8(1, 0)
      header.writeUInt32BE(text.length, 9)
      return Buffer.concat([header, Buffer.from(text)])
    }),
  )
  const of = { uid: 'u', run: `ns.job.${run}`, attempt: 1, namespace: 'ns', name: 'job' }
  return { ...of, offset, next: offset + chunks.length, chunks, ...over }
}
const bytes = async (run: string) => (await ingest.head(`ns.job.${run}`))?.bytes

test('an agent may send its own output, and learns how far each is stored', async () => {
  const client = await ingest.client('a')
  const sent = await client.send([piece('own', 0, ['one']), piece('own-2', 0, ['two'])], signal)
  expect(sent).toEqual({ kind: 'answered', answers: [{ stored: 16 }, { stored: 16 }] })
  const again = [piece('own', 0, ['one', 'more'], { end: true }), piece('own', 0, [])]
  expect(await client.send(again, signal)).toMatchObject({ answers: [{ stored: 33 }, { stored: 16 }] })
  const question = [piece('own', 0, []), piece('none', 0, [])]
  expect(await client.send(question, signal)).toMatchObject({
    answers: [{ stored: 33, ended: true }, { stored: 0 }],
  })
})

test('a malformed piece is named, and nothing of its batch is stored', async () => {
  const client = await ingest.client('a')
  const good = piece('good', 0, ['one'])
  const halved = { ...piece('halved', 0, ['two']), chunks: good.chunks.subarray(0, 14), next: 14 }
  const long = piece('x'.repeat(1_025), 0, ['three'])
  expect(await client.send([good, halved], signal)).toMatchObject({ kind: 'malformed', index: 1 })
  expect(await client.send([good, good, long], signal)).toMatchObject({ kind: 'malformed', index: 2 })
  expect(await bytes('good')).toBeUndefined()
})

test("another agent's output of a run is refused, also under the owner's name without its certificate", async () => {
  await (await ingest.client('a')).send([piece('whose', 0, ['mine'])], signal)
  for (const pool of ['default', 'other']) {
    const other = await ingest.client('b', { pool })
    const sent = await other.send(
      [piece('whose', 17, ['!'], { end: true }), piece(`b-${pool}`, 0, ['b'])],
      signal,
    )
    expect(sent).toMatchObject({ answers: [{ stored: 0, refused: 'NotYours' }, { stored: 14 }] })
    const { authority } = ingest
    const tls = {
      ca: authority.caCert,
      ...(await authority.client(agentUser({ pool, agent: 'b', id: VALID_ID }), 1)),
    }
    const url = `https://127.0.0.1:${ingest.port}`
    const liar = connectIngest({ url, tls, pool: 'default', agent: 'a' })
    expect(await liar.send([piece('whose', 17, ['!'])], signal)).toMatchObject({
      kind: 'failed',
      isRejected: true,
      why: expect.stringContaining(`is that of agent ${pool}/b, but the batch is from default/a`) as string,
    })
    liar.close()
  }
  expect(await bytes('whose')).toBe(4)
})

test("without an agent's certificate of this authority nothing is accepted", async () => {
  const { authority, port } = ingest
  const stranger = await createCa({ commonName: 'ShellCron', days: 1 })
  const url = `https://127.0.0.1:${port}`
  const of = {
    commonName: agentUser({ pool: 'default', agent: 'a', id: VALID_ID }),
    usage: 'client' as const,
    hours: 1,
  }
  const pairs = {
    stranger: await issue(stranger, of),
    operator: await authority.client('shellcron-operator', 1),
    etcd: await authority.server(['127.0.0.1'], 1),
    ended: await authority.client(agentUser({ pool: 'default', agent: 'a', id: 'ffffffff' }), 1),
    unnamed: await authority.client('agent:default:a', 1),
    twice: await authority.client('agent:default:a:b:c', 1),
  }
  for (const [name, pair] of Object.entries(pairs)) {
    const client = connectIngest({ url, tls: { ca: authority.caCert, ...pair }, pool: 'default', agent: 'a' })
    expect(await client.send([piece(`of-${name}`, 0, ['x'])], signal)).toMatchObject({ kind: 'failed' })
    client.close()
    expect(await bytes(`of-${name}`)).toBeUndefined()
  }
  const bare = await new Promise<string>(resolve => {
    const asked = request(`${url}/v1/ingest`, { method: 'POST', ca: authority.caCert }, answer =>
      resolve(`answered ${answer.statusCode}`),
    )
    asked.on('error', error => resolve(error.message))
    asked.end()
  })
  expect(bare).toBe('answered 403')
})

test('nothing is stored of an agent whose identity ends while its batch arrives', async () => {
  const { authority, port } = ingest
  const pair = await authority.client(agentUser({ pool: 'default', agent: 'a', id: VALID_ID }), 1)
  const body = Buffer.concat(
    encodeBatch({ pool: 'default', agent: 'a', pieces: [piece('late', 0, ['one'])] }),
  )
  const asked = request(`https://127.0.0.1:${port}/v1/ingest`, {
    method: 'POST',
    ca: authority.caCert,
    ...pair,
    headers: { expect: '100-continue' },
  })
  const status = new Promise(resolve => asked.on('response', answer => resolve(answer.statusCode)))
  asked.flushHeaders()
  // The operator has judged the certificate when it asks for the body.
  await once(asked, 'continue')
  await ingest.withoutIdentity(async () => {
    asked.end(body)
    expect(await status).toBe(403)
  })
  expect(await bytes('late')).toBeUndefined()
})

test('an agent does not send to an operator of another authority', async () => {
  const stranger = await createCa({ commonName: 'ShellCron', days: 1 })
  const pair = await ingest.authority.client(agentUser({ pool: 'default', agent: 'a', id: VALID_ID }), 1)
  const url = `https://127.0.0.1:${ingest.port}`
  const client = connectIngest({ url, tls: { ca: stranger.cert, ...pair }, pool: 'default', agent: 'a' })
  expect(await client.send([piece('secret', 0, ['x'])], signal)).toMatchObject({
    kind: 'failed',
    why: expect.stringMatching(/certificate|issuer|self-signed/i) as string,
  })
  client.close()
  expect(await bytes('secret')).toBeUndefined()
})

test('a malformed batch is refused, and one that is too long is not decompressed', async () => {
  const { authority, port } = ingest
  const pair = await authority.client(agentUser({ pool: 'default', agent: 'a', id: VALID_ID }), 1)
  const post = (body: Buffer, encoding: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { 'content-encoding': encoding }
      const tls = { ca: authority.caCert, ...pair }
      const asked = request(
        `https://127.0.0.1:${port}/v1/ingest`,
        { method: 'POST', headers, ...tls },
        answer => resolve(answer.statusCode ?? 0),
      )
      asked.on('error', reject)
      asked.end(body)
    })
  const { gzipSync } = await import('node:zlib')
  expect(await post(Buffer.from('noise'), 'zstd')).toBe(400)
  expect(await post(gzipSync(Buffer.from('{}')), 'gzip')).toBe(400)
  expect(await post(Buffer.from('noise'), 'br')).toBe(400)
  expect(await post(gzipSync(Buffer.alloc(50_000_000)), 'gzip')).toBe(400)
})

test('a Unix socket takes output as a port does, from its own user alone, also after a restart', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shellcron-ingest-'))
  const umask = process.umask(0)
  const path = join(dir, 'ingest.sock')
  const own = await startIngest(undefined, undefined, { path })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const client = await own.client('a', { url: `unix:${path}` })
  const answered = (stored: number) => ({ kind: 'answered', answers: [{ stored }] })
  expect(await client.send([piece('one', 0, ['one'])], signal)).toEqual(answered(16))
  await own.stop()
  expect(await client.send([piece('two', 0, ['two'])], signal)).toMatchObject({ kind: 'failed' })
  await own.start()
  expect(await client.send([piece('two', 0, ['two'])], signal)).toEqual(answered(16))
  const other = await own.client('b', { url: `unix:${path}` })
  expect(await other.send([piece('one', 16, ['!'])], signal)).toMatchObject({
    answers: [{ refused: 'NotYours' }],
  })
  await own.close()
  expect(await readdir(dir)).toEqual([])
  process.umask(umask)
  await rm(dir, { recursive: true })
})
