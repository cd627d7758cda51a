import { createHash } from 'node:crypto'
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Unavailable } from '../../../platform/errors.ts'
import { launcherBinary } from '../../../scripts/go-programs.ts'
import type { OutputStore } from '../../../store/log/port.ts'
import { bytesOf } from '../../contract/launcher/launcher.ts'
import { type IngestFixture, startIngest } from '../../fixtures/ingest.ts'
import { attemptOf, type Shipping, shipping } from '../../fixtures/shipping.ts'
import { eventually } from '../eventually.ts'
import { type Proxy, startProxy } from '../proxy.ts'

/** Faults on the way of output to the log store: nothing is lost or stored twice, or the loss is recorded. */
let ingest: IngestFixture
let proxy: Proxy
let ship: Shipping
let fault: ((store: OutputStore['storeOutput']) => OutputStore['storeOutput']) | undefined

const command = [await launcherBinary()]
const client = () => ingest.client('a', { url: `https://127.0.0.1:${proxy.port}` })

beforeEach(async () => {
  fault = undefined
  ingest = await startIngest(store => ({
    ...store,
    storeOutput: pieces => (fault ?? (real => real))(store.storeOutput)(pieces),
  }))
  proxy = await startProxy({ host: '127.0.0.1', port: ingest.port })
  ship = await shipping(command, await client())
})
afterEach(async () => {
  await ship.close()
  await ingest.close()
  await proxy.close()
})

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const head = (name: string) => ingest.head(attemptOf(name).run)
const ended = (name: string) =>
  eventually(`the output of ${name} is stored`, async () => {
    const found = await head(name)
    return found?.ended && found
  })
const stdout = async (name: string) => bytesOf(await ingest.chunks(attemptOf(name)), 'stdout')
const over = (name: string) =>
  eventually(`${name} is over`, async () => {
    const { run } = attemptOf(name)
    return (await ship.launcher.runs()).some(({ id, record }) => id.startsWith(`${run}#`) && record)
  })
const forgotten = () =>
  eventually('the launcher has forgotten all', async () => (await ship.launcher.runs()).length === 0)
const lossFile = () => readFile(join(ship.stateDir, 'lost-output.jsonl'), 'utf8').catch(() => '')

/** A command whose output has no two equal lines; `written` is that output. */
const digits = (lines: number) => `seq -f 'line %012.0f of the output' ${lines}`
const written = (lines: number) =>
  Buffer.from(
    Array.from({ length: lines }, (_, i) => `line ${String(i + 1).padStart(12, '0')} of the output\n`).join(
      '',
    ),
  )

test('an operator gets all output when it returns, also of runs that span its absence', async () => {
  const gate = join(ship.stateDir, 'gate')
  ship.run('across', `${digits(100)}; until [ -e ${gate} ]; do sleep 0.02; done; ${digits(200)}`)
  await eventually('its beginning is stored', async () => (await head('across'))?.bytes === 3_200)
  await ingest.stop()
  for (let n = 0; n < 50; n++) ship.run(`away-${n}`, digits(n + 1))
  await writeFile(gate, '')
  await over('across')
  await over('away-49')
  expect((await ship.launcher.runs()).length).toBe(51)
  await ingest.start()
  await ended('across')
  expect(sha256(await stdout('across'))).toBe(sha256(Buffer.concat([written(100), written(200)])))
  for (let n = 0; n < 50; n++) {
    await ended(`away-${n}`)
    expect(await stdout(`away-${n}`)).toEqual(written(n + 1))
  }
  await forgotten()
})

test('a log store that fails repeatedly loses no output', async () => {
  let tries = 0
  fault = real => async pieces => {
    tries++
    if (tries <= 3) throw new Unavailable('the log store is being upgraded')
    return real(pieces)
  }
  ship.run('patient', digits(5_000))
  await ended('patient')
  expect(tries).toBeGreaterThan(3)
  expect(sha256(await stdout('patient'))).toBe(sha256(written(5_000)))
  await forgotten()
})

