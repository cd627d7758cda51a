import { exec, execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle } from '../../scripts/bundle.ts'
import { eventually } from '../fault/eventually.ts'
import { growthOf, partsOf } from '../fixtures/processes.ts'
import { type Up, upOn } from '../fixtures/up.ts'
import { temporaryDirectory } from '../servers/directory.ts'

/** The release folder needs neither packages nor sources of the checkout. */
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let release = ''
let up: Up

const GIGABYTE = 1_000_000_000

beforeAll(async () => {
  directory = await temporaryDirectory('shellcron-release-')
  release = join(directory.path, 'shellcron')
  await bundle(release)
  up = await upOn('examples/quickstart', [], { release })
})

afterAll(async () => {
  await up.remove()
  await directory.remove()
})

const shellcron = async (...args: string[]) =>
  (await promisify(execFile)(join(release, 'bin/shellcron'), args)).stdout

const digestOf = async (command: string) => (await promisify(exec)(`${command} | sha256sum`)).stdout

test('its commands work', async () => {
  expect(await shellcron('version')).toMatch(/^\d+\.\d+\.\d+\n$/)
  const next = ['--schedule', '0 1 * * *', '--time-zone', 'Asia/Shanghai', '--after', '2026-01-01T00:00:00Z']
  expect(await shellcron('next', ...next, '--count', '1')).toContain('2026-01-01T17:00:00')
})

test('operator, agent and launcher run a job', async () => {
  const { outcomes } = up
  await eventually('a heartbeat', () => outcomes().some(({ name }) => name === 'heartbeat'), 60_000)
  expect(outcomes().find(({ name }) => name === 'heartbeat')).toMatchObject({ outcome: 'Succeeded' })
})

test('a gigabyte of output is stored byte for byte, and agent and launcher grow by at most 20 MB', async () => {
  const { directory, outcomes } = up
  const { agent = 0, launcher = 0 } = partsOf(directory)
  const growths = [agent, launcher].map(growthOf)
  const script = `seq 200000000 | head -c ${GIGABYTE}`
  await writeFile(
    join(directory, 'flood.yaml'),
    `apiVersion: shellcron.dev/v1alpha1
kind: ShellRun
metadata: { name: flood }
spec: { template: { spec: { host: {}, outputLimit: 2Gi, script: ${JSON.stringify(script)} } } }
`,
  )
  await eventually('it has run', () => outcomes().some(({ name }) => name === 'flood'), 300_000)
  const state = join(directory, '.shellcron')
  const stored = `${join(release, 'bin/shellcron')} logs flood --shell-run -f --state ${state}`
  const [came, written] = await Promise.all([stored, script].map(digestOf))
  for (const growth of growths) expect(growth()).toBeLessThanOrEqual(20_000_000)
  expect(came).toBe(written)
}, 600_000)

test('Ctrl-C ends all its processes', async () => {
  expect(await up.interrupt()).toBe(0)
})
