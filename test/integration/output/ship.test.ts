import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, launcherCommand } from '../../contract/launcher/launcher.ts'
import { eventually } from '../../fault/eventually.ts'
import { type IngestFixture, startIngest } from '../../fixtures/ingest.ts'
import { attemptOf, type Shipping, shipping } from '../../fixtures/shipping.ts'

/** Output from a launcher's spool to the log store. */
let ingest: IngestFixture
let ship: Shipping

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const stored = (name: string) =>
  eventually(`the output of ${name} is stored`, async () => {
    const head = await ingest.head(attemptOf(name).run)
    return head?.ended && head
  })
const forgotten = () =>
  eventually('the launcher has forgotten all', async () => (await ship.launcher.runs()).length === 0)

/** As a power failure leaves data that was never synced. */
const zero = async (file: string, from: number) => {
  const bytes = await readFile(file)
  await writeFile(file, bytes.fill(0, from))
}

describe('one run after another', () => {
  beforeEach(async () => {
    ingest = await startIngest()
    ship = await shipping(launcherCommand, await ingest.client('a'))
  })
  afterEach(async () => {
    await ship.close()
    await ingest.close()
  })

  test('binary output of both streams is stored byte for byte and in order, then forgotten', async () => {
    const file = join(ship.stateDir, 'noise')
    const half = `head -c 50000 ${file}`
    await writeFile(file, Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 256)))
    ship.run('binary', `for i in $(seq 20); do ${half}; ${half} >&2; done; cat ${file}; printf end >&2`, {
      outputLimit: 1e8,
    })
    expect(await stored('binary')).toMatchObject({ bytes: 5_000_003, agent: 'a', name: 'binary' })
    const chunks = await ingest.chunks(attemptOf('binary'))
    const noise = await readFile(file)
    const part = noise.subarray(0, 50_000)
    const twenty = Array.from({ length: 20 }, () => part)
    expect(sha256(bytesOf(chunks, 'stdout'))).toBe(sha256(Buffer.concat([...twenty, noise])))
    expect(sha256(bytesOf(chunks, 'stderr'))).toBe(sha256(Buffer.concat([...twenty, Buffer.from('end')])))
    const times = chunks.map(({ at }) => at)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    await forgotten()
    expect(await readdir(join(ship.stateDir, 'spool'))).toEqual([])
  })

  test("a run's output is stored while it writes, long before it ends", async () => {
    const gate = join(ship.stateDir, 'gate')
    ship.run('live', `echo first; until [ -e ${gate} ]; do sleep 0.02; done; echo second`)
    const first = await eventually('it is stored', () => ingest.head(attemptOf('live').run))
    expect(first).toMatchObject({ bytes: 6, ended: false })
    await writeFile(gate, '')
    await stored('live')
    expect(bytesOf(await ingest.chunks(attemptOf('live')), 'stdout').toString()).toBe('first\nsecond\n')
  })

  test("a run's output is still stored while it writes under the next agent", async () => {
    const gate = (name: string) => join(ship.stateDir, name)
    const wait = (name: string) => `until [ -e ${gate(name)} ]; do sleep 0.02; done`
    ship.run('long', `echo first; ${wait('second')}; echo second; ${wait('end')}`)
    const bytes = async () => (await ingest.head(attemptOf('long').run))?.bytes
    await eventually('the first part is stored', async () => (await bytes()) === 6)
    await ship.crash()
    await ship.start(await ingest.client('a'))
    await writeFile(gate('second'), '')
    await eventually('the second part is stored', async () => (await bytes()) === 13)
    await writeFile(gate('end'), '')
    await stored('long')
  })

  const harmed: [string, (spool: string, stored: number) => Promise<void>][] = [
    ['cannot be read', spool => rm(spool).then(() => symlink(spool, spool))],
    ['is gone', spool => rm(spool)],
    ['was cut short', truncate],
    ['is damaged', (spool, from) => zero(spool, from)],
  ]
  test.each(harmed)(
    'the rest of a spool that %s is a loss, and blocks no other output',
    async (_what, harm) => {
      const gate = join(ship.stateDir, 'gate')
      ship.run('unread', `echo first; until [ -e ${gate} ]; do sleep 0.02; done; echo second`)
      await eventually('it is stored', async () => (await ingest.head(attemptOf('unread').run))?.bytes === 6)
      await ship.crash()
      const [name = ''] = await readdir(join(ship.stateDir, 'spool'))
      const spool = join(ship.stateDir, 'spool', name)
      const before = (await stat(spool)).size
      await writeFile(gate, '')
      await eventually('it is written', async () => (await stat(spool)).size > before)
      await harm(spool, before)
      await ship.start(await ingest.client('a'))
      ship.run('other', 'echo other')
      expect(await stored('unread')).toMatchObject({ bytes: 6, lost: 7 })
      await stored('other')
      await forgotten()
    },
  )

  test('if the spool of an active run is deleted, only unstored output is lost', async () => {
    const gate = join(ship.stateDir, 'gate')
    ship.run('bereft', `echo first; until [ -e ${gate} ]; do sleep 0.02; done; echo second`)
    await eventually('it is stored', async () => (await ingest.head(attemptOf('bereft').run))?.bytes === 6)
    await rm(join(ship.stateDir, 'spool'), { recursive: true })
    await writeFile(gate, '')
    expect(await stored('bereft')).toMatchObject({ bytes: 6, lost: 7 })
    await forgotten()
  })

  test('output that the operator refuses as malformed is dropped, and blocks no other output', async () => {
    const labels = { uid: 'u', run: 'r'.repeat(2_000), attempt: '1', namespace: 'test', name: 'long' }
    ship.run('long', 'echo long', { labels })
    ship.run('other', 'echo other')
    expect(await stored('other')).toMatchObject({ bytes: 6, lost: 0 })
    await forgotten()
  })

  test('the operator knows the end of an attempt without output, and nothing of one that never started', async () => {
    ship.run('silent', 'exit 3')
    ship.run('nobody', 'true', { workingDir: '/nonexistent' })
    expect(await stored('silent')).toMatchObject({ bytes: 0, stored: 0 })
    await forgotten()
    expect(await ingest.head(attemptOf('nobody').run)).toBeUndefined()
  })
})

