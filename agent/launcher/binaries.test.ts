import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { containerHelper, launcherProgram } from './binaries.ts'

let dist: string
beforeEach(async () => {
  dist = await mkdtemp(join(tmpdir(), 'shellcron-dist-'))
})
afterEach(() => rm(dist, { recursive: true }))

const architecture = { x64: 'amd64' }[process.arch as string] ?? process.arch
const named = (program: string) => join(dist, `${program}-${process.platform}-${architecture}`)

test('the launcher of this machine is found, and another content has another build', async () => {
  await writeFile(named('launcher'), 'one', { mode: 0o755 })
  const one = await launcherProgram(dist)
  expect(one.command).toEqual([named('launcher')])
  await writeFile(named('launcher'), 'two')
  const two = await launcherProgram(dist)
  expect(two.build).not.toBe(one.build)
})

test('without a launcher, the message has the path that was tried and says how to get one', async () => {
  await writeFile(join(dist, 'launcher-plan9-mips'), '', { mode: 0o755 })
  await expect(launcherProgram(dist)).rejects.toMatchObject({
    name: 'InvalidInput',
    field: 'launcher',
    message: `no program ${named('launcher')}; in a checkout, run \`make build\` (needs Go); a release contains it`,
  })
})

test('the helper for containers may be missing', async () => {
  expect(await containerHelper(dist)).toBeUndefined()
  await writeFile(named('exec'), '', { mode: 0o755 })
  expect(await containerHelper(dist)).toBe(named('exec'))
})
