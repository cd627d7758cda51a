import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jobEntry } from '../../test/fixtures/job-entry.ts'
import { type LocalPolicy, readLocalPolicy } from './local-policy.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shellcron-policy-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function policy(text: string): Promise<LocalPolicy> {
  const path = join(dir, 'agent.yaml')
  await writeFile(path, text)
  return readLocalPolicy(path, true, 'root')
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
