import type { TLSSocket } from 'node:tls'
import { type AgentIdentity, agentOf } from '../../core/records/agent-user.ts'

/** The agent that the client's certificate names. undefined: the client is not an agent. */
export function clientAgentOf(socket: TLSSocket): AgentIdentity | undefined {
  const { subject } = socket.getPeerCertificate()
  const name: unknown = subject?.CN
  // A certificate with two names is not one of ours.
  return typeof name === 'string' ? agentOf(name) : undefined
}