test('a log store that another process has locked loses no output', async () => {
  const other = new DatabaseSync(ingest.file)
  let refusals = 0
  fault = real => pieces =>
    real(pieces).catch((error: unknown) => {
      refusals++
      throw error
    })
  other.exec('BEGIN EXCLUSIVE')
  ship.run('locked', digits(5_000))
  await eventually('it was refused', () => refusals > 0)
  other.exec('ROLLBACK')
  other.close()
  await ended('locked')
  expect(sha256(await stdout('locked'))).toBe(sha256(written(5_000)))
  await forgotten()
})

test('output is not stored twice if the answer was lost', async () => {
  ship.run('before', 'echo warm')
  await ended('before')
  // The connection is open: from now on requests arrive, but no answer does.
  proxy.set({ kind: 'no-answers' })
  ship.run('lost', digits(20_000))
  await eventually('a part of it is stored', async () => ((await head('lost'))?.bytes ?? 0) > 0)
  proxy.set({ kind: 'pass' })
  proxy.cut()
  expect(await ended('lost')).toMatchObject({ bytes: 640_000 })
  expect(sha256(await stdout('lost'))).toBe(sha256(written(20_000)))
  await forgotten()
})

test('a request that is cut in the middle stores nothing', async () => {
  ship.run('before', 'echo warm')
  await ended('before')
  let isCut = false
  fault = real => async pieces => {
    if (!isCut) proxy.cut()
    isCut = true
    return real(pieces)
  }
  ship.run('cut', digits(20_000))
  expect(await ended('cut')).toMatchObject({ bytes: 640_000 })
  expect(isCut).toBe(true)
  expect(sha256(await stdout('cut'))).toBe(sha256(written(20_000)))
})

test('after an agent dies in the middle of a stream and a request, the next one continues where the operator is', async () => {
  const gate = join(ship.stateDir, 'gate')
  const slowly = `for n in $(seq 40); do ${digits(2_000)}; sleep 0.02; done; until [ -e ${gate} ]; do sleep 0.02; done`
  ship.run('stream', slowly)
  ship.run('over', digits(3))
  for (const least of [100_000, 500_000, 1_000_000]) {
    await eventually('some of it is stored', async () => ((await head('stream'))?.bytes ?? 0) > least)
    // Its request has arrived, but its answer will not.
    const held = Promise.withResolvers<void>()
    fault = real => async pieces => {
      const stored = await real(pieces)
      held.resolve()
      return stored
    }
    await Promise.race([held.promise, over('stream')])
    await ship.crash()
    fault = undefined
    await ship.start(await client())
  }
  await writeFile(gate, '')
  await ended('stream')
  const expected = Buffer.concat(Array.from({ length: 40 }, () => written(2_000)))
  expect(sha256(await stdout('stream'))).toBe(sha256(expected))
  expect(await stdout('over')).toEqual(written(3))
  await forgotten()
})

test("a dead launcher's output is stored up to the last whole chunk", async () => {
  ship.run('orphan', `${digits(500)}; exec sleep 1000`)
  await eventually('its beginning is stored', async () => (await head('orphan'))?.bytes === 16_000)
  await ingest.stop()
  process.kill(ship.launcher.pid, 'SIGKILL')
  await ship.crash()
  const [spool = ''] = await readdir(join(ship.stateDir, 'spool'))
  const torn = Buffer.alloc(20)
  torn.writeUInt8(1, 0)
  torn.writeUInt32BE(100, 9)
  await appendFile(join(ship.stateDir, 'spool', spool), torn)
  await ingest.start()
  await ship.start(await client())
  expect(await ended('orphan')).toMatchObject({ bytes: 16_000 })
  expect(await stdout('orphan')).toEqual(written(500))
  await forgotten()
})

