import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trustIn } from '../../platform/trust.ts'
import { jobEntry } from '../../test/fixtures/job-entry.ts'
import { type LocalPolicy, readLocalPolicy, withoutFile } from './local-policy.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-policy-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function policy(text: string): Promise<LocalPolicy> {
  const path = join(dir, 'agent.yaml')
  await writeFile(path, text)
  return readLocalPolicy(path, { mustExist: true, ownUser: 'root', trust: trustIn() })
}

const host = (user?: string, group?: string) =>
  jobEntry({ host: { ...(user ? { user } : {}), ...(group ? { group } : {}) } })

test('a policy refuses everything that it does not allow', async () => {
  const { refusal } = await policy(
    'allowHost: true\nallowedUsers: [nobody, app-*]\nallowedNamespaces: [ops]\n',
  )
  expect([host('nobody'), host('app-web'), jobEntry({ container: { selector: {} } })].map(refusal)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(refusal(jobEntry({ host: {} }, 'dev'))).toBe('namespace dev is not in allowedNamespaces')
  expect(refusal(host('deploy'))).toBe('user deploy is not in allowedUsers')
  expect((await policy('allowedNamespaces: ["*"]')).refusal(host('nobody'))).toBe('allowHost is not set')
})

test('a group that can become root is refused unless root is allowed', async () => {
  const { refusal } = await policy('allowHost: true\nallowedUsers: [nobody]\nallowedNamespaces: ["*"]\n')
  const refusedAsRoot = (why: string) => `user root (${why}) is not in allowedUsers`
  expect(refusal(host('nobody', 'docker'))).toBe(refusedAsRoot('host.group docker can become root'))
  expect(refusal(host('nobody', '0'))).toBe(refusedAsRoot('host.group 0 can become root'))
  expect(refusal(host('0'))).toBe(refusedAsRoot('host.user is 0'))
  expect(refusal(host())).toBe(refusedAsRoot("host.user is not set, so the agent's own user counts"))
  expect(refusal(host('nobody', 'nogroup'))).toBeUndefined()
  const asRoot = await policy('allowHost: true\nallowedUsers: [root]\nallowedNamespaces: ["*"]\n')
  expect([host(), host('0'), host('nobody', 'docker')].map(asRoot.refusal)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('privileges may be gained only if the file allows it', async () => {
  const gaining = jobEntry({ host: { user: 'nobody', allowPrivilegeEscalation: true } })
  expect(withoutFile.refusal(gaining)).toBe('allowPrivilegeEscalation is not set')
  const all = 'allowHost: true\nallowedUsers: ["*"]\nallowedNamespaces: ["*"]\n'
  expect((await policy(all)).refusal(gaining)).toBe('allowPrivilegeEscalation is not set')
  expect((await policy(`${all}allowPrivilegeEscalation: false\n`)).refusal(gaining)).toBeDefined()
  expect((await policy(`${all}allowPrivilegeEscalation: true\n`)).refusal(gaining)).toBeUndefined()
  // To gain privileges is not to be another user.
  const nobody = all.replace('"*"', 'www').concat('allowPrivilegeEscalation: true\n')
  expect((await policy(nobody)).refusal(gaining)).toBe('user nobody is not in allowedUsers')
})

test.each([
  ['without a file', undefined],
  ['with an empty file', ''],
  ['with a file of variables', 'env: { LANG: C.UTF-8 }'],
])('%s hosts, all users and all namespaces are allowed', async (_, text) => {
  const { refusal } = text === undefined ? withoutFile : await policy(text)
  expect([host(), host('nobody', 'docker'), jobEntry({ container: { selector: {} } })].map(refusal)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test.each([
  'allowHost: true',
  'allowedUsers: ["*"]',
  'allowedNamespaces: ["*"]',
  'terminal: true',
  'allowPrivilegeEscalation: true',
])('a file that names only %s refuses the other permissions', async text =>
  expect((await policy(text)).refusal(host())).toBeDefined(),
)

test('the file has variables of the machine', async () => {
  const text = 'env:\n  LANG: C.UTF-8\n  https_proxy: http://proxy:3128\n  EMPTY: ""\n'
  expect((await policy(text)).env).toEqual({ LANG: 'C.UTF-8', https_proxy: 'http://proxy:3128', EMPTY: '' })
  expect(withoutFile.env).toEqual({})
})

test.each([
  ['env: { PORT: 80 }', 'env.PORT', 'must be text; write numbers in quotes'],
  ['env: { a-b: x }', 'env.a-b', 'must be letters, digits and underscores'],
  ['env: { SHELLCRON_X: x }', 'env.SHELLCRON_X', 'must not begin with SHELLCRON_ or PARAM_'],
  ['env: { A: "a\\0b" }', 'env.A', 'must not contain a NUL'],
  ['allowEverything: true', 'file', 'allowEverything'],
])('%s is refused, and the message names the field', async (text, field, message) => {
  await expect(policy(text)).rejects.toMatchObject({
    field: expect.stringContaining(`agent.yaml: ${field}`),
    message: expect.stringContaining(message),
  })
})
