import type { TLSSocket } from 'node:tls'
import { agentOf } from '../identity/enrol.ts'

/** An agent, by the name in its certificate. */
export interface ClientAgent {
  pool: string
  agent: string
}

/** undefined: the client is not an agent. */
export function clientAgentOf(socket: TLSSocket): ClientAgent | undefined {
  const { subject } = socket.getPeerCertificate()
  const name: unknown = subject?.CN
  // A certificate with two names is not one of ours.
  return typeof name === 'string' ? agentOf(name) : undefined
}
