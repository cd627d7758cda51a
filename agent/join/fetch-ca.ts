import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { Unavailable } from '../../platform/errors.ts'
import { sha256 } from '../../platform/join-token.ts'

const WITHIN_MS = 15_000

/**
 * The authority of the operator at this URL, PEM, if it is the one whose hash the token has. The operator presents it in the TLS handshake,
 * so nothing is sent to, or fetched from, a server that is not verified. Rejects with Unavailable, whose message has the remedy.
 */
export async function fetchCa(url: string, hash: string): Promise<string> {
  const chain = await chainOf(url)
  const [own] = chain
  const ca = chain.find(each => sha256(each.raw) === hash)
  const isIssuer = ca && own && own !== ca && own.checkIssued(ca) && own.verify(ca.publicKey)
  if (!isIssuer)
    throw new Unavailable(
      `${url} is not the operator that made this token: its certificate authority is another one. Check the URL, and whether a proxy or another host answers there`,
    )
  return ca.toString()
}

async function chainOf(url: string): Promise<X509Certificate[]> {
  const socket = await handshake(new URL(url))
  try {
    const found: X509Certificate[] = []
    let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
    // A root is its own issuer.
    while (at?.raw && !found.some(each => each.raw.equals(at?.raw ?? Buffer.alloc(0)))) {
      found.push(new X509Certificate(at.raw))
      at = at.issuerCertificate
    }
    return found
  } finally {
    socket.destroy()
  }
}

function handshake({ hostname, port, host }: URL): Promise<TLSSocket> {
  const name = hostname.replace(/^\[(.*)\]$/, '$1')
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: name,
      port: Number(port || 443),
      ...(isIP(name) ? {} : { servername: name }),
      // What the certificate is worth is judged by the token's hash.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      timeout: WITHIN_MS,
    })
    const fail = (why: string, cause?: Error) => {
      socket.destroy()
      const message = `cannot reach the operator at ${host}: ${why}. Check the address, the firewall between here and there, and that the operator runs`
      reject(new Unavailable(message, cause ? { cause } : {}))
    }
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', error => fail(error.message, error))
    socket.once('timeout', () => fail(`no answer in ${WITHIN_MS / 1_000} s`))
  })
}
