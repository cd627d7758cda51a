import { tokenSchema } from '../../core/records/identity.ts'
import { isJoinToken, parseJoinToken, sha256 } from '../../platform/join-token.ts'
import { parseVersioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { desiredMembers } from '../members/plan.ts'
import type { ReviewNodeToken } from './review-node-token.ts'

/** The agent that a token lets enrol. */
export interface Applicant {
  pool: string
  agent: string
  /** Of its ShellAgent. */
  uid: string
  /** The record of a token that may be used once. */
  used?: { key: string; mod: number }
}

/** `why`: for the machine's administrator, with the remedy. */
export type Judged = { kind: 'may'; applicant: Applicant } | { kind: 'refused'; why: string }

type Deps = Pick<Context, 'etcd' | 'keys' | 'resources'>

const refused = (why: string): Judged => ({ kind: 'refused', why })

/** Who may enrol with this token. `reviewNode`: undefined outside of Kubernetes. */
export async function judgeToken(
  deps: Deps,
  token: string,
  reviewNode: ReviewNodeToken | undefined,
): Promise<Judged> {
  if (isJoinToken(token)) return await judgeJoinToken(deps, token)
  if (!reviewNode) return refused('the token is none of join-command: copy the whole line again')
  const review = await reviewNode(token)
  if (review.kind === 'refused') return review
  const member = memberOf(deps, review.node)
  if (!member || member.isExternal)
    return refused(
      `no pool has Node ${review.node}: its labels match no ShellPool, or it is a control-plane Node`,
    )
  return { kind: 'may', applicant: member }
}

async function judgeJoinToken(deps: Deps, text: string): Promise<Judged> {
  const { etcd, keys } = deps
  const token = parseJoinToken(text)
  if (!token) return refused('the token is not whole: copy the whole line of join-command again')
  const key = keys.token(sha256(token.secret))
  const { value, mod } = parseVersioned(tokenSchema, key, await etcd.get(key))
  const again = `make another line: shellcron join-command ${token.agent}`
  if (!value || value.agent !== token.agent)
    return refused(`the token is unknown: it was used, has expired, or another operator made it; ${again}`)
  const member = memberOf(deps, value.agent)
  if (!member?.isExternal || member.uid !== value.uid || member.pool !== value.pool)
    return refused(`the ShellAgent ${value.agent} was deleted or changed since the token was made; ${again}`)
  return { kind: 'may', applicant: { ...member, used: { key, mod } } }
}

/** undefined: there is no ShellAgent of this name in a pool. */
export function memberOf(
  { resources }: Pick<Deps, 'resources'>,
  name: string,
): (Applicant & { isExternal: boolean }) | undefined {
  const object = resources.get('ShellAgent', '', name)
  if (!object) return undefined
  const nodes = new Map(resources.list('Node').map(node => [node.metadata.name, node]))
  const [member] = desiredMembers([object], nodes, resources.list('ShellPool'))
  const uid = object.metadata.uid ?? ''
  return member && { pool: member.pool, agent: name, uid, isExternal: object.spec.external !== undefined }
}