test('output and losses of unknown attempts are sent once the operator knows them, and block no other output', async () => {
  const unknown = new Set(['early', 'gone'].map(name => attemptOf(name).run))
  const asked: string[] = []
  ingest = await startIngest(undefined, () => ({
    of: async (attempts, sender) =>
      attempts.map(({ run }) => {
        if (unknown.has(run)) asked.push(run)
        return unknown.has(run) ? undefined : sender
      }),
  }))
  ship = await shipping(launcherCommand, undefined)
  const over = async (name: string) =>
    eventually(`${name} is over`, async () =>
      (await ship.launcher.runs()).some(({ id, record }) => id.startsWith(attemptOf(name).run) && record),
    )
  try {
    ship.run('gone', 'head -c 30000 /dev/zero')
    await over('gone')
    ship.run('early', 'echo early')
    await over('early')
    await ship.crash()
    await ship.start(await ingest.client('a'), 10_000)
    ship.run('other', 'echo other')
    await stored('other')
    await eventually('both are asked about more than once', () =>
      [...unknown].every(run => asked.filter(one => one === run).length > 1),
    )
    expect(asked.length).toBeLessThan(20)
    expect(await ingest.head(attemptOf('early').run)).toBeUndefined()
    unknown.clear()
    expect(await stored('early')).toMatchObject({ bytes: 6, lost: 0 })
    expect(await stored('gone')).toMatchObject({ bytes: 0, lost: 30_000 })
    await forgotten()
  } finally {
    await ship.close()
    await ingest.close()
  }
})

test('each of 2,000 small runs has its output, and nothing is left behind', async () => {
  ingest = await startIngest()
  ship = await shipping(launcherCommand, await ingest.client('a'))
  try {
    const names = Array.from({ length: 2_000 }, (_, n) => `small-${n}`)
    for (let n = 0; n < names.length; n += 100) {
      for (const name of names.slice(n, n + 100)) ship.run(name, `echo ${name}; echo ${name} >&2`)
      await eventually('they run', async () => (await ship.launcher.runs()).every(run => run.record), 60_000)
    }
    await forgotten()
    for (const name of names) {
      const chunks = await ingest.chunks(attemptOf(name))
      expect(bytesOf(chunks, 'stdout').toString()).toBe(`${name}\n`)
      expect(bytesOf(chunks, 'stderr').toString()).toBe(`${name}\n`)
    }
    expect(await readdir(join(ship.stateDir, 'spool'))).toEqual([])
  } finally {
    await ship.close()
    await ingest.close()
  }
})
