import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jobEntrySchema } from '../../core/records/entry.ts'
import { systemClock } from '../../platform/clock.ts'
import { createFakeClock } from '../../platform/fake-clock.ts'
import { ContainerPresence } from './container-presence.ts'

const { signal } = new AbortController()

/** The presence without a helper: the agent has no container. */
function withoutHelper() {
  const clock = createFakeClock(1_000_000)
  const presence = new ContainerPresence({ helper: undefined, endpoints: [], podsOnly: false }, clock)
  const until = (what: string, from: number, rank = 0) =>
    presence.declinesUntil({ what, entry, from, rank, others: 2, signal })
  return { until, at: (time: number) => clock.goTo(time) }
}
const entry = jobEntrySchema.parse({
  kind: 'job',
  uid: 'u',
  generation: 1,
  pool: 'default',
  namespace: 'n',
  name: 'j',
  schedules: ['* * * * *'],
  timeZone: 'UTC',
  daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
  scheduleChangedAt: 0,
  command: {
    placement: {},
    container: { selector: {} },
    shell: ['sh', '-c'],
    script: 'true',
    outputLimit: 1,
  },
})

test('rank 0 claims a time 4.5 s after it is due if no agent has the container, however close the times are', async () => {
  const { until, at } = withoutHelper()
  const due = [1_000_000, 1_001_000, 1_002_000]
  expect(await until('job', 1_000_000)).toBe(1_004_500)
  for (const time of due) {
    await at(time + 4_499)
    expect(await until('job', time)).toBe(time + 4_500)
    await at(time + 4_500)
    expect(await until('job', time)).toBeUndefined()
  }
})

test('an agent that sees a time late gives the others the same 4.5 s, also after a pause', async () => {
  const { until, at } = withoutHelper()
  expect(await until('late', 900_000)).toBe(1_004_500)
  await at(1_061_000)
  expect(await until('other', 1_061_000)).toBe(1_065_500)
  expect(await until('late', 1_061_000 - 5_000)).toBe(1_065_500)
})

test('an agent of another rank looks every second', async () => {
  expect(await withoutHelper().until('job', 1_000_000, 1)).toBe(1_001_000)
})

describe('the helper', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'shellcron-presence-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  /** A presence whose helper is this script, which logs its begin and end. Each name is another question, so none is answered from a cache. */
  const askWith = (script: string) => {
    const helper = join(dir, 'helper')
    writeFileSync(helper, `#!/bin/sh\necho begin $$ >> ${dir}/log\n${script}\necho end $$ >> ${dir}/log\n`, {
      mode: 0o700,
    })
    const presence = new ContainerPresence({ helper, endpoints: [], podsOnly: false }, systemClock)
    const of = { entry, from: Date.now(), rank: 1, others: 2 }
    return (what: string, signal: AbortSignal) =>
      presence.declinesUntil({ ...of, what, entry: { ...entry, namespace: what }, signal })
  }
  const logged = () => readFileSync(join(dir, 'log'), 'utf8').trim().split('\n')
  const names = Array.from({ length: 12 }, (_, n) => `n${n}`)

  test('runs at most four times at once', async () => {
    const ask = askWith('sleep 0.1')
    const answers = await Promise.all(names.map(name => ask(name, signal)))
    expect(answers).toEqual(names.map(() => undefined))
    const most = logged().reduce(
      ({ now, peak }, line) => {
        const then = now + (line.startsWith('begin') ? 1 : -1)
        return { now: then, peak: Math.max(peak, then) }
      },
      { now: 0, peak: 0 },
    )
    expect(most).toEqual({ now: 0, peak: 4 })
  })

  test('is killed when its question is aborted, and the question rejects at once', async () => {
    const ask = askWith('exec sleep 1000')
    const asker = new AbortController()
    const answers = names.map(name => ask(name, asker.signal))
    await expect.poll(() => logged().length, { timeout: 10_000 }).toBe(4)
    asker.abort(new Error('it is over'))
    for (const answer of answers) await expect(answer).rejects.toThrow('it is over')
    const pids = logged().map(line => Number(line.split(' ')[1]))
    const isAlive = (pid: number) => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    }
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([])
  })
})
