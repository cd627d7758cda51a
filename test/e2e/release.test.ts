import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle } from '../../scripts/bundle.ts'
import { temporaryDirectory } from '../controlplane/directory.ts'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** The folder that is released needs nothing of the checkout: neither packages nor sources. */
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let release = ''
let up: Up | undefined

beforeAll(async () => {
  directory = await temporaryDirectory('shellcron-release-')
  release = join(directory.path, 'shellcron')
  await bundle(release)
})

afterAll(async () => {
  await up?.remove()
  await directory.remove()
})

const shellcron = async (...args: string[]) =>
  (await promisify(execFile)(join(release, 'bin/shellcron'), args)).stdout

test('its commands work', async () => {
  expect(await shellcron('version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  const next = ['--schedule', '0 1 * * *', '--time-zone', 'Asia/Shanghai', '--after', '2026-01-01T00:00:00Z']
  expect(await shellcron('next', ...next, '--count', '1')).toContain('2026-01-01T17:00:00')
})

test('operator, agent and launcher run a job', async () => {
  up = await upOn('examples/quickstart', [], { release })
  const { outcomes } = up
  await eventually('a heartbeat', () => outcomes().some(({ name }) => name === 'heartbeat'), 60_000)
  expect(outcomes().find(({ name }) => name === 'heartbeat')).toMatchObject({ outcome: 'Succeeded' })
  expect(await up.interrupt()).toBe(0)
})
