import type { TLSSocket } from 'node:tls'
import { agentOf } from '../identity/enrol.ts'

/** An agent, as its certificate names it. */
export interface ClientAgent {
  pool: string
  agent: string
}

/** undefined: whoever it is, it is no agent. */
export function clientAgentOf(socket: TLSSocket): ClientAgent | undefined {
  const { subject } = socket.getPeerCertificate()
  const name: unknown = subject?.CN
  // Two names in one certificate: none of ours.
  return typeof name === 'string' ? agentOf(name) : undefined
}
