import { expect, test } from 'vitest'
import type { PolicyRule } from '../../core/schema/fleet.ts'
import type { ShellPolicy } from '../../core/schema/objects.ts'
import { checkPolicies } from './check-shell-policy.ts'

const policy = (namespaces: string[], ...rules: PolicyRule[]) =>
  ({ metadata: { name: 'p' }, spec: { namespaces, rules } }) as unknown as ShellPolicy
const host = (user?: string, pool = 'default', group?: string) =>
  ({
    target: { pool, mode: 'One' },
    host: { ...(user ? { user } : {}), ...(group ? { group } : {}) },
  }) as never
const gaining = {
  target: { pool: 'default', mode: 'One' },
  host: { user: 'nobody', allowPrivilegeEscalation: true },
} as never
const container = (pool: string) =>
  ({ target: { pool, mode: 'One' }, container: { selector: {}, pick: 'One' } }) as never
const decide = (template: never, policies: ShellPolicy[], namespace = 'ops', allowWithoutPolicy = false) => {
  const decision = checkPolicies({ namespace, template, policies, allowWithoutPolicy })
  return decision.kind === 'allowed' ? decision.limits : decision.reason
}

const nobody: PolicyRule = { pools: ['default'], host: { users: ['nobody'] } }

test.each<[string, unknown, unknown]>([
  ['container mode in pool default is always allowed', decide(container('default'), []), {}],
  ['in another pool it needs a rule', decide(container('db'), []), 'PolicyRefused'],
  [
    'a rule for that pool allows it',
    decide(container('db'), [policy(['ops'], { pools: ['db'], container: {} })]),
    {},
  ],
  ['host mode needs a rule', decide(host('nobody'), []), 'PolicyRefused'],
  ['a rule names the user', decide(host('nobody'), [policy(['ops'], nobody)]), {}],
  ['another user is refused', decide(host('www'), [policy(['ops'], nobody)]), 'PolicyRefused'],
  ['no user is root', decide(host(), [policy(['ops'], nobody)]), 'PolicyRefused'],
  ['a star is every user', decide(host(), [policy(['ops'], { pools: ['*'], host: { users: ['*'] } })]), {}],
  [
    'host without users allows nobody',
    decide(host('nobody'), [policy(['ops'], { pools: ['*'], host: {} })]),
    'PolicyRefused',
  ],
  [
    'a rule for another namespace does not apply',
    decide(host('nobody'), [policy(['team-*'], nobody)]),
    'PolicyRefused',
  ],
  ['a pattern of namespaces applies', decide(host('nobody'), [policy(['team-*'], nobody)], 'team-a'), {}],
  ['a dot in a pattern is a dot', decide(host('nobody'), [policy(['o.s'], nobody)]), 'PolicyRefused'],
  ['gaining privileges is refused', decide(gaining, [policy(['ops'], nobody)]), 'PolicyRefused'],
  [
    'a rule allows gaining privileges',
    decide(gaining, [
      policy(['ops'], { pools: ['*'], host: { users: ['nobody'], allowPrivilegeEscalation: true } }),
    ]),
    {},
  ],
  [
    'one rule must allow the whole: user and gaining privileges',
    decide(gaining, [
      policy(['ops'], nobody, { pools: ['*'], host: { users: ['www'], allowPrivilegeEscalation: true } }),
    ]),
    'PolicyRefused',
  ],
  ['standalone without any policy the local file decides about that', decide(gaining, [], 'ops', true), {}],
  [
    'one rule must allow the whole: pool and user',
    decide(host('nobody', 'db'), [policy(['ops'], nobody, { pools: ['db'], host: { users: ['www'] } })]),
    'PolicyRefused',
  ],
  ['standalone without any policy everything is allowed', decide(host(), [], 'ops', true), {}],
  ['with any policy it is not', decide(host(), [policy(['x'], nobody)], 'ops', true), 'PolicyRefused'],
])('%s', (_, decision, expected) => {
  expect(decision).toEqual(expected)
})

test('the limits are those of the most generous rule that allows it', () => {
  const limited = (maxConcurrentRuns: number, maxJobs?: number): PolicyRule => ({
    ...nobody,
    limits: { maxConcurrentRuns, ...(maxJobs === undefined ? {} : { maxJobs }) },
  })
  expect(decide(host('nobody'), [policy(['ops'], limited(5, 10), limited(50, 20))])).toEqual({
    maxConcurrentRuns: 50,
    maxJobs: 20,
  })
  expect(decide(host('nobody'), [policy(['ops'], limited(5), nobody)])).toEqual({})
})
