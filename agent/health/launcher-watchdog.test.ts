import { expect, test } from 'vitest'
import { createFakeClock } from '../../platform/fake-clock.ts'
import { silentLog } from '../../platform/log.ts'
import { watchLauncher } from './launcher-watchdog.ts'

const ANSWER = { bytes: Buffer.alloc(0), next: 0, end: true }

function watched() {
  const clock = createFakeClock(1_000_000)
  const due = clock.now()
  const ending = new AbortController()
  const reports: boolean[] = []
  let answer: (() => void) | undefined
  const it = { unstarted: 1, isHung: true, requests: 0, reports, answer: () => answer?.() }
  const runs = { unstarted: (before: number) => (due < before ? it.unstarted : 0) }
  const launcher = {
    read: () => {
      it.requests++
      if (!it.isHung) return Promise.resolve(ANSWER)
      return new Promise<typeof ANSWER>(resolve => {
        answer = () => resolve(ANSWER)
      })
    },
  }
  const watching = watchLauncher({ runs, launcher, clock, log: silentLog }, ending.signal, isSilent =>
    reports.push(isSilent),
  )
  const after = async (ms: number) => {
    await clock.goTo(clock.now() + ms)
    return reports.at(-1)
  }
  const end = async () => {
    ending.abort()
    await watching
    return reports.at(-1)
  }
  return Object.assign(it, { after, end })
}

test('a launcher is silent if a start is 30 s overdue and it does not answer', async () => {
  const it = watched()
  expect(await it.after(25_000)).toBe(false)
  expect(it.requests).toBe(0)
  expect(await it.after(30_000)).toBe(true)
  await it.after(60_000)
  expect(it.requests).toBe(1)
  // The answer to the pending request ends the silence, although nothing has started yet.
  it.isHung = false
  it.answer()
  expect(await it.after(20_000)).toBe(false)
  it.isHung = true
  expect(await it.after(30_000)).toBe(true)
  it.unstarted = 0
  expect(await it.after(20_000)).toBe(false)
  it.unstarted = 1
  expect(await it.after(30_000)).toBe(true)
  expect(await it.end()).toBe(false)
})

test('a launcher that answers is not silent, even if one start hangs', async () => {
  const it = watched()
  it.isHung = false
  await it.after(300_000)
  expect(it.reports).not.toContain(true)
  expect(it.requests).toBeGreaterThan(10)
  await it.end()
})
