import { expect, test } from 'vitest'
import type { PolicyRule } from '../../core/schema/fleet.ts'
import type { ShellPolicy } from '../../core/schema/objects.ts'
import { checkPolicies } from './shell-policy.ts'

const policy = (namespaces: string[], ...rules: PolicyRule[]) =>
  ({ metadata: { name: 'p' }, spec: { namespaces, rules } }) as unknown as ShellPolicy
const host = (user?: string, pool = 'default', group?: string) =>
  ({
    target: { pool, mode: 'One' },
    host: { ...(user ? { user } : {}), ...(group ? { group } : {}) },
  }) as never
const container = (pool: string) =>
  ({ target: { pool, mode: 'One' }, container: { selector: {}, pick: 'One' } }) as never
const ask = (template: never, policies: ShellPolicy[], namespace = 'ops', allowWithoutPolicy = false) => {
  const verdict = checkPolicies({ namespace, template, policies, allowWithoutPolicy })
  return verdict.kind === 'allowed' ? verdict.limits : verdict.reason
}

const nobody: PolicyRule = { pools: ['default'], host: { users: ['nobody'] } }

test.each<[string, unknown, unknown]>([
  ['container mode in pool default is always allowed', ask(container('default'), []), {}],
  ['elsewhere it needs a rule', ask(container('db'), []), 'PolicyRefused'],
  ['and gets it', ask(container('db'), [policy(['ops'], { pools: ['db'], container: {} })]), {}],
  ['host mode needs a rule', ask(host('nobody'), []), 'PolicyRefused'],
  ['a rule names the user', ask(host('nobody'), [policy(['ops'], nobody)]), {}],
  ['another user is refused', ask(host('www'), [policy(['ops'], nobody)]), 'PolicyRefused'],
  ['no user is root', ask(host(), [policy(['ops'], nobody)]), 'PolicyRefused'],
  ['a star is everybody', ask(host(), [policy(['ops'], { pools: ['*'], host: { users: ['*'] } })]), {}],
  [
    'host without users allows nobody',
    ask(host('nobody'), [policy(['ops'], { pools: ['*'], host: {} })]),
    'PolicyRefused',
  ],
  ['another namespace is not meant', ask(host('nobody'), [policy(['team-*'], nobody)]), 'PolicyRefused'],
  ['a pattern of namespaces is', ask(host('nobody'), [policy(['team-*'], nobody)], 'team-a'), {}],
  ['a dot in a pattern is a dot', ask(host('nobody'), [policy(['o.s'], nobody)]), 'PolicyRefused'],
  [
    'one rule must allow the whole: pool and user',
    ask(host('nobody', 'db'), [policy(['ops'], nobody, { pools: ['db'], host: { users: ['www'] } })]),
    'PolicyRefused',
  ],
  ['standalone without any policy everything is allowed', ask(host(), [], 'ops', true), {}],
  ['with one it is not', ask(host(), [policy(['x'], nobody)], 'ops', true), 'PolicyRefused'],
])('%s', (_, verdict, expected) => {
  expect(verdict).toEqual(expected)
})

test('the limits are those of the most generous rule that allows it', () => {
  const limited = (maxConcurrentRuns: number, maxJobs?: number): PolicyRule => ({
    ...nobody,
    limits: { maxConcurrentRuns, ...(maxJobs === undefined ? {} : { maxJobs }) },
  })
  expect(ask(host('nobody'), [policy(['ops'], limited(5, 10), limited(50, 20))])).toEqual({
    maxConcurrentRuns: 50,
    maxJobs: 20,
  })
  expect(ask(host('nobody'), [policy(['ops'], limited(5), nobody)])).toEqual({})
})
