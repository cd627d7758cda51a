import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../../platform/clock.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** Secrets as files: changed, replaced, removed, restored. Checked is what an agent would open. */
const fixture = operatorForEach()

const variable = { name: 'P', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }
const job = (annotations: Record<string, string> = {}) =>
  fixture.write(
    'a.yaml',
    cronJob('a', { template: { env: [variable, { name: 'PLAIN', value: 'p' }] }, annotations }),
  )
const folder = () => join(fixture.dir, 'secrets', NS, 's')
const put = async (path: string, value: string) => {
  await mkdir(dirname(join(folder(), path)), { recursive: true })
  await writeFile(join(folder(), path), value, { mode: 0o600 })
}
const serves = (value: string) =>
  eventually(`it is sealed as ${value}`, async () => {
    const entry = await fixture.job('a')
    return (await fixture.sealed('a'))?.['P'] === value && entry?.blocked === undefined && entry
  })

test('a changed value is sealed again, however its file is changed', async () => {
  await put('k', 'one')
  await job()
  await fixture.operator()
  const first = await serves('one')
  await put('k', 'two')
  const second = await serves('two')
  expect(second).toMatchObject({ generation: first?.generation, scheduleChangedAt: first?.scheduleChangedAt })
  await put('.k.new', 'three\n')
  await rename(join(folder(), '.k.new'), join(folder(), 'k'))
  await serves('three')
  // As kubelet mounts a Secret.
  await put('..1/k', 'four')
  await symlink('..1', join(folder(), '..data'))
  await symlink('..data/k', join(folder(), '.link'))
  await rename(join(folder(), '.link'), join(folder(), 'k'))
  await serves('four')
  await put('..2/k', 'five')
  await symlink('..2', join(folder(), '..data_tmp'))
  await rename(join(folder(), '..data_tmp'), join(folder(), '..data'))
  await serves('five')
})

test('while a Secret is absent its last value is used for five minutes; then the job is blocked until it is back', async () => {
  let ahead = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead }
  await put('k', 'one')
  await job()
  const { context } = await fixture.operator({ clock })
  await serves('one')
  await rm(folder(), { recursive: true })
  const says = () => context.compileResults.get('ShellCronJob', NS, 'a')?.blocked
  await eventually('that is told', () => says()?.reason === 'SecretNotFound')
  expect(says()?.message).toContain('Secret s does not exist')
  expect((await serves('one'))?.command.env).toEqual([{ name: 'PLAIN', value: 'p' }])
  ahead += 200_000
  await job({ looked: 'once' })
  await eventually(
    'it was checked',
    () => context.resources.get('ShellCronJob', NS, 'a')?.metadata.annotations?.['looked'] === 'once',
  )
  await serves('one')
  ahead += 101_000
  await job({ looked: 'twice' })
  const blocked = await eventually('it is blocked', async () => {
    const entry = await fixture.job('a')
    return entry?.blocked && entry
  })
  expect(blocked).toMatchObject({ blocked: { reason: 'SecretNotFound' } })
  expect(blocked.sealed).toBeUndefined()
  await put('k', 'back')
  await serves('back')
  await eventually('nothing is wrong any more', () => says() === undefined)
})

test('a job is blocked at once if its value never existed', async () => {
  await put('other', 'x')
  await job()
  await fixture.operator()
  const blocked = await eventually('it is blocked', async () => (await fixture.job('a'))?.blocked)
  expect(blocked).toMatchObject({ reason: 'KeyNotFound' })
  await put('k', 'late')
  await serves('late')
})

test("when the pool's key changes all values are sealed again, and the pool has the new key", async () => {
  await put('k', 'one')
  await job()
  const { stop } = await fixture.operator()
  await serves('one')
  const pool = async () => (await fixture.etcd.get(fixture.keys.pool('default')))?.value
  const before = await pool()
  await stop()
  await fixture.rotatePoolKey()
  expect(await fixture.sealed('a')).toBeUndefined()
  await fixture.operator()
  await serves('one')
  await eventually('the pool has it', async () => (await pool()) !== before)
})
