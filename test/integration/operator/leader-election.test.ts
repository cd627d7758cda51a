import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LeaderOptions, lead } from '../../../operator/startup/leader-election.ts'
import { systemClock } from '../../../platform/clock.ts'
import type { KubeApi } from '../../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../../platform/kubernetes/connect.ts'
import { silentLog } from '../../../platform/log.ts'
import { eventually } from '../../fault/eventually.ts'
import { type Kubernetes, startKubernetes } from '../../servers/kubernetes.ts'

let kubernetes: Kubernetes
let server: KubeApi

beforeAll(async () => {
  kubernetes = await startKubernetes()
  server = connectKubernetes(kubernetes.adminKubeconfig)
})
afterAll(() => kubernetes?.stop())

/** A candidate that can be frozen like a dead machine: none of its requests reach the server any more. */
function candidate(name: string, identity: string, times?: LeaderOptions['times']) {
  const stop = new AbortController()
  let dead = false
  const api: KubeApi = {
    request: call => {
      if (dead) return Promise.reject(new Error('dead'))
      return server.request(call)
    },
    lines: call => server.lines(call),
  }
  const terms: AbortSignal[] = []
  const options = { api, clock: systemClock, log: silentLog, namespace: 'default', name, identity }
  const done = lead({ ...options, ...(times ? { times } : {}) }, stop.signal, async signal => {
    terms.push(signal)
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  })
  return {
    terms,
    leads: () => terms.length > 0 && terms.at(-1)?.aborted === false,
    die: () => {
      dead = true
    },
    revive: () => {
      dead = false
    },
    stop: () => {
      stop.abort(new Error('stopped'))
      return done
    },
  }
}

test('one of two leads; when it dies the other takes over within 15 s, after the dead one has stepped down', async () => {
  const first = candidate('take-over', 'first')
  await eventually('the first leads', () => first.leads())
  const second = candidate('take-over', 'second')
  const renewTime = () =>
    kubernetes.kubectl(['get', 'lease', 'take-over', '-o', 'jsonpath={.spec.renewTime}'])
  const before = await renewTime()
  await eventually('the first renews', async () => (await renewTime()) !== before)
  expect(second.terms).toHaveLength(0)
  const diedAt = systemClock.monotonic()
  first.die()
  await eventually('the second leads', () => second.leads())
  expect(first.leads()).toBe(false)
  // The promise is 15 s, but the machine may be slow.
  expect(systemClock.monotonic() - diedAt).toBeLessThan(20_000)
  first.revive()
  await Promise.all([first.stop(), second.stop()])
  expect(first.terms).toHaveLength(1)
})

const quick = { duration: 3_000, renew: 500, retry: 200, margin: 1_000 }

test('a leader that stops releases the Lease, and the next begins without waiting for it to expire', async () => {
  const first = candidate('released', 'first')
  await eventually('the first leads', () => first.leads())
  const second = candidate('released', 'second')
  await first.stop()
  await eventually('the second leads', () => second.leads(), 8_000)
  await second.stop()
})

test('a leader that was disconnected for a while leads again, in a new term', async () => {
  const only = candidate('again', 'only', quick)
  await eventually('it leads', () => only.leads())
  only.die()
  await eventually('it steps down', () => only.terms[0]?.aborted)
  only.revive()
  await eventually('it leads again', () => only.terms.length === 2 && only.leads())
  await only.stop()
})

test('a leader whose Lease was taken by another steps down at its next renewal', async () => {
  const robbed = candidate('robbed', 'robbed', { ...quick, duration: 60_000 })
  await eventually('it leads', () => robbed.leads())
  const spec = { holderIdentity: 'a person with kubectl' }
  await kubernetes.kubectl(['patch', 'lease', 'robbed', '--type=merge', '-p', JSON.stringify({ spec })])
  await eventually('it steps down', () => robbed.terms[0]?.aborted)
  await robbed.stop()
})

test('an error of the work ends the candidacy and releases the Lease', async () => {
  const options = { api: server, clock: systemClock, log: silentLog, namespace: 'default', name: 'broken' }
  const leading = lead({ ...options, identity: 'broken' }, new AbortController().signal, () =>
    Promise.reject(new Error('a bug')),
  )
  await expect(leading).rejects.toThrow('a bug')
  const next = candidate('broken', 'next')
  await eventually('the next leads', () => next.leads(), 8_000)
  await next.stop()
})
