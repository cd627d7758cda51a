import type { Clock } from '../../platform/clock.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { Rights } from '../api/rights.ts'

/** A user, as the API server has authenticated them. */
export interface Subject {
  user: string
  groups: readonly string[]
}

/** A question to RBAC, or whatever authorises in the cluster. */
export interface Attributes {
  verb: string
  resource: string
  subresource?: string
  /** Default: all namespaces, or a resource without one. */
  namespace?: string
  /** Default: all names. */
  name?: string
}

/** Whether a user may do something, by SubjectAccessReview. Throws Unavailable if the API server does not answer. */
export type Review = (subject: Subject, attributes: Attributes) => Promise<boolean>

const GROUP = 'shellcron.dev'
/** How long an answer counts, ms. A right that is withdrawn ends within this time. */
const KEEP_MS = 10_000
const MOST_KEPT = 10_000

export function createReview({ api, clock }: { api: KubeApi; clock: Clock }): Review {
  const known = new Map<string, { allowed: Promise<boolean>; at: number }>()
  return (subject, attributes) => {
    const key = JSON.stringify([subject.user, subject.groups, attributes])
    const now = clock.monotonic()
    const kept = known.get(key)
    if (kept && now - kept.at < KEEP_MS) return kept.allowed
    if (known.size >= MOST_KEPT) known.clear()
    const allowed = review(api, subject, attributes)
    known.set(key, { allowed, at: now })
    allowed.catch(() => known.delete(key))
    return allowed
  }
}

async function review(api: KubeApi, { user, groups }: Subject, attributes: Attributes): Promise<boolean> {
  const answer = await api.request({
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    method: 'POST',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, groups, resourceAttributes: { group: GROUP, ...attributes } },
    },
  })
  const { status } = accepted(answer, 'create subjectaccessreview') as { status?: { allowed?: boolean } }
  return status?.allowed === true
}

/** A right on the job counts for its ShellRuns, too. A ShellRun of its own template needs the right on the whole namespace. */
export function rightsOfUser(review: Review, subject: Subject): Rights {
  const log = { verb: 'get', resource: 'shellcronjobs', subresource: 'log' }
  return {
    async mayReadLogs({ namespace, job }) {
      if (await review(subject, { ...log, namespace })) return true
      return job !== undefined && (await review(subject, { ...log, namespace, name: job }))
    },
    refusal({ namespace, job }) {
      const what = job === undefined ? 'the runs' : `ShellCronJob ${job}`
      return `user "${subject.user}" may not read results and output of ${what} in namespace "${namespace}". This needs the verb get on shellcronjobs/log. An administrator grants it with: kubectl create role shellcron-log -n ${namespace} --verb=get --resource=shellcronjobs.shellcron.dev/log; kubectl create rolebinding shellcron-log -n ${namespace} --role=shellcron-log --user='${subject.user}'`
    },
  }
}
