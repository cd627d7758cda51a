import { InvalidInput } from '../../core/errors.ts'
import { type AgentIdentity, agentUser } from '../../core/records/agent-user.ts'
import type { EnrolmentAnswer } from '../../core/records/enrolment.ts'
import { signCsr } from '../../platform/certificates.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Authority } from '../identity/authority.ts'
import { type Identity, pemOf } from '../identity/identity.ts'

/** Where agents outside of the cluster reach etcd and the operator. */
export interface Reach {
  etcd: readonly string[]
  operator: string
}

/** How long an agent's certificate is valid, h. It is renewed when two thirds have passed. */
const HOURS = 24

/** Signs the key of the request. Nothing else of the request is used. Throws InvalidInput if it is malformed. */
export async function issueCertificate(
  of: { identity: Identity; authority: Authority; reach: Reach; now: number },
  agent: AgentIdentity,
  csr: string,
): Promise<EnrolmentAnswer> {
  const { identity, authority, reach, now } = of
  const subject = { commonName: agentUser(agent), usage: 'client' as const, hours: HOURS, now }
  const certificate = await signCsr(authority.pair, csr, subject).catch((error: unknown) => {
    throw new InvalidInput('csr', messageOf(error), { cause: error })
  })
  const { privatePem } = await identity.pool(agent.pool)
  return {
    certificate,
    ca: authority.caCert,
    operatorKey: pemOf(identity.publicKey),
    poolKey: privatePem,
    pool: agent.pool,
    agent: agent.agent,
    etcd: [...reach.etcd],
    operator: reach.operator,
    hours: HOURS,
  }
}
