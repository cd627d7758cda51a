import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import { enrolRequestSchema, renewRequestSchema } from '../../core/records/enrolment.ts'
import { type IdentityRecord, identitySchema } from '../../core/records/identity.ts'
import type { Clock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { deleteKnown } from '../../store/protocol/operator-writes.ts'
import { parseVersioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import type { Access } from '../identity/access.ts'
import type { Authority } from '../identity/authority.ts'
import { createAdmission } from '../ingest/admission.ts'
import { answerJson, refuse } from '../server/answers.ts'
import type { Handlers } from '../server/exchange.ts'
import { endedMessage, type PeerAgent } from '../server/peer-agent.ts'
import { tooSlow } from '../server/progress.ts'
import { type Applicant, judgeToken } from './applicant.ts'
import { issueCertificate, type Reach } from './issue.ts'
import type { ReviewNodeToken } from './review-node-token.ts'

/**
 *   POST /v1/enrol   a token and a certificate request: the token is judged, the identity stored, its user made, the certificate signed
 *   POST /v1/renew   the agent's certificate, expired for 30 days at most, and a new request: the same identity, and the pool's present keys
 *
 *   POST /v1/leave   the agent's certificate: its identity ends
 *
 *   200 core/records/enrolment.ts    400 malformed    403 not allowed, with the remedy    503 try again
 */
export interface EnrolmentOptions {
  authority: Authority
  /** undefined: etcd has no users. */
  access: Access | undefined
  reach: Reach
  reviewNode: ReviewNodeToken | undefined
}

const RENEWABLE_MS = 30 * 24 * 3_600_000
const MAX_BODY_BYTES = 64 * 1024
/** Enrolments of one address are served one after another; so many may wait. Forty servers may share an address. */
const WAITING = 200

export function enrolmentHandlers(options: EnrolmentOptions) {
  return (context: Context, peerAgent: PeerAgent): Handlers => {
    const admission = createAdmission({ waiting: WAITING })
    const issue = (agent: AgentIdentity, csr: string) =>
      issueCertificate({ ...options, identity: context.identity, now: context.clock.now() }, agent, csr)
    const inTurn = async (request: IncomingMessage, work: () => Promise<void>) => {
      const leave = await admission.enter(request.socket.remoteAddress ?? '')
      try {
        await work()
      } finally {
        leave()
      }
    }
    return {
      // The body is read before the turn: a client that sends it slowly holds no place.
      'POST /v1/enrol': async ({ request, response }) => {
        const asked = await jsonOf(request, enrolRequestSchema, context.clock)
        await inTurn(request, () => enrol({ ...context, ...options, issue }, asked, response))
      },
      'POST /v1/renew': async ({ request, response }) => {
        const peer = peerAgent(request.socket, { expiredMs: RENEWABLE_MS })
        if (peer.kind !== 'agent') return refuse(response, 403, peer.why)
        const { csr } = await jsonOf(request, renewRequestSchema, context.clock)
        const answer = await issue(peer.agent, csr)
        // After the pool's key was read: an identity that ended while the body arrived must not get the key that replaces its own.
        if (!(await isStored(context, peer.agent))) return refuse(response, 403, endedMessage(peer.agent))
        answerJson(response, answer)
        context.log.info(peer.agent, 'identity.renewed')
      },
      'POST /v1/leave': async ({ request, response }) => {
        const peer = peerAgent(request.socket, { expiredMs: RENEWABLE_MS })
        if (peer.kind !== 'agent') return refuse(response, 403, peer.why)
        await endIdentity(context, peer.agent)
        answerJson(response, {})
      },
    }
  }
}

type Enrolling = Context &
  EnrolmentOptions & { issue: (agent: AgentIdentity, csr: string) => Promise<object> }

async function enrol(
  of: Enrolling,
  { token, csr }: z.infer<typeof enrolRequestSchema>,
  response: ServerResponse,
): Promise<void> {
  const judged = await judgeToken(of, token, of.reviewNode)
  if (judged.kind === 'refused') return refuse(response, 403, judged.why)
  const { pool, agent } = judged.applicant
  const identity = { pool, agent, id: randomBytes(8).toString('hex') }
  // Before the token is used up: a malformed request leaves it as it is.
  const answer = await of.issue(identity, csr)
  await storeIdentity(of, judged.applicant, identity)
  await of.access?.admit(identity)
  of.log.info(identity, 'identity.enrolled')
  answerJson(response, answer)
}

/** From here on certificates of an earlier identity of this agent are refused. The same transaction uses the token up. */
async function storeIdentity(
  { etcd, keys, clock }: Pick<Context, 'etcd' | 'keys' | 'clock'>,
  { uid, used }: Applicant,
  { pool, agent, id }: AgentIdentity,
): Promise<void> {
  const key = keys.identity(pool, agent)
  const { mod } = parseVersioned(identitySchema, key, await etcd.get(key))
  const record: IdentityRecord = { id, uid, enrolledAt: clock.now() }
  const answer = await etcd.txn({
    compare: [{ key, mod }, ...(used ? [{ key: used.key, mod: used.mod }] : [])],
    then: [{ put: key, value: JSON.stringify(record) }, ...(used ? [{ delete: used.key }] : [])],
  })
  if (!answer.ok)
    throw new Unavailable('the same agent is being enrolled elsewhere at this moment; try again')
}

/** Whether it is the agent's identity at this moment, by etcd itself. */
async function isStored(
  { etcd, keys }: Pick<Context, 'etcd' | 'keys'>,
  { pool, agent, id }: AgentIdentity,
): Promise<boolean> {
  const key = keys.identity(pool, agent)
  return parseVersioned(identitySchema, key, await etcd.get(key)).value?.id === id
}

async function endIdentity(
  { etcd, keys }: Pick<Context, 'etcd' | 'keys'>,
  agent: AgentIdentity,
): Promise<void> {
  const key = keys.identity(agent.pool, agent.agent)
  const { value, mod } = parseVersioned(identitySchema, key, await etcd.get(key))
  if (value?.id === agent.id) await etcd.txn(deleteKnown(key, mod))
}

async function jsonOf<T>(request: IncomingMessage, schema: z.ZodType<T>, clock: Clock): Promise<T> {
  const over = new AbortController()
  const slow = tooSlow(request, clock, over.signal)
  slow.catch(() => undefined)
  const text = await Promise.race([textOf(request), slow]).finally(() => over.abort())
  const parsed = schema.safeParse(parse(text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new InvalidInput(issue?.path.join('.') || 'body', issue?.message ?? 'is not valid')
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  request.setEncoding('utf8')
  for await (const part of request as AsyncIterable<string>) {
    text += part
    if (text.length > MAX_BODY_BYTES) throw new InvalidInput('body', `is larger than ${MAX_BODY_BYTES} bytes`)
  }
  return text
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidInput('body', 'is not JSON', { cause: error })
  }
}
