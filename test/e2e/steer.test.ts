import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../fault/eventually.ts'
import { type Up, upOn } from '../fixtures/up.ts'

/** `shellcron history` and `kill` from another terminal than `shellcron up`. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))
let up: Up

const job = (name: string, script: string, spec: string) => `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name} }
spec:
${spec}  template:
    spec:
      host: {}
      script: ${JSON.stringify(script)}
`

beforeAll(async () => {
  up = await upOn(undefined)
  const second = '  schedule: "* * * * * *"\n'
  await writeFile(join(up.directory, 'quick.yaml'), job('quick', 'echo hello', second))
  await writeFile(
    join(up.directory, 'long.yaml'),
    job('long', 'exec sleep 600', `${second}  concurrencyPolicy: Forbid\n`),
  )
})
afterAll(async () => {
  await up.interrupt()
  await up.remove()
})

interface Ran {
  code: number
  stdout: string
  stderr: string
}

async function shellcron(...args: string[]): Promise<Ran> {
  const all = [...args, '--state', join(up.directory, '.shellcron')]
  return promisify(execFile)(program, all).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ran) => error,
  )
}

const ended = (name: string) => up.outcomes().filter(each => each.name === name && each.attempt > 0)

test('history shows ended attempts in pages, the newest first', async () => {
  await eventually('it runs', () => ended('quick').length >= 3, 60_000)
  // On a busy machine a time may be skipped. That is in the history too.
  const good = ['--outcome', 'Succeeded']
  const { stdout, stderr } = await shellcron('history', 'default/quick', ...good, '--limit', '2')
  const lines = stdout.trim().split('\n')
  expect(lines).toHaveLength(2)
  for (const line of lines)
    expect(line).toMatch(/^\S+Z default\/quick Succeeded in \d+\.\d+ s on here: hello$/)
  expect(lines[0]?.localeCompare(lines[1] ?? '')).toBeGreaterThan(0)
  const cursor = /--cursor (\S+)/.exec(stderr)?.[1] ?? ''
  const { rows } = JSON.parse(
    (await shellcron('history', 'quick', ...good, '--cursor', cursor, '--limit', '1', '-o', 'json')).stdout,
  )
  expect(rows).toMatchObject([{ name: 'quick', outcome: 'Succeeded' }])
  expect(new Date(rows[0].time).toISOString() < (lines[1] ?? '')).toBe(true)
  expect((await shellcron('history', '--outcome', 'TimedOut')).stdout).toBe('')
  expect((await shellcron('history', 'quick', '--text', 'COMPLETED', '--limit', '1')).stdout).toContain(
    'quick',
  )
  expect(await shellcron('history', '--text', 'nobody says so')).toMatchObject({
    stderr: 'no results found\n',
  })
})

test('kill ends the run of a job, and says if there is none', async () => {
  const killing = await eventually('it runs', async () => {
    const said = await shellcron('kill', 'default/long')
    return said.code === 0 && said
  })
  expect(killing.stdout).toMatch(/^default\/long: killing 1 run$/m)
  await eventually('it is recorded', () => ended('long').some(({ reason }) => reason === 'Requested'))
  expect(ended('long')[0]).toMatchObject({ outcome: 'Killed', reason: 'Requested' })
  const again = await eventually('the next one runs', async () => {
    const said = await shellcron('kill', 'long')
    return said.code === 0 && said
  })
  expect(again.stdout).toBe('long: killing 1 run\n')
  const none = await shellcron('kill', 'default.long.1')
  expect(none).toMatchObject({ code: 2, stdout: '' })
  expect(none.stderr).toBe(
    'shellcron: default.long.1: has no active run; `shellcron history` lists finished runs\n',
  )
  expect((await shellcron('kill', 'default/nothing')).stderr).toBe(
    'shellcron: default/nothing: there is no such ShellCronJob or ShellRun\n',
  )
})

test('an invalid query and an absent operator give a clear message', async () => {
  expect(await shellcron('history', '--limit', '0')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      "'--limit <n>' argument '0' is invalid. Use a whole number from 1 to 1000.",
    ),
  })
  expect((await shellcron('history', '--since', 'yesterday')).stderr).toContain('2026-03-29T01:30:00Z')
  const elsewhere = promisify(execFile)(program, ['history', '--state', '/nonexistent'])
  await expect(elsewhere).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no operator runs on "/nonexistent"') as string,
  })
})
