import * as z from 'zod'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'

/** Asks the API server about the projected token of a node's agent. */
export type ReviewNodeToken = (
  token: string,
) => Promise<{ kind: 'node'; node: string } | { kind: 'refused'; why: string }>

export const AUDIENCE = 'shellcron-enrol'
const NODE_NAME = 'authentication.kubernetes.io/node-name'

const reviewed = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    error: z.string().optional(),
    user: z
      .object({
        username: z.string().default(''),
        extra: z.record(z.string(), z.array(z.string())).default({}),
      })
      .prefault({}),
  }),
})

/** `accounts`: the ServiceAccounts of agents, as `NAMESPACE:NAME`. */
export function nodeTokenReviewer(of: { api: KubeApi; accounts: readonly string[] }): ReviewNodeToken {
  const users = new Set(of.accounts.map(account => `system:serviceaccount:${account}`))
  return async token => {
    const answer = await of.api.request({
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      method: 'POST',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: [AUDIENCE] },
      },
    })
    const { status } = reviewed.parse(accepted(answer, 'review a token'))
    if (!status.authenticated || !status.audiences.includes(AUDIENCE))
      return refused(
        `the ServiceAccount token is not valid for the audience ${AUDIENCE}: ${status.error ?? 'refused'}`,
      )
    if (!users.has(status.user.username))
      return refused(`${status.user.username} is no ServiceAccount of agents (--agent-service-account)`)
    // The API server puts the node into the token of a pod. The pod cannot choose it.
    const node = status.user.extra[NODE_NAME]?.[0]
    return node ? { kind: 'node', node } : refused('the ServiceAccount token is not bound to a pod on a node')
  }
}

function refused(why: string): { kind: 'refused'; why: string } {
  return { kind: 'refused', why }
}
