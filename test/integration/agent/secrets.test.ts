import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** The results of commands that print their Secrets. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a'] })

const SECRET = 'correct-horse-battery'
const result = (name: string) =>
  eventually(`${name} ends`, async () => (await pool.results()).find(each => each.name === name))
/** Runs once, now. `over`: changes to its entry. */
const start = async (name: string, script: string, over: object = {}) => {
  const sealed = pool.sealed(name, { SECRET, SETTING: 'in-the-open' })
  await pool.putRun({ name, sealed, notSecret: ['SETTING'], command: command(script), ...over })
  await pool.request(name, { kind: 'run', namespace: 'test', name, target: '-', uid: 'uid-1' })
}

test('a Secret is redacted in the recorded output, and a ConfigMap is not', async () => {
  await pool.agent('a')
  await start('prints', `echo "$SECRET and $SETTING"; echo "$SECRET" | base64; exit 3`)
  expect(await result('prints')).toMatchObject({
    outcome: 'Failed',
    exitCode: 3,
    tail: '*** and in-the-open\n***\n',
  })
})

test('a value whose end is at the start of the tail is redacted', async () => {
  await pool.agent('a')
  const rest = 512 - 'battery'.length
  await start('cut', `printf %s "$SECRET"; head -c ${rest} /dev/zero | tr '\\0' .`)
  expect((await result('cut')).tail).toBe(`***${'.'.repeat(rest)}`)
})

test('a value that is not known to be from a ConfigMap is redacted like a Secret', async () => {
  await pool.agent('a')
  await start('older', 'echo $SETTING', { notSecret: undefined })
  expect((await result('older')).tail).toBe('***\n')
})

/** Starts a run that has printed its Secret and waits for its end. */
async function halfway(name: string): Promise<{ crash(): Promise<void> }> {
  const { crash } = await pool.agent('a')
  await start(
    name,
    `echo "$SECRET"; echo started >> ${pool.truth}; until [ -e ${pool.dir}/end ]; do sleep 0.1; done`,
  )
  await eventually('it runs', async () => (await pool.ran()).length === 1)
  return { crash }
}
const end = () => writeFile(join(pool.dir, 'end'), '')

test('the next agent redacts the output of a run that it adopted', async () => {
  const { crash } = await halfway('adopted')
  await crash()
  await pool.agent('a')
  await end()
  expect((await result('adopted')).tail).toBe('***\n')
})

test('if the Secret was rotated meanwhile, the tail is withheld, with the reason', async () => {
  const { crash } = await halfway('rotated')
  await crash()
  const sealed = pool.sealed('rotated', { SECRET: 'another-one' })
  await pool.putRun({ name: 'rotated', sealed, command: command('true') })
  await pool.agent('a')
  await end()
  const { tail = '' } = await result('rotated')
  expect(tail).toMatch(/^\(output withheld: .*Secrets changed/)
  expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(512)
})

test('if the Secret is rotated while the agent lives, runs with the old value redact the old value', async () => {
  await halfway('living')
  const sealed = pool.sealed('living', { SECRET: 'another-one' })
  await pool.putRun({ name: 'living', sealed, command: command('true') })
  await end()
  expect((await result('living')).tail).toBe('***\n')
})
