import { X509Certificate } from 'node:crypto'
import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import type { TokenRecord } from '../../core/records/identity.ts'
import { joinTokenText, newJoinToken, sha256 } from '../../platform/join-token.ts'
import type { Context } from '../context.ts'
import type { Authority } from '../identity/authority.ts'
import { memberOf } from './applicant.ts'
import type { Reach } from './issue.ts'

export interface MadeToken {
  token: string
  /** The operator's URL for `shellcron join`; undefined: none is set (--external-operator). */
  operator?: string
  /** Unix ms. */
  expiresAt: number
}

const asked = z.object({ ttlSeconds: z.number().int().optional() })

/** The body of a request for a token. Throws InvalidInput. */
export function parseTokenRequest(body: unknown): { ttlSeconds?: number | undefined } {
  const { data, error } = asked.safeParse(body ?? {})
  if (!data) throw new InvalidInput('ttlSeconds', error?.issues[0]?.message ?? 'is not valid')
  return data
}

const DEFAULT_SECONDS = 15 * 60
const LONGEST_SECONDS = 24 * 3_600

/** Makes a token with which the agent of this ShellAgent enrols once. The caller has authorized the request. `ttlSeconds`: at most a day. */
export async function makeToken(
  { etcd, keys, clock, resources, log }: Pick<Context, 'etcd' | 'keys' | 'clock' | 'resources' | 'log'>,
  { authority, reach }: { authority: Authority; reach: Reach },
  { agent, ttlSeconds = DEFAULT_SECONDS }: { agent: string; ttlSeconds?: number | undefined },
): Promise<MadeToken> {
  if (ttlSeconds < 1 || ttlSeconds > LONGEST_SECONDS)
    throw new InvalidInput('ttlSeconds', `must be from 1 to ${LONGEST_SECONDS}`)
  const member = memberOf({ resources }, agent)
  if (!member?.isExternal)
    throw new InvalidInput('agent', `there is no ShellAgent ${agent} with spec.external; create it first`)
  const token = newJoinToken(agent, new X509Certificate(authority.caCert).raw)
  const record: TokenRecord = { agent, uid: member.uid, pool: member.pool }
  const lease = await etcd.lease(ttlSeconds)
  const expiresAt = clock.now() + ttlSeconds * 1_000
  const put = { put: keys.token(sha256(token.secret)), value: JSON.stringify(record), lease: lease.id }
  await etcd.txn({ compare: [], then: [put] })
  log.info({ agent, pool: member.pool, ttlSeconds }, 'token.made')
  return { token: joinTokenText(token), expiresAt, ...(reach.operator ? { operator: reach.operator } : {}) }
}
