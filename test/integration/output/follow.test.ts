import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chosen } from '../../../cli/logs/choose-attempts.ts'
import { followRun, printAttempts } from '../../../cli/logs/follow.ts'
import { createPrinter } from '../../../cli/logs/printer.ts'
import { lostChunk, stopChunk } from '../../../core/output/chunks.ts'
import { outputRoutes } from '../../../operator/api/output.ts'
import { serveApi } from '../../../operator/api/server.ts'
import type { AttemptSeen } from '../../../operator/output/attempts.ts'
import { systemClock } from '../../../platform/clock.ts'
import { createLog } from '../../../platform/log.ts'

/** `shellcron logs -f` on the operator's routes. The test sets the operator's state. */
const ID = `${'team-'.repeat(12)}x.${'job-'.repeat(12)}x.1790000000000`
let dir: string
let api: { close(): Promise<void> }
let attempts: AttemptSeen[]
let isWaiting: boolean
/** An attempt's output, and an action once it has arrived. */
let outputs: Record<string, { chunks: Uint8Array[]; before?: () => Promise<void>; then?: () => void }>
let onLook = () => {}

beforeEach(async () => {
  onLook = () => {}
  dir = await mkdtemp(join(tmpdir(), 'shellcron-follow-'))
  const routes = outputRoutes({
    latest: async () => ID,
    attempts: async () => {
      onLook()
      return attempts
    },
    waits: () => isWaiting,
    async *stream({ attempt }) {
      const { chunks, before, then } = outputs[attempt.run] ?? { chunks: [] }
      await before?.()
      yield* chunks
      then?.()
    },
  })
  api = await serveApi(join(dir, 'sock'), [routes], createLog('silent'))
})
afterEach(async () => {
  await api.close()
  await rm(dir, { recursive: true })
})

const going = (run: string): AttemptSeen => ({ uid: 'u', run, attempt: 1, going: true })
const end = () => {
  attempts = attempts.map(each => ({ ...each, going: false, outcome: 'Succeeded', started: true }))
}
const written = (line: string) => {
  const data = Buffer.from(`${line}\n`)
  const header = Buffer.alloc(13)
  header.writeUInt8(1, 0)
  header.writeUInt32BE(data.length, 9)
  return Buffer.concat([header, data])
}
const stop = (ended = true) => stopChunk({ at: 0, ended })

async function follow() {
  const out = { stdout: new PassThrough(), stderr: new PassThrough() }
  const printer = createPrinter({ out, timestamps: false, prefixes: false })
  const isGood = await followRun({ socket: join(dir, 'sock'), printer }, ID, {})
  out.stdout.end()
  out.stderr.end()
  return { isGood, stdout: await text(out.stdout), stderr: await text(out.stderr) }
}

test('a part that begins after another has ended is followed too', async () => {
  attempts = [going(`${ID}.a`)]
  isWaiting = true
  const next = () => {
    attempts = [going(`${ID}.a`), going(`${ID}.b`)]
    isWaiting = false
  }
  outputs = {
    [`${ID}.a`]: { chunks: [written('first'), stop()], then: next },
    [`${ID}.b`]: { chunks: [written('second'), stop()], then: end },
  }
  expect(await follow()).toEqual({ isGood: true, stdout: 'first\nsecond\n', stderr: '' })
})

const failed = (attempt: number): AttemptSeen => {
  const output = { stored: 1, bytes: 1, cut: 0, lost: 0, ended: true }
  return { uid: 'u', run: ID, attempt, going: false, outcome: 'Failed', started: true, output }
}
const pending = (attempt: number): AttemptSeen => ({
  uid: 'u',
  run: ID,
  attempt,
  going: true,
  pending: true,
})

test('a retry is followed after its backoff', async () => {
  attempts = [pending(2)]
  let looks = 0
  onLook = () => {
    looks++
    // The first attempt is on its way to the log store, then the retry waits for its time, and runs.
    if (looks === 2) attempts = [failed(1), pending(2)]
    if (looks === 5) attempts = [failed(1), { ...pending(2), pending: false }]
  }
  let n = 0
  outputs = {
    [ID]: {
      get chunks() {
        return [written(`attempt ${++n}`), stop()]
      },
      then: () => {
        if (n === 2) attempts = [failed(1), failed(2)]
      },
    },
  }
  isWaiting = false
  expect(await follow()).toEqual({ isGood: true, stdout: 'attempt 1\nattempt 2\n', stderr: '' })
})

test('a retry that never began hides no output', () => {
  const cancelled: AttemptSeen = {
    ...pending(2),
    going: false,
    pending: false,
    outcome: 'Cancelled',
    started: false,
  }
  expect(chosen([failed(1), pending(2)], undefined)).toEqual([failed(1)])
  expect(chosen([failed(1), cancelled], undefined)).toEqual([failed(1)])
  expect(chosen([failed(1), failed(2)], undefined)).toEqual([failed(2)])
  expect(chosen([failed(1), { ...pending(2), pending: false }], undefined)).toMatchObject([{ attempt: 2 }])
  expect(chosen([failed(1), pending(2)], 2)).toEqual([pending(2)])
  expect(chosen([cancelled], undefined)).toEqual([cancelled])
})

test('a loss anywhere in the output is no success', async () => {
  attempts = [going(ID)]
  isWaiting = false
  const first = written('first')
  const lost = lostChunk({ at: 0, bytes: 7, next: first.length + 7 })
  outputs = { [ID]: { chunks: [first, lost, written('last'), stop()], then: end } }
  expect(await follow()).toMatchObject({ isGood: false, stdout: 'first\nlast\n' })
})

test('output that is missing when its run is over is reported, and is no success', async () => {
  attempts = [going(ID)]
  isWaiting = false
  outputs = { [ID]: { chunks: [written('first'), stop(false)], then: end } }
  const { isGood, stderr } = await follow()
  expect([isGood, stderr]).toEqual([false, expect.stringContaining('the rest of its output has not arrived')])
})

test('output of a run that never started is not awaited', async () => {
  attempts = [{ uid: 'u', run: ID, attempt: 1, going: false, outcome: 'Failed', started: false }]
  isWaiting = false
  outputs = {}
  expect(await follow()).toEqual({ isGood: true, stdout: '', stderr: '' })
})

test('--tail shows the last lines of each target', async () => {
  attempts = [going(`${ID}.a`), going(`${ID}.b`)]
  const lines = (name: string) => [1, 2, 3].map(n => written(`${name}${n}`))
  outputs = {
    [`${ID}.a`]: { chunks: [...lines('a'), stop()] },
    [`${ID}.b`]: { chunks: [...lines('b'), stop()] },
  }
  const out = { stdout: new PassThrough(), stderr: new PassThrough() }
  const printer = createPrinter({ out, timestamps: false, prefixes: false, tail: 2 })
  await printAttempts({ socket: join(dir, 'sock'), printer }, attempts)
  out.stdout.end()
  expect(await text(out.stdout)).toBe('a2\na3\nb2\nb3\n')
})

test('the longer nothing new begins, the less often the operator is asked', async () => {
  let looks = 0
  attempts = [going(ID)]
  isWaiting = false
  onLook = () => {
    looks++
  }
  outputs = {
    [ID]: { chunks: [written('first'), stop()], before: () => systemClock.sleep(6_000), then: end },
  }
  expect(await follow()).toMatchObject({ isGood: true, stdout: 'first\n' })
  expect(looks).toBeLessThan(9)
})
