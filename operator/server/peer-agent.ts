import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type AgentIdentity, agentOf } from '../../core/records/agent-user.ts'

export type Peer =
  | { kind: 'agent'; agent: AgentIdentity; certificate: X509Certificate }
  /** `why`: for the client, with the remedy. */
  | { kind: 'other'; why: string }

/** Which agent a connection belongs to. `expiredMs`: a certificate that expired at most so long ago still counts; default 0. */
export type PeerAgent = (socket: Socket, allow?: { expiredMs?: number }) => Peer

/** The extended key usage of a client. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

/**
 * Judges a client's certificate anew for each request. The TLS handshake has proved that the client holds its key, and asks for no more:
 * clients without a certificate use the same port. OpenSSL's own verdict is not used, because it names only the last of several errors, so
 * that "expired" may hide "of another authority".
 */
export function createPeerAgent(of: {
  /** PEM. */
  ca: string
  now(): number
  /** Why this agent's certificate does not count any more, for the client; undefined: it counts. */
  whyEnded?(agent: AgentIdentity): string | undefined
}): PeerAgent {
  const ca = new X509Certificate(of.ca)
  const known = new WeakMap<Socket, Peer>()
  return (socket, { expiredMs = 0 } = {}) => {
    const peer = known.get(socket) ?? peerOf(socket, ca)
    known.set(socket, peer)
    if (peer.kind === 'other') return peer
    const now = of.now()
    const { validFromDate, validToDate } = peer.certificate
    if (now < validFromDate.getTime())
      return other(
        `the client certificate is not valid before ${validFromDate.toISOString()}; set this machine's clock, or the operator's`,
      )
    if (now > validToDate.getTime() + expiredMs)
      return other(`the client certificate expired at ${validToDate.toISOString()}; renew it, or enrol again`)
    const why = of.whyEnded?.(peer.agent)
    return why === undefined ? peer : other(why)
  }
}

/** For the client of an identity that is not the agent's any more. */
export function endedMessage({ agent }: AgentIdentity): string {
  return `the identity of agent ${agent} has ended: it was removed, or has enrolled again since; join it again`
}

/** What never changes on a connection. */
function peerOf(socket: Socket, ca: X509Certificate): Peer {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  if (!(socket instanceof TLSSocket) || !certificate)
    return other('this needs the client certificate of an agent')
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey) || certificate.ca)
    return other('the client certificate is not of this operator; enrol the agent here')
  // A certificate with two names is not one of ours.
  const name: unknown = socket.getPeerCertificate().subject?.CN
  const agent = typeof name === 'string' ? agentOf(name) : undefined
  if (!agent || !certificate.keyUsage?.includes(CLIENT_AUTH))
    return other('the client certificate is not that of an agent')
  return { kind: 'agent', agent, certificate }
}

function other(why: string): Peer {
  return { kind: 'other', why }
}
