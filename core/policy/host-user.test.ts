import { expect, test } from 'vitest'
import { judgedUser, whyJudged } from './host-user.ts'

test('users and groups that can become root are judged as root, with the reason', () => {
  const hosts = [
    {},
    { user: '0' },
    { user: '00' },
    { user: 'nobody', group: 'docker' },
    { user: 'nobody', group: '0' },
  ]
  expect(hosts.map(host => judgedUser(host))).toEqual(hosts.map(() => 'root'))
  expect(hosts.map(host => whyJudged(host))).toEqual([
    "host.user is not set, so the agent's own user counts",
    'host.user is 0',
    'host.user is 00',
    'host.group docker can become root',
    'host.group 0 can become root',
  ])
})

test('other users are judged as themselves, and no user as the agent', () => {
  expect(judgedUser({ user: 'nobody', group: 'nogroup' })).toBe('nobody')
  expect(whyJudged({ user: 'nobody', group: 'nogroup' })).toBeUndefined()
  expect(judgedUser({}, 'deploy')).toBe('deploy')
  expect(judgedUser({ group: 'disk' }, 'deploy')).toBe('root')
})
