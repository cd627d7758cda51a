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

function known() {
  const gone: string[] = []
  const nothing = () => undefined
  const launches = createLaunches({ forget: ids => gone.push(...ids), onRunning: nothing, onEnded: nothing })
  const end = (id: string, bytes: number) => launches.told({ type: 'ended', id, record: record(id, bytes) })
  return { launches, gone, end }
}
const idsOf = (launches: readonly { id: string }[]) => launches.map(({ id }) => id)

test('past so many bytes those that ended first go, but for what nobody has recorded', () => {
  const { launches, end } = known()
  for (const id of ['a', 'b', 'c']) end(id, 1_000_000)
  launches.settle(['b', 'c'])
  expect(idsOf(launches.beyond(4_000_000))).toEqual([])
  expect(idsOf(launches.beyond(2_500_000))).toEqual(['b'])
  expect(idsOf(launches.beyond(0))).toEqual(['b', 'c'])
})

test('however small they are, no more than 20,000 are kept', () => {
  const { launches, end } = known()
  const ids = Array.from({ length: 20_002 }, (_, n) => `l${n}`)
  for (const id of ids) end(id, 1)
  launches.settle(ids)
  expect(idsOf(launches.beyond(2 ** 30))).toEqual(['l0', 'l1'])
})

test('one that the launcher does not know counts no more', () => {
  const { launches, gone, end } = known()
  end('a', 1_000_000)
  launches.told({ type: 'unknown', id: 'a' })
  expect(launches.unacknowledged).toBe(0)
  launches.settle(['a'])
  expect(gone).toEqual(['a'])
})
