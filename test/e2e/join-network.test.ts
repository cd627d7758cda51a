import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Result } from '../../core/records/state.ts'
import { systemClock } from '../../platform/clock.ts'
import { eventually } from '../fault/eventually.ts'
import { type Machine, type Network, startNetwork, whyNoNetwork } from '../fixtures/network.ts'
import { type Servers, startServers } from '../fixtures/servers.ts'

/** A fleet of three servers without Kubernetes, each in a network namespace of its own, of which one is cut off for a while. */
const why = await whyNoNetwork()
if (why) console.warn(`skipped: a fleet of three servers: ${why}`)

const TTL_SECONDS = 5
/** Its session ends, and its runs are buried. */
const LONGER_THAN_TTL_MS = 3 * TTL_SECONDS * 1_000
const NAMES = ['first', 'second', 'third']
let network: Network
let servers: Servers
let third: Machine

beforeAll(async () => {
  if (why) return
  network = await startNetwork()
  servers = await startServers({ machine: await network.machine(), ttlSeconds: TTL_SECONDS })
})
afterAll(async () => {
  await servers?.close()
  await network?.close()
})

const EVERY = `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: every, namespace: ops }
spec:
  schedule: "* * * * * *"
  catchUp: All
  catchUpLimit: 100
  template: { spec: { target: { mode: All }, host: { user: nobody }, script: 'true' } }
`

const of = (target: string) =>
  servers.outcomes().filter(each => each.name === 'every' && each.target === target && each.final)
const last = (target: string) => Math.max(0, ...of(target).map(({ time }) => time))

/** The outcomes of a target by its scheduled time, with each time of a range by itself. */
function byTime(target: string): Map<number, Result[]> {
  const found = new Map<number, Result[]>()
  for (const result of of(target)) {
    const { range } = result
    const first = range?.first ?? result.time
    for (let time = first; time <= result.time; time += 1_000)
      found.set(time, [...(found.get(time) ?? []), result])
  }
  return found
}

test.skipIf(why)(
  'three servers run a job on all; while one is cut off and when it is back, each time has one outcome a target',
  async () => {
    const second = await network.machine()
    third = await network.machine()
    await servers.join('second', { machine: second })
    await servers.join('third', { machine: third })
    const from = Math.ceil((systemClock.now() + 2_000) / 1_000) * 1_000
    await servers.write('every.yaml', EVERY)
    await eventually(
      'all three run it',
      () => NAMES.every(name => of(name).some(({ outcome }) => outcome === 'Succeeded')),
      90_000,
    )

    await third.cut()
    const cutAt = systemClock.now()
    await eventually(
      'the others go on',
      () => last('first') > cutAt + LONGER_THAN_TTL_MS && last('second') > cutAt + LONGER_THAN_TTL_MS,
      90_000,
    )
    await third.mend()
    const backAt = systemClock.now()
    await eventually(
      'the third runs again',
      () => of('third').some(({ outcome, time }) => outcome === 'Succeeded' && time > backAt + 3_000),
      90_000,
    )
    await servers.remove('every.yaml')
    const removedAt = systemClock.now()
    await eventually(
      'every time up to the deletion is settled',
      () => NAMES.every(name => last(name) > removedAt - 2_000),
      90_000,
    )

    for (const name of NAMES) {
      const outcomes = byTime(name)
      const twice = [...outcomes].filter(([, results]) => results.length !== 1)
      expect(twice).toEqual([])
      const times = [...outcomes.keys()].filter(time => time >= from)
      const until = Math.max(...times)
      expect(times.toSorted((a, b) => a - b)).toEqual(
        Array.from(
          { length: (until - Math.min(...times)) / 1_000 + 1 },
          (_, i) => Math.min(...times) + i * 1_000,
        ),
      )
    }
    const ends = new Set(of('third').map(({ outcome }) => outcome))
    expect(ends.has('Succeeded')).toBe(true)
  },
)
