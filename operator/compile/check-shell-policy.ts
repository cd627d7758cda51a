import { judgedUser, whyJudged } from '../../core/policy/host-user.ts'
import { isLike } from '../../core/policy/wildcard.ts'
import type { PolicyRule } from '../../core/schema/fleet.ts'
import type { ShellPolicy } from '../../core/schema/objects.ts'
import type { TemplateSpec } from '../../core/schema/template.ts'
import { type Blocked, blocked } from './blocked.ts'

/**
 * ShellPolicies decide which namespace may run which commands in which pool. They are additive, as in RBAC: one rule must allow the whole
 * template, and their order has no meaning. Container mode in pool `default` is always allowed. Pure.
 */
export interface Limits {
  maxJobs?: number | undefined
  minIntervalSeconds?: number | undefined
  maxConcurrentRuns?: number | undefined
}

export interface PolicyQuestion {
  namespace: string
  template: Pick<TemplateSpec, 'target' | 'host' | 'container'>
  policies: readonly ShellPolicy[]
  /** Standalone: without any ShellPolicy everything is allowed, and the agents' local policy files decide. */
  allowWithoutPolicy: boolean
}

export type PolicyDecision = { kind: 'allowed'; limits: Limits } | Blocked

/** A refused template has no limits. */
export function limitsOf(decision: PolicyDecision): Limits {
  return decision.kind === 'allowed' ? decision.limits : {}
}

export function checkPolicies(question: PolicyQuestion): PolicyDecision {
  const { namespace, template, policies } = question
  const { pool } = template.target
  if (template.container && pool === 'default') return { kind: 'allowed', limits: {} }
  if (policies.length === 0 && question.allowWithoutPolicy) return { kind: 'allowed', limits: {} }
  const allowing = policies
    .filter(({ spec }) => spec.namespaces.some(pattern => isLike(pattern, namespace)))
    .flatMap(({ spec }) => spec.rules)
    .filter(rule => allows(rule, template))
  const [best] = allowing.map(({ limits = {} }) => limits).sort(byGenerosity)
  return best ? { kind: 'allowed', limits: best } : refusal(question)
}

function allows(rule: PolicyRule, { target, host, container }: PolicyQuestion['template']): boolean {
  if (!rule.pools.some(pattern => isLike(pattern, target.pool))) return false
  if (container) return rule.container !== undefined
  if (!host || !rule.host) return false
  if (host.allowPrivilegeEscalation && !rule.host.allowPrivilegeEscalation) return false
  const user = judgedUser(host)
  return (rule.host.users ?? []).some(pattern => isLike(pattern, user))
}

function refusal({ namespace, template }: PolicyQuestion): Blocked {
  const { pool } = template.target
  const { host } = template
  const gaining = host?.allowPrivilegeEscalation ? ' with allowPrivilegeEscalation' : ''
  const mode = host ? `host mode${gaining} as user ${judgedUser(host)}` : 'container mode'
  const because = host && whyJudged(host)
  const why = because ? ` (${because})` : ''
  return blocked(
    'PolicyRefused',
    `spec.template.spec.${host ? 'host' : 'container'}: no ShellPolicy allows ${mode}${why} in pool ${pool} for namespace ${namespace}; add a rule to a ShellPolicy, or change the template`,
    true,
  )
}

/** The most generous limits come first: unlimited before limited, more before less. */
function byGenerosity(a: Limits, b: Limits): number {
  const of = ({ maxConcurrentRuns, maxJobs, minIntervalSeconds = 0 }: Limits) => [
    maxConcurrentRuns ?? Number.POSITIVE_INFINITY,
    maxJobs ?? Number.POSITIVE_INFINITY,
    -minIntervalSeconds,
  ]
  const [x, y] = [of(a), of(b)]
  const differing = x.findIndex((value, i) => value !== y[i])
  return differing < 0 ? 0 : (y[differing] ?? 0) > (x[differing] ?? 0) ? 1 : -1
}