test('a running output is stored again from its beginning if the operator has lost it', async () => {
  const gate = join(ship.stateDir, 'gate')
  ship.run(
    'long',
    `${digits(100)}; until [ -e ${gate} ]; do sleep 0.02; done; ${digits(200)}; exec sleep 1000`,
  )
  await eventually('its beginning is stored', async () => (await head('long'))?.bytes === 3_200)
  // As in a file that was restored from a backup.
  const file = new DatabaseSync(ingest.file)
  file.exec('DELETE FROM output_pieces; DELETE FROM outputs')
  file.close()
  await writeFile(gate, '')
  await eventually('all of it is stored', async () => (await head('long'))?.bytes === 9_600)
  expect(await stdout('long')).toEqual(Buffer.concat([written(100), written(200)]))
})

test('after an impossible answer the operator is asked again, but with a pause', async () => {
  const gate = join(ship.stateDir, 'gate')
  ship.run(
    'long',
    `echo first; until [ -e ${gate} ]; do sleep 0.02; done; ${digits(40_000)}; exec sleep 1000`,
  )
  await eventually('its beginning is stored', async () => (await head('long'))?.bytes === 6)
  let answers = 0
  fault = () => async pieces => {
    answers++
    return pieces.map(() => 1)
  }
  await writeFile(gate, '')
  const began = performance.now()
  await eventually('it is asked again', () => answers > 10)
  expect(performance.now() - began).toBeGreaterThan(500)
  fault = undefined
  await eventually('all of it is stored', async () => (await head('long'))?.bytes === 1_280_006)
})

test('beyond the quota the output that ended first is removed, and its loss is recorded to the byte, across a restart', async () => {
  await ship.crash()
  await ship.start(await client(), 1_500_000)
  const gate = join(ship.stateDir, 'gate')
  ship.run('partly', `${digits(1_000)}; until [ -e ${gate} ]; do sleep 0.02; done; ${digits(20_000)}`)
  await eventually('its beginning is stored', async () => (await head('partly'))?.bytes === 32_000)
  await ingest.stop()
  await writeFile(gate, '')
  await over('partly')
  for (const name of ['second', 'third', 'fourth']) {
    ship.run(name, digits(20_000))
    await over(name)
  }
  ship.run('empty', 'true')
  await eventually('the loss of two is on the disk', async () => (await lossFile()).split('\n').length === 3)
  await eventually('they are gone', async () => (await ship.launcher.runs()).length === 3)
  await ship.crash()
  await ingest.start()
  await ship.start(await client(), 1_500_000)
  expect(await ended('partly')).toMatchObject({ bytes: 32_000, lost: 640_000 })
  expect(await ended('second')).toMatchObject({ bytes: 0, lost: 640_000 })
  for (const name of ['third', 'fourth']) {
    expect(await ended(name)).toMatchObject({ bytes: 640_000, lost: 0 })
    expect(sha256(await stdout(name))).toBe(sha256(written(20_000)))
  }
  expect(await stdout('partly')).toEqual(written(1_000))
  await forgotten()
  await eventually('nothing is left to be told', async () => (await lossFile()) === '')
})

test('without an operator empty output is removed, and the rest stays within the quota', async () => {
  await ship.crash()
  await ship.start(undefined, 1_000_000)
  ship.run('empty', 'true')
  await forgotten()
  for (const name of ['first', 'second']) {
    ship.run(name, digits(20_000))
    await eventually(`${name} is over`, async () =>
      (await ship.launcher.runs()).every(({ record }) => record),
    )
  }
  await eventually('the first is gone', async () => (await ship.launcher.runs()).length === 1)
  // The operator's address becomes known later.
  await ship.crash()
  await ship.start(await client())
  expect(await ended('first')).toMatchObject({ bytes: 0, lost: 640_000 })
  expect(await ended('second')).toMatchObject({ bytes: 640_000, lost: 0 })
})
