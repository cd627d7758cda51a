import { createHash, randomBytes } from 'node:crypto'
import * as z from 'zod'
import { API_VERSION } from '../../core/schema/objects.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { granted } from './cluster.ts'

const reviewSchema = z.object({
  status: z.object({ userInfo: z.object({ username: z.string(), groups: z.array(z.string()).default([]) }) }),
})

/** Creates a ShellTicket of the user. Returns the value of the Authorization header that it is good for, once within 60 s. */
export async function createTicket(api: KubeApi): Promise<string> {
  const review = await api.request({
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    method: 'POST',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  })
  const { username, groups } = reviewSchema.parse(granted(review, 'whoami')).status.userInfo
  const name = `t-${randomBytes(8).toString('hex')}`
  const nonce = randomBytes(32).toString('base64url')
  const nonceHash = createHash('sha256').update(nonce).digest('hex')
  const created = await api.request({
    path: '/apis/shellcron.dev/v1alpha1/shelltickets',
    method: 'POST',
    body: {
      apiVersion: API_VERSION,
      kind: 'ShellTicket',
      metadata: { name },
      spec: { nonceHash, user: username, groups },
    },
  })
  granted(created, 'ticket', 'every user needs the right to create shelltickets (docs/cli.md)')
  return `ShellTicket ${name}:${nonce}`
}
