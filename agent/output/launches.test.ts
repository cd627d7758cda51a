import { expect, test } from 'vitest'
import type { ExitRecord } from '../launcher/messages.ts'
import { createLaunches } from './launches.ts'

const labels = { uid: 'u', run: 'r', attempt: '1', namespace: 'n', name: 'j' }
const record = (id: string, bytes: number): ExitRecord => ({
  id,
  session: '1',
  cause: { kind: 'exited', code: 0 },
  code: 0,
  signal: null,
  startedAt: 1,
  endedAt: 2,
  stdout: { bytes, cut: 0 },
  stderr: { bytes: 0, cut: 0 },
  tail: '',
  labels,
})

function launchTable() {
  const forgotten: string[] = []
  const nothing = () => undefined
  const launches = createLaunches({
    forget: ids => forgotten.push(...ids),
    onRunning: nothing,
    onEnded: nothing,
  })
  const end = (id: string, bytes: number) =>
    launches.onEvent({ type: 'ended', id, record: record(id, bytes) })
  return { launches, forgotten, end }
}
const idsOf = (launches: readonly { id: string }[]) => launches.map(({ id }) => id)

test('above the quota, launches that ended first are dropped, except those without a recorded result', () => {
  const { launches, end } = launchTable()
  for (const id of ['a', 'b', 'c']) end(id, 1_000_000)
  launches.recordResults(['b', 'c'])
  expect(idsOf(launches.overQuota(4_000_000))).toEqual([])
  expect(idsOf(launches.overQuota(2_500_000))).toEqual(['b'])
  expect(idsOf(launches.overQuota(0))).toEqual(['b', 'c'])
})

test('at most 20,000 ended launches are kept, however small they are', () => {
  const { launches, end } = launchTable()
  const ids = Array.from({ length: 20_002 }, (_, n) => `l${n}`)
  for (const id of ids) end(id, 1)
  launches.recordResults(ids)
  expect(idsOf(launches.overQuota(2 ** 30))).toEqual(['l0', 'l1'])
})

test('a launch that the launcher does not know no longer counts', () => {
  const { launches, forgotten, end } = launchTable()
  end('a', 1_000_000)
  launches.onEvent({ type: 'unknown', id: 'a' })
  expect(launches.unacknowledged).toBe(0)
  launches.recordResults(['a'])
  expect(forgotten).toEqual(['a'])
})
