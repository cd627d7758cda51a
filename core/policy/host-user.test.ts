import { expect, test } from 'vitest'
import { judgedUser, whyJudged } from './host-user.ts'

test('root by another name is root, and it is said by which', () => {
  const hosts = [
    {},
    { user: '0' },
    { user: '00' },
    { user: 'nobody', group: 'docker' },
    { user: 'nobody', group: '0' },
  ]
  expect(hosts.map(host => judgedUser(host))).toEqual(hosts.map(() => 'root'))
  expect(hosts.map(host => whyJudged(host))).toEqual([
    "user is unset, which is the agent's own",
    'user 0',
    'user 00',
    'group docker can be root',
    'group 0 can be root',
  ])
})

test('others are who they are, and none is the agent', () => {
  expect(judgedUser({ user: 'nobody', group: 'nogroup' })).toBe('nobody')
  expect(whyJudged({ user: 'nobody', group: 'nogroup' })).toBeUndefined()
  expect(judgedUser({}, 'deploy')).toBe('deploy')
  expect(judgedUser({ group: 'disk' }, 'deploy')).toBe('root')
})
