import { X509Certificate } from 'node:crypto'
import { connect, createServer, type PeerCertificate } from 'node:tls'
import { expect, test } from 'vitest'
import { createCa, createCsr, issue, type KeyPair, signCsr } from './certificates.ts'

const HOUR = 3_600_000

test('a server and a client of one authority verify each other by name', async () => {
  const ca = await createCa({ commonName: 'test', days: 1 })
  const server = await issue(ca, {
    commonName: 'server',
    names: ['localhost', '127.0.0.1', '::1'],
    usage: 'server',
    hours: 1,
  })
  const client = await issue(ca, {
    commonName: 'alice, CN=root + O=system:masters',
    organizations: ['dba', 'ops'],
    usage: 'client',
    hours: 1,
  })

  const { subject } = await handshake(ca.cert, server, client)

  expect(subject.CN).toBe('alice, CN=root + O=system:masters')
  expect(subject.O).toEqual(['dba', 'ops'])
})

test('a client of another authority is refused', async () => {
  const ca = await createCa({ commonName: 'test', days: 1 })
  const other = await createCa({ commonName: 'test', days: 1 })
  const server = await issue(ca, { commonName: 's', names: ['127.0.0.1'], usage: 'server', hours: 1 })
  const stranger = await issue(other, { commonName: 'alice', usage: 'client', hours: 1 })

  await expect(handshake(ca.cert, server, stranger)).rejects.toThrow()
})

test('a server certificate is refused as a client certificate', async () => {
  const ca = await createCa({ commonName: 'test', days: 1 })
  const server = await issue(ca, { commonName: 's', names: ['127.0.0.1'], usage: 'server', hours: 1 })

  await expect(handshake(ca.cert, server, server)).rejects.toThrow()
})

test('a certificate is valid for its hours, and never longer than its authority', async () => {
  const now = Date.UTC(2030, 0, 1)
  const ca = await createCa({ commonName: 'test', days: 1, now })
  const short = await issue(ca, { commonName: 'a', usage: 'client', hours: 2, now })
  const long = await issue(ca, { commonName: 'a', usage: 'client', hours: 48, now })

  expect(new X509Certificate(short.cert).validToDate.getTime()).toBe(now + 2 * HOUR)
  expect(new X509Certificate(long.cert).validToDate.getTime()).toBe(now + 24 * HOUR)
})

test('a signed certificate has the key of the request and the name that the authority chose', async () => {
  const ca = await createCa({ commonName: 'test', days: 1 })
  const { csr, key } = await createCsr('root')
  const cert = await signCsr(ca, csr, { commonName: 'agent-1', usage: 'client', hours: 1 })
  const server = await issue(ca, { commonName: 's', names: ['127.0.0.1'], usage: 'server', hours: 1 })

  expect((await handshake(ca.cert, server, { cert, key })).subject.CN).toBe('agent-1')
})

test('a tampered request is refused', async () => {
  const ca = await createCa({ commonName: 'test', days: 1 })
  const lines = (await createCsr('agent-1')).csr.trim().split('\n')
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64')
  const at = bytes.indexOf('agent-1')
  bytes.write('agent-2', at)
  const csr = `${lines[0]}\n${bytes.toString('base64')}\n${lines.at(-1)}\n`

  await expect(signCsr(ca, csr, { commonName: 'a', usage: 'client', hours: 1 })).rejects.toThrow(
    'not signed by its own key',
  )
})

/** The client's certificate as the server sees it. Rejects if either side refuses the other. */
async function handshake(ca: string, server: KeyPair, client: KeyPair): Promise<PeerCertificate> {
  const listener = createServer({ ...server, ca, requestCert: true, rejectUnauthorized: true })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const socket = connect({ ...client, ca, host: '127.0.0.1', port })
  try {
    return await new Promise<PeerCertificate>((resolve, reject) => {
      socket.on('error', reject)
      listener.on('tlsClientError', reject)
      listener.on('secureConnection', peer => {
        peer.on('error', () => {})
        resolve(peer.getPeerCertificate())
      })
    })
  } finally {
    socket.destroy()
    await new Promise(resolve => listener.close(resolve))
  }
}
