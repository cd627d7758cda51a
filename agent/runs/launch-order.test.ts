import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { activeSchema } from '../../core/records/state.ts'
import { jobEntry } from '../../test/fixtures/job-entry.ts'
import { launchOrder } from './launch-order.ts'

const attempt = activeSchema.parse({
  run: 'ops.a.1750000000',
  kind: 'job',
  uid: 'u',
  generation: 1,
  namespace: 'ops',
  name: 'a',
  target: '-',
  time: 1_750_000_000_000,
  notBefore: 1_750_000_000_000,
  attempt: 1,
  session: 7,
  instance: 'boot/1',
})

const launch = (how: object, features: string[], machine: Record<string, string> = {}) =>
  launchOrder(jobEntry('container' in how ? how : { host: {}, ...how }), attempt, {
    agent: 'here',
    poolKeys: () => [createSecretKey(randomBytes(32))],
    launcher: { features: new Set(features), instance: 'boot/1' },
    containers: { helper: '/helper', endpoints: [], podsOnly: false },
    policy: { env: machine },
  })

test.each([
  ['limits', { host: { resources: { memoryBytes: 1_000_000 } } }, 'resources', 'host.resources'],
  ['a terminal', { tty: true }, 'tty', 'pseudo-terminal'],
  ['an interpreter', { interpreter: ['/bin/bash', '-e'] }, 'script', 'newer launcher'],
])('a run with %s is not started if the launcher has no such feature', (_, how, feature, message) => {
  expect(launch(how, [])).toEqual({ reason: 'Unsupported', message: expect.stringContaining(message) })
  expect(launch(how, [feature])).toHaveProperty(feature)
})

test.each([
  ['/bin/sh', {}],
  ['/bin/bash', { shell: ['/bin/bash', '-e', '-c'] }],
  ['/usr/bin/fish', { shell: ['/usr/bin/fish', '-c'] }],
  ['/bin/sh', { shell: ['/usr/bin/python3', '-c'] }],
  ['/bin/sh', { shell: ['bash', '-c'] }],
  ['/mine', { shell: ['/bin/bash', '-c'], env: [{ name: 'SHELL', value: '/mine' }] }],
])('as in cron, SHELL is %s with %o', (shell, how) => {
  expect(launch(how, [])).toMatchObject({ env: { SHELL: shell } })
})

const inContainer = { container: { selector: {} } }
const envOf = (how: object, machine: Record<string, string> = {}) => {
  const order = launch(how, ['tty', 'notes'], machine)
  if ('reason' in order) throw new Error(order.message)
  const { stdin, env } = order
  return stdin === undefined ? env : JSON.parse(Buffer.from(stdin, 'base64').toString()).env
}

test.each([
  ['on the host', {}],
  ['in a container', inContainer],
])('with a terminal %s, TERM is xterm-256color unless env sets it', (_, where) => {
  expect(envOf({ ...where, tty: true }).TERM).toBe('xterm-256color')
  expect(envOf({ ...where, tty: true, env: [{ name: 'TERM', value: 'dumb' }] }).TERM).toBe('dumb')
  expect(envOf(where).TERM).toBeUndefined()
})

test("the machine's variables are below those of the job, and only on the host", () => {
  const machine = { LANG: 'C.UTF-8', PATH: '/opt/bin:/bin' }
  expect(envOf({}, machine)).toMatchObject(machine)
  expect(envOf({ env: [{ name: 'LANG', value: 'C' }] }, machine)).toMatchObject({ ...machine, LANG: 'C' })
  expect(envOf(inContainer, machine)).not.toHaveProperty('LANG')
})

test('the launcher is told whether the command may gain privileges', () => {
  expect(launch({ host: { allowPrivilegeEscalation: true } }, [])).toMatchObject({
    allowPrivilegeEscalation: true,
  })
  expect(launch({ host: { allowPrivilegeEscalation: false } }, [])).not.toHaveProperty(
    'allowPrivilegeEscalation',
  )
})
